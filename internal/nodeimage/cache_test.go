package nodeimage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// recorder keeps what a learner would see.
type recorder struct{ lines []string }

func (r *recorder) Start(name string) func(error, string) {
	return func(err error, note string) {
		if err != nil {
			note = "failed"
		}
		r.lines = append(r.lines, name+": "+note)
	}
}

func writeMarker(calls *int) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		*calls++
		return os.WriteFile(filepath.Join(dir, "marker"), nil, 0o600)
	}
}

func TestStepIsMadeOnceForAKey(t *testing.T) {
	t.Parallel()
	seen := &recorder{}
	c := &cache{dir: t.TempDir(), steps: seen}
	calls := 0
	first, err := c.step(t.Context(), "s", "step", "one", writeMarker(&calls))
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.step(t.Context(), "s", "step", "one", writeMarker(&calls))
	if err != nil || again != first || calls != 1 {
		t.Errorf("second step: dir %s, %d calls, err %v; want %s, 1 call", again, calls, err, first)
	}
	if want := "step: cached"; seen.lines[1] != want {
		t.Errorf("second step shown as %q, want %q", seen.lines[1], want)
	}
	if _, err := c.step(t.Context(), "s", "step", "two", writeMarker(&calls)); err != nil || calls != 2 {
		t.Errorf("another key: %d calls, err %v; want 2 calls", calls, err)
	}
	if _, err := os.Stat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output for the old key is still there: %v", err)
	}
}

func TestFailedStepLeavesNothing(t *testing.T) {
	t.Parallel()
	c := &cache{dir: t.TempDir(), steps: &recorder{}}
	broken := errors.New("broken")
	_, err := c.step(t.Context(), "s", "step", "one", func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the step's own error", err)
	}
	if left, _ := os.ReadDir(c.dir); len(left) != 0 {
		t.Errorf("a failed step left %v", left)
	}
}

func TestStepClearsWhatAKilledBuildLeft(t *testing.T) {
	t.Parallel()
	c := &cache{dir: t.TempDir(), steps: &recorder{}}
	stale := filepath.Join(c.dir, "s-one"+partial)
	if err := os.MkdirAll(filepath.Join(stale, "half"), 0o755); err != nil {
		t.Fatal(err)
	}
	calls := 0
	dir, err := c.step(t.Context(), "s", "step", "one", writeMarker(&calls))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a killed build's leftovers are in the new output")
	}
}

func TestSecondBuildWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	c := &cache{dir: t.TempDir(), steps: &recorder{}}
	unlock, err := c.lock(t.Context(), func() { t.Error("the first build had to wait") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, done := make(chan struct{}), make(chan error)
	go func() {
		second, err := c.lock(t.Context(), func() { close(waiting) })
		if err == nil {
			second()
		}
		done <- err
	}()
	<-waiting
	unlock()
	if err := <-done; err != nil {
		t.Errorf("the second build: %v", err)
	}
}

func TestWaitingForABuildCanBeInterrupted(t *testing.T) {
	t.Parallel()
	c := &cache{dir: t.TempDir(), steps: &recorder{}}
	unlock, err := c.lock(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := c.lock(ctx, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a cancelled wait", err)
	}
}
