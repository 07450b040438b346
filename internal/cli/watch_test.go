package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/term"
)

func shopLab() *lab.Lab {
	return &lab.Lab{Name: "basics/shop", ID: "shop", Title: "The shop", Tasks: []lab.Task{{ID: "one"}, {ID: "two"}}}
}

// watching is a watcher in a pipe, with what it writes and what it keeps.
func watching(t *testing.T, o *term.IO) (*watcher, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	var out, talk bytes.Buffer
	if o.Out == nil {
		o.Out = &out
	}
	o.Err = &talk
	d := &deps{io: o, journal: journal.Open(t.TempDir(), nil), now: time.Now}
	w := &watcher{deps: d, whole: true, passed: map[string]bool{}}
	w.show = (&watchOptions{output: report.Human}).show(d, shopLab())
	return w, &out, &talk
}

func graded(one, two report.Verdict) report.Report {
	r := report.Report{Lab: "basics/shop", Title: "The shop", MaxPoints: 2, Tasks: []report.Task{
		{ID: "one", Title: "The first", Verdict: one, MaxPoints: 1}, {ID: "two", Title: "The second", Verdict: two, MaxPoints: 1},
	}}
	for i, t := range r.Tasks {
		if t.Verdict == report.Passed {
			r.Tasks[i].Points = 1
			r.Points++
		} else {
			r.Tasks[i].Findings = []report.Finding{{Check: "object", Is: "it is shut"}}
		}
	}
	return r
}

func TestWatchKeepsAGradeWhenATaskFirstPasses(t *testing.T) {
	t.Parallel()
	w, _, _ := watching(t, &term.IO{})
	const p, f = report.Passed, report.Failed
	steps := []struct {
		one, two report.Verdict
		done     bool
		checks   int
		solved   bool
	}{
		{f, f, false, 0, false},
		{p, "", false, 1, false}, // half a report is no result
		{p, f, false, 1, false},
		{f, f, false, 1, false},
		{p, f, false, 1, false},
		{p, p, false, 2, true},
		{p, p, true, 3, true},
	}
	for i, step := range steps {
		more := w.see(report.Change{Report: graded(step.one, step.two), Changed: []string{"one"}, Done: step.done})
		if more == step.done || w.err != nil {
			t.Errorf("step %d: more %v, error %v", i, more, w.err)
		}
		s, err := w.deps.journal.Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Progress["basics/shop"]; got.Checks != step.checks || got.Last.Passed != step.solved {
			t.Errorf("step %d: the journal has %+v, want %d checks, passed %v", i, got, step.checks, step.solved)
		}
	}
}

func TestWatchEndsWithTheRightCode(t *testing.T) {
	t.Parallel()
	asked := graded(report.Passed, report.Blocked)
	asked.Tasks[1].Findings[0].Is = "it is asked only by kindlab check"
	tests := []struct {
		name string
		last report.Report
		done bool
		want error
		talk string
	}{
		{"all passed", graded(report.Passed, report.Passed), true, nil, ""},
		{"given up", graded(report.Passed, report.Failed), false, exitStatus(exitNotPassed), ""},
		{"could not tell", graded(report.Passed, report.Unknown), false, exitStatus(exitTrouble), ""},
		{"before the first look", report.Report{}, false, exitStatus(exitTrouble), ""},
		{"the rest is for check", asked, true, exitStatus(exitNotPassed), "the rest takes more than looking: kindlab check\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, _, talk := watching(t, &term.IO{})
			w.last, w.done = tt.last, tt.done
			if got := w.end(shopLab()); !errors.Is(got, tt.want) || talk.String() != tt.talk {
				t.Errorf("got %v and %q, want %v and %q", got, talk, tt.want, tt.talk)
			}
		})
	}
}

func TestWatchInAPipe(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 80_000_000, time.UTC)
	w, out, talk := watching(t, &term.IO{})
	w.see(report.Change{Time: at, Report: graded(report.Failed, report.Passed), Changed: []string{"one", "two"}})
	want := "2026-03-04T05:06:07.080Z\tone\tfailed\tit is shut\n2026-03-04T05:06:07.080Z\ttwo\tpassed\t\n"
	if diff := cmp.Diff(want, out.String()); diff != "" || talk.Len() > 0 {
		t.Errorf("%s, talk %q", diff, talk)
	}
	// -o json is for programs, also on a terminal.
	var objects bytes.Buffer
	d := &deps{io: &term.IO{Out: &objects, OutView: term.View{Terminal: true, Width: 80}}, journal: journal.Open(t.TempDir(), nil), now: time.Now}
	show := (&watchOptions{output: report.JSON}).show(d, shopLab())
	if err := show.change(report.Change{Time: at, Report: graded(report.Passed, report.Passed), Done: true}); err != nil {
		t.Fatal(err)
	}
	if got := objects.String(); !strings.HasPrefix(got, `{"apiVersion":"kindlab.dev/v1","kind":"Event"`) || !strings.HasSuffix(got, `"done":true}`+"\n") {
		t.Errorf("got %q", got)
	}
}

// frames keeps each write, as a terminal gets it.
type frames struct {
	all []string
	err error
}

func (f *frames) Write(p []byte) (int, error) {
	f.all = append(f.all, string(p))
	return len(p), f.err
}

func (f *frames) last() string { return f.all[len(f.all)-1] }

func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		screen := &frames{}
		w, _, _ := watching(t, &term.IO{Out: screen, OutView: term.View{Terminal: true, Width: 80}})
		has := func(when string, words ...string) {
			t.Helper()
			for _, word := range words {
				if !strings.Contains(screen.last(), word) {
					t.Errorf("%s: no %q in %q", when, word, screen.last())
				}
			}
		}
		has("at first", "basics/shop  The shop", "looking")
		w.see(report.Change{Report: graded(report.Failed, report.Failed), Changed: []string{"one", "two"}})
		has("the first report", "✗ one  The first\x1b[K", "it is shut", "0 of 2 tasks passed, 0 of 2 points, watching for 0s (Ctrl-C ends)")
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		has("while nothing changes", "watching for 3s")
		w.see(report.Change{Report: graded(report.Passed, report.Failed), Changed: []string{"one"}})
		has("a change", "✓ one  The first  (just now)\x1b[K", "✗ two  The second\x1b[K", "1 of 2 tasks passed")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		has("later", "✓ one  The first\x1b[K", "watching for 9s")
		w.show.close()
		has("in the end", "1 of 2 tasks passed, 1 of 2 points, in 9.5s\x1b[K\r\n\x1b[J")
		n := len(screen.all)
		time.Sleep(time.Minute)
		if len(screen.all) != n {
			t.Error("it draws after its end")
		}
	})
}

func TestWatchEndsWhenNobodyCanSeeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, view := range []term.View{{Width: 80}, {Terminal: true, Width: 80}} {
			w, _, _ := watching(t, &term.IO{Out: &frames{err: io.ErrClosedPipe}, OutView: view})
			more := w.see(report.Change{Report: graded(report.Passed, report.Failed), Changed: []string{"one"}})
			if more || !errors.Is(w.err, io.ErrClosedPipe) {
				t.Errorf("terminal %v: more %v, %v", view.Terminal, more, w.err)
			}
			w.show.close()
		}
	})
}
