package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

func noon() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) }

func TestJournalKeepsWhatItIsTold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "state")
	home := Place{Name: "kindlab"}
	err := Open(dir, nil).Update(func(s *State) error {
		s.Engines["kindlab"] = "podman"
		s.Start(home, "services/clusterip", noon())
		s.NextHint("services/clusterip", "reach", 3)
		s.Record("services/clusterip", Result{Time: noon(), Points: 3, MaxPoints: 3, Passed: true}, true)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(dir, nil).Read()
	if err != nil {
		t.Fatal(err)
	}
	want := State{
		Version: 1,
		Place:   home,
		Engines: map[string]string{"kindlab": "podman"},
		Started: map[string]Started{"cluster/kindlab": {Lab: "services/clusterip", Time: noon(), Labs: []string{"services/clusterip"}}},
		Progress: map[string]Progress{"services/clusterip": {
			Checks: 1, Hints: map[string]int{"reach": 1}, Solved: noon(),
			Last: Result{Time: noon(), Points: 3, MaxPoints: 3, Passed: true},
		}},
		Folders: map[string]string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("journal read back (-want +got):\n%s", diff)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "journal.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), mode)
		}
	}
}

func TestReadOfNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	s, err := Open(dir, nil).Read()
	if err != nil {
		t.Fatal(err)
	}
	if lab := s.Current(Place{Name: "kindlab"}); lab != "" {
		t.Errorf("current lab = %q, want none", lab)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading made %s", dir)
	}
}

func TestReadErrorsCarryARemedy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ content, want string }{
		"broken": {`{"version": 1,`, "unexpected end of JSON input"},
		"newer":  {`{"version": 2}`, "has format 2, this kindlab knows 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "journal.json"), []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, nil).Read()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error = %v, want one with %q", err, tc.want)
			}
			if !strings.Contains(remedy.Of(err), "move that file away") {
				t.Errorf("remedy = %q", remedy.Of(err))
			}
			if err := Open(dir, nil).Update(func(*State) error { return nil }); err == nil {
				t.Error("an update overwrote a journal it could not read")
			}
		})
	}
}

// A disk that was full, or a machine that went hard, may leave a file empty or cut: the second copy has all.
func TestADamagedJournalIsRecovered(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "cut": `{"version": 1, "pla`, "something else": "<html>"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, home := t.TempDir(), Place{Name: "kindlab"}
			write := func(lab string) {
				t.Helper()
				if err := Open(dir, nil).Update(func(s *State) error { s.Start(home, lab, noon()); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			write("services/clusterip")
			if err := os.WriteFile(filepath.Join(dir, "journal.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var said []string
			j := Open(dir, func(text string) { said = append(said, text) })
			for range 2 {
				if s, err := j.Read(); err != nil || s.Current(home) != "services/clusterip" {
					t.Errorf("under way is %q, %v", s.Current(home), err)
				}
			}
			if len(said) != 1 || !strings.Contains(said[0], "journal.json is damaged") {
				t.Errorf("said %q", said)
			}
			write("dns/names") // which mends it
			said = nil
			if s, err := Open(dir, func(text string) { said = append(said, text) }).Read(); err != nil || s.Current(home) != "dns/names" || said != nil {
				t.Errorf("after an update: %q, %v, said %q", s.Current(home), err, said)
			}
		})
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	j := Open(t.TempDir(), nil)
	refused := errors.New("refused")
	err := j.Update(func(s *State) error {
		s.Start(Place{Name: "kindlab"}, "a/b", noon())
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatalf("error = %v, want %v", err, refused)
	}
	s, err := j.Read()
	if err != nil {
		t.Fatal(err)
	}
	if lab := s.Current(Place{Name: "kindlab"}); lab != "" {
		t.Errorf("current lab = %q after a failed update, want none", lab)
	}
}

func TestConcurrentUpdatesAreAllKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers = 20
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			if err := Open(dir, nil).Update(func(s *State) error {
				s.Record(fmt.Sprintf("lab/%d", i), Result{}, true)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s, err := Open(dir, nil).Read()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Progress) != writers {
		t.Errorf("%d of %d updates were kept", len(s.Progress), writers)
	}
}
