package term

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func steps(view View) (*Steps, *bytes.Buffer) {
	var out bytes.Buffer
	return (&IO{Err: &out, ErrView: view}).Steps(), &out
}

func TestStepsInAPipeArePlainLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, out := steps(View{Width: 80})
		end := s.Start("building kubelet")
		time.Sleep(12300 * time.Millisecond)
		end(nil, "cached")
		s.Start("quick")(nil, "")
		s.Start("broken")(errors.New("no"), "")
		s.Start("left")(fmt.Errorf("waiting: %w", context.Canceled), "")
		want := `  • building kubelet …
  ✓ building kubelet  12.3s  (cached)
  • quick …
  ✓ quick
  • broken …
  ✗ broken
  • left …
  - left
`
		if out.String() != want {
			t.Errorf("got:\n%s\nwant:\n%s", out, want)
		}
	})
}

func TestStepsOnATerminalSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, out := steps(View{Terminal: true, Width: 80})
		end := s.Start("booting")
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		end(nil, "")
		end(nil, "") // whoever ends a step twice, in a defer say, gets one line
		want := eraseLine + "  ⠋ booting  0.0s" +
			eraseLine + "  ⠙ booting  0.1s" +
			eraseLine + "  ⠹ booting  0.2s" +
			eraseLine + "  ✓ booting  0.2s\n"
		if out.String() != want {
			t.Errorf("got:  %q\nwant: %q", out, want)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if out.String() != want {
			t.Errorf("the spinner went on after the last step: %q", out)
		}
	}) // synctest fails when the spinner's goroutine is still there
}

func TestWaitingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		done := (&IO{Err: &out, ErrView: View{Terminal: true, Width: 80}}).Waiting("grading")
		done()
		synctest.Wait()
		if want := eraseLine + "  ⠋ grading  0.0s" + eraseLine; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
		out.Reset()
		(&IO{Err: &out, ErrView: View{Width: 80}}).Waiting("grading")()
		if out.Len() > 0 {
			t.Errorf("in a pipe it said %q", out.String())
		}
	})
}

func TestNestedStepsShowTheInnerOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, out := steps(View{Terminal: true, Width: 80})
		outer := s.Start("outer")
		inner := s.Start("inner")
		inner(nil, "")
		outer(nil, "")
		synctest.Wait()
		lines := strings.Split(strings.ReplaceAll(out.String(), eraseLine, "\n"), "\n")
		want := []string{"", "  ⠋ outer  0.0s", "  ⠋ inner  0.0s", "  ✓ inner", "", "  ⠋ outer  0.0s", "  ✓ outer", ""}
		if strings.Join(lines, "|") != strings.Join(want, "|") {
			t.Errorf("got:  %q\nwant: %q", lines, want)
		}
	})
}

func TestALongStepStaysOnItsLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, out := steps(View{Terminal: true, Width: 20})
		end := s.Start(strings.Repeat("long ", 20))
		spinning := strings.TrimPrefix(out.String(), eraseLine)
		end(nil, "")
		synctest.Wait()
		if n := len([]rune(spinning)); n >= 20 {
			t.Errorf("%q has %d columns, want fewer than 20", spinning, n)
		}
	})
}

func TestStepsFromManyGoroutines(t *testing.T) {
	t.Parallel()
	s, out := steps(View{Width: 80})
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { s.Start(fmt.Sprint("step ", i))(nil, "") })
	}
	group.Wait()
	if n := strings.Count(out.String(), "✓"); n != 20 {
		t.Errorf("%d of 20 steps were shown as ended", n)
	}
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                         "0.0s",
		1234 * time.Millisecond:   "1.2s",
		59900 * time.Millisecond:  "59.9s",
		time.Minute:               "1m00s",
		509400 * time.Millisecond: "8m29s",
	} {
		if got := Elapsed(d); got != want {
			t.Errorf("Elapsed(%v) = %q, want %q", d, got, want)
		}
	}
}
