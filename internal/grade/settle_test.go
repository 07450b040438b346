package grade

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// A look that hangs says less than the one before it.
func TestASettlingCheckThatThenHangsKeepsWhatItSaw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		look := fake{name: "look", run: func(ctx context.Context, _ *check.Cluster) error {
			if looks++; looks == 1 {
				return notYet()
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		g := Grader{Kinds: registry(look), Settle: settle, Poll: poll, Timeout: timeout}
		r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("look")}}})
		if err != nil {
			t.Fatal(err)
		}
		want := []report.Finding{{Check: "look", Is: "1 of 2 ready", More: []string{"looking once more: the check did not end within 5s"}}}
		if diff := cmp.Diff(want, r.Tasks[0].Findings); diff != "" || r.Tasks[0].Verdict != report.Settling {
			t.Errorf("%s %s", r.Tasks[0].Verdict, diff)
		}
	})
}

// What goes by itself is waited for; what does not go for all that is unknown, and never wrong.
func TestPassingTroubleIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		goes bool
		want report.Verdict
		took time.Duration
	}{"it goes": {true, report.Passed, 3 * poll}, "it stays": {false, report.Unknown, settle}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				looks := 0
				look := fake{name: "look", run: func(context.Context, *check.Cluster) error {
					if looks++; tt.goes && looks > 3 {
						return nil
					}
					return &check.Passing{Err: errors.New("kube-proxy has just started")}
				}}
				began := time.Now()
				g := Grader{Kinds: registry(look), Settle: settle, Poll: poll, Timeout: timeout}
				r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("look")}}})
				if err != nil || r.Tasks[0].Verdict != tt.want || time.Since(began) != tt.took {
					t.Errorf("%s after %s, %v: want %s after %s", r.Tasks[0].Verdict, time.Since(began), err, tt.want, tt.took)
				}
			})
		})
	}
}

func TestACutOffAnswerIsNoVerdict(t *testing.T) {
	t.Parallel()
	why := errors.New("the learner left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	for name, answer := range map[string]error{"yes": nil, "no": wrong(), "error": errors.New("refused")} {
		err := guarded(ctx, says("look", answer), nil)
		if _, cut := errors.AsType[cutError](err); !cut || !errors.Is(err, why) {
			t.Errorf("%s: got %v, want that %v", name, err, why)
		}
	}
	if err := guarded(t.Context(), says("look", nil), nil); err != nil {
		t.Errorf("got %v for a yes in time", err)
	}
}

func TestAPlanIsForManyGrades(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kind := counting{says("yes", nil), new([]string)}
		g := Grader{Kinds: check.Registry{"yes": kind}}
		p, err := g.Compile(chain("yes", "yes"))
		if err != nil {
			t.Fatal(err)
		}
		var first report.Report
		for i := range 3 {
			r, err := g.Grade(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = r
			}
			if diff := cmp.Diff(first, r); diff != "" {
				t.Error(diff)
			}
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d"}, *kind.tasks); diff != "" {
			t.Error("each check is compiled once, for its task:", diff)
		}
	})
}

type counting struct {
	fake
	tasks *[]string // that a check was compiled for
}

func (c counting) Compile(s check.Scope, n lab.Node) (check.Check, lab.Problems) {
	*c.tasks = append(*c.tasks, s.Task)
	return c.fake.Compile(s, n)
}

func TestNoTasksAreAnEmptyList(t *testing.T) {
	t.Parallel()
	r, err := (&Grader{}).Run(t.Context(), &lab.Lab{})
	if err != nil || r.Tasks == nil {
		t.Errorf("got %v and tasks %#v, want none that is nil", err, r.Tasks)
	}
}

func TestRecognise(t *testing.T) {
	t.Parallel()
	fails := func(id, is string) report.Task {
		return report.Task{ID: id, Verdict: report.Failed, Findings: []report.Finding{{Is: is, More: []string{"batch  open"}}}}
	}
	is := func(id string, v report.Verdict) report.Task { return report.Task{ID: id, Verdict: v} }
	open := lab.Mistake{Title: "All doors open", Fails: []string{"in"}, Says: "still reaches", Tell: "\nWho is everyone?\n"}
	both := lab.Mistake{Title: "No doors", Fails: []string{"in", "out"}, Says: "no policy", Tell: "x"}
	mute := lab.Mistake{Title: "Mute", Fails: []string{"out"}, Says: "still", Tell: ""}
	guard := lab.Mistake{Title: "Deleted", Fails: []string{lab.Safeguards}, Says: "is gone", Tell: "Bring it back."}
	said := &report.Remark{Mistake: "All doors open", Text: "Who is everyone?"}
	tests := []struct {
		name       string
		mistakes   []lab.Mistake
		tasks      []report.Task
		safeguards []report.Task
		want       *report.Remark
	}{
		{"the one", []lab.Mistake{both, open, mute}, []report.Task{fails("in", "batch still reaches db"), is("out", report.Passed)}, nil, said},
		{"blocked tasks do not matter", []lab.Mistake{open}, []report.Task{fails("in", "it still reaches db"), is("out", report.Blocked)}, nil, said},
		{
			"in the rows of a table",
			[]lab.Mistake{{Title: "t", Fails: []string{"in"}, Says: "batch  open", Tell: "x"}},
			[]report.Task{fails("in", "")},
			nil, &report.Remark{Mistake: "t", Text: "x"},
		},
		{"other words", []lab.Mistake{open}, []report.Task{fails("in", "no pod is running")}, nil, nil},
		{"more fails", []lab.Mistake{open}, []report.Task{fails("in", "still reaches"), fails("out", "x")}, nil, nil},
		{"less fails", []lab.Mistake{both}, []report.Task{fails("in", "no policy"), is("out", report.Passed)}, nil, nil},
		{"another fails", []lab.Mistake{open}, []report.Task{is("in", report.Passed), fails("out", "still reaches")}, nil, nil},
		{
			"two match",
			[]lab.Mistake{open, {Title: "t", Fails: []string{"in"}, Says: "batch", Tell: "x"}},
			[]report.Task{fails("in", "batch still reaches db")},
			nil, nil,
		},
		{
			"two match, and one has its mark",
			[]lab.Mistake{open, {Title: "t", Fails: []string{"in"}, Says: "batch", Tell: "x", When: checks("yes")}},
			[]report.Task{fails("in", "batch still reaches db")},
			nil, &report.Remark{Mistake: "t", Text: "x"},
		},
		{
			"two match, and one lacks its mark",
			[]lab.Mistake{open, {Title: "t", Fails: []string{"in"}, Says: "batch", Tell: "x", When: checks("yes", "no")}},
			[]report.Task{fails("in", "batch still reaches db")},
			nil, said,
		},
		{
			"only one matches, and lacks its mark",
			[]lab.Mistake{{Title: "t", Fails: []string{"in"}, Says: "batch", Tell: "x", When: checks("no")}},
			[]report.Task{fails("in", "batch still reaches db")},
			nil, nil,
		},
		{"it has nothing to tell", []lab.Mistake{mute}, []report.Task{fails("out", "still")}, nil, nil},
		{"another task is settling", []lab.Mistake{open}, []report.Task{fails("in", "still reaches"), is("out", report.Settling)}, nil, nil},
		{"another task is unknown", []lab.Mistake{open}, []report.Task{fails("in", "still reaches"), is("out", report.Unknown)}, nil, nil},
		{"another task was not looked at", []lab.Mistake{open}, []report.Task{fails("in", "still reaches"), is("out", "")}, nil, nil},
		{"nothing fails", []lab.Mistake{{Fails: nil, Tell: "x"}}, []report.Task{is("in", report.Passed)}, nil, nil},
		{
			"a safeguard",
			[]lab.Mistake{guard},
			[]report.Task{is("in", report.Passed)},
			[]report.Task{fails("safeguard-1", "db is gone")},
			&report.Remark{Mistake: "Deleted", Text: "Bring it back."},
		},
		{
			"two safeguards and a task",
			[]lab.Mistake{{Title: "t", Fails: []string{lab.Safeguards, "in"}, Says: "gone", Tell: "x"}},
			[]report.Task{fails("in", "no")},
			[]report.Task{fails("safeguard-1", "db is gone"), fails("safeguard-2", "web is gone")},
			&report.Remark{Mistake: "t", Text: "x"},
		},
		{"a safeguard more", []lab.Mistake{open}, []report.Task{fails("in", "still reaches")}, []report.Task{fails("safeguard-1", "gone")}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := Grader{Kinds: registry(says("no", wrong()), says("yes", nil))}
			l := one("yes")
			l.Mistakes = tt.mistakes
			p, err := g.Compile(l)
			if err != nil {
				t.Fatal(err)
			}
			got := g.recognise(t.Context(), p, report.Report{Tasks: tt.tasks, Safeguards: tt.safeguards})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRecognisingIsForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	l := chain("no", "yes")
	l.Mistakes = []lab.Mistake{{Title: "Shut", Fails: []string{"a"}, Says: "closed", Tell: "Open it."}}
	for _, asked := range []bool{true, false} {
		g := Grader{Kinds: registry(says("no", wrong()), says("yes", nil)), Recognise: asked}
		r, err := g.Run(t.Context(), l)
		if err != nil || (r.Tell != nil) != asked {
			t.Errorf("asked %v: got %+v, %v", asked, r.Tell, err)
		}
	}
}

// What takes long is looked at more seldom, and the answer comes a tenth of that later at most.
func TestLooksGetRarer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks []time.Duration
		began := time.Now()
		g := Grader{Kinds: registry(fake{name: "look", run: func(context.Context, *check.Cluster) error {
			looks = append(looks, time.Since(began))
			return notYet()
		}})}
		if _, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("look")}}}); err != nil {
			t.Fatal(err)
		}
		if n := len(looks); n < 30 || n > 50 || looks[n-1] != DefaultSettle {
			t.Errorf("%d looks, the last after %s; want some forty, and one at the end", n, looks[n-1])
		}
		for i := 1; i < len(looks); i++ {
			if gap := looks[i] - looks[i-1]; gap > max(DefaultPoll, looks[i-1]/10) {
				t.Errorf("no look for %s after %s", gap, looks[i-1])
			}
		}
	})
}
