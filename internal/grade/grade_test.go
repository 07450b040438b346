package grade

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// fake is a kind of check and the check itself.
type fake struct {
	name    string
	run     func(context.Context, *check.Cluster) error
	changes bool
	problem string // found when it is compiled
}

func (f fake) Name() string                                    { return f.name }
func (f fake) Doc() check.Doc                                  { return check.Doc{} }
func (f fake) Run(ctx context.Context, c *check.Cluster) error { return f.run(ctx, c) }
func (f fake) Objects() []check.Dependency                     { return nil }
func (f fake) Changes() bool                                   { return f.changes }
func (f fake) Compile(check.Scope, lab.Node) (check.Check, lab.Problems) {
	if f.problem != "" {
		return nil, lab.Problems{{File: "lab.yaml", Text: f.problem}}
	}
	return f, nil
}

// says answers with each error in turn, and with the last from then on.
func says(name string, answers ...error) fake {
	return fake{name: name, run: func(context.Context, *check.Cluster) error {
		a := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return a
	}}
}

func registry(kinds ...check.Kind) check.Registry {
	r := check.Registry{}
	r.Add(kinds...)
	return r
}

func checks(kinds ...string) []lab.Check {
	var list []lab.Check
	for _, k := range kinds {
		list = append(list, lab.Check{Kind: k})
	}
	return list
}

func wrong() error {
	return &check.Failure{Is: "closed", Want: "open", Look: "kubectl get x", More: []string{"a", "b"}}
}
func notYet() error { return &check.Failure{Is: "1 of 2 ready", Settling: true} }

const (
	settle  = 10 * time.Second
	poll    = time.Second
	timeout = 5 * time.Second
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	seen := report.Finding{Check: "look", Is: "closed", Want: "open", Look: "kubectl get x", More: []string{"a", "b"}}
	late := "the check did not end within 5s"
	tests := []struct {
		name    string
		check   fake
		want    report.Verdict
		finding report.Finding // its Is is a prefix
		took    time.Duration
	}{
		{"yes", says("look", nil), report.Passed, report.Finding{}, 0},
		{"no, at once", says("look", wrong()), report.Failed, seen, 0},
		{"no, wrapped", says("look", fmt.Errorf("looking: %w", wrong())), report.Failed, seen, 0},
		{"not yet, then yes", says("look", notYet(), notYet(), nil), report.Passed, report.Finding{}, 2 * poll},
		{"not yet, then no", says("look", notYet(), wrong()), report.Failed, seen, poll},
		{"not yet, then an error", says("look", notYet(), errors.New("refused")), report.Unknown, report.Finding{Check: "look", Is: "refused"}, poll},
		{"not yet for ever", says("look", notYet()), report.Settling, report.Finding{Check: "look", Is: "1 of 2 ready"}, settle},
		{"an error, at once", says("look", errors.New("refused"), nil), report.Unknown, report.Finding{Check: "look", Is: "refused"}, 0},
		{
			"a panic",
			fake{name: "look", run: func(context.Context, *check.Cluster) error { panic("boom") }},
			report.Unknown,
			report.Finding{Check: "look", Is: "the check has a bug: boom\n"},
			0,
		},
		{"slow, and in time", fake{name: "look", run: func(context.Context, *check.Cluster) error {
			<-time.After(timeout - 1)
			return wrong()
		}}, report.Failed, seen, timeout - 1},
		{"hangs until it is told to end", fake{name: "look", run: func(ctx context.Context, _ *check.Cluster) error {
			<-ctx.Done()
			return ctx.Err()
		}}, report.Unknown, report.Finding{Check: "look", Is: late}, timeout},
		{"takes the cut for a no", fake{name: "look", run: func(ctx context.Context, _ *check.Cluster) error {
			<-ctx.Done()
			return wrong()
		}}, report.Unknown, report.Finding{Check: "look", Is: late}, timeout},
		{"takes the cut for a yes", fake{name: "look", run: func(ctx context.Context, _ *check.Cluster) error {
			<-ctx.Done()
			return nil
		}}, report.Unknown, report.Finding{Check: "look", Is: late}, timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := Grader{Kinds: registry(tt.check), Settle: settle, Poll: poll, Timeout: timeout}
				r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Points: 3, Checks: checks("look")}}})
				if err != nil {
					t.Fatal(err)
				}
				task := r.Tasks[0]
				points, findings := 0, []report.Finding{tt.finding}
				if tt.want == report.Passed {
					points, findings = 3, nil
				}
				if task.Verdict != tt.want || task.Points != points || task.MaxPoints != 3 || r.Points != points || r.MaxPoints != 3 {
					t.Errorf("%s with %d of %d points (lab: %d of %d), want %s with %d of 3",
						task.Verdict, task.Points, task.MaxPoints, r.Points, r.MaxPoints, tt.want, points)
				}
				if len(task.Findings) == 1 && strings.HasPrefix(task.Findings[0].Is, tt.finding.Is) {
					task.Findings[0].Is = tt.finding.Is
				}
				if diff := cmp.Diff(findings, task.Findings); diff != "" {
					t.Error(diff)
				}
				if task.Seconds != tt.took.Seconds() || r.Seconds != tt.took.Seconds() {
					t.Errorf("took %v s (lab: %v s), want %s", task.Seconds, r.Seconds, tt.took)
				}
			})
		})
	}
}

// A check that ignores its context cannot be ended, only left behind.
func TestACheckThatDoesNotListenIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		deaf := fake{name: "deaf", run: func(context.Context, *check.Cluster) error {
			<-release
			return nil
		}}
		g := Grader{Kinds: registry(deaf), Timeout: timeout}
		r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("deaf")}}})
		if err != nil || r.Tasks[0].Verdict != report.Unknown || r.Seconds != timeout.Seconds() {
			t.Errorf("got %s after %v s and %v, want unknown after %s", r.Tasks[0].Verdict, r.Seconds, err, timeout)
		}
	})
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		check fake
		took  time.Duration
	}{
		{"settle and poll", says("look", notYet()), DefaultSettle},
		{"timeout", fake{name: "look", run: func(ctx context.Context, _ *check.Cluster) error {
			<-ctx.Done()
			return ctx.Err()
		}}, DefaultTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := Grader{Kinds: registry(tt.check)}
				r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("look")}}})
				if err != nil || r.Seconds != tt.took.Seconds() {
					t.Errorf("took %v s (%v), want %s", r.Seconds, err, tt.took)
				}
			})
		})
	}
}

// chain is a lab of four tasks: b waits for a, c for b, and d for nothing.
func chain(a, b string) *lab.Lab {
	return &lab.Lab{Name: "basics/chain", Title: "Chain", Tasks: []lab.Task{
		{ID: "a", Title: "A", Points: 1, Checks: checks(a)},
		{ID: "b", Title: "B", Points: 2, After: []string{"a"}, Checks: checks(b)},
		{ID: "c", Title: "C", Points: 4, After: []string{"b"}, Checks: checks("yes")},
		{ID: "d", Title: "D", Points: 8, Checks: checks("yes")},
	}}
}

func TestTasksWaitForOthers(t *testing.T) {
	t.Parallel()
	const p, f, b, u, s = report.Passed, report.Failed, report.Blocked, report.Unknown, report.Settling
	tests := []struct {
		a, b   string
		only   []string
		want   map[string]report.Verdict
		points int
		max    int
	}{
		{"yes", "yes", nil, map[string]report.Verdict{"a": p, "b": p, "c": p, "d": p}, 15, 15},
		{"yes", "no", nil, map[string]report.Verdict{"a": p, "b": f, "c": b, "d": p}, 9, 15},
		{"no", "yes", nil, map[string]report.Verdict{"a": f, "b": b, "c": b, "d": p}, 8, 15},
		{"error", "yes", nil, map[string]report.Verdict{"a": u, "b": b, "c": b, "d": p}, 8, 15},
		{"later", "yes", nil, map[string]report.Verdict{"a": s, "b": b, "c": b, "d": p}, 8, 15},
		// What a task waits for is graded with it, and nothing else.
		{"yes", "yes", []string{"c"}, map[string]report.Verdict{"a": p, "b": p, "c": p}, 7, 7},
		{"no", "yes", []string{"b"}, map[string]report.Verdict{"a": f, "b": b}, 0, 3},
		{"no", "no", []string{"d"}, map[string]report.Verdict{"d": p}, 8, 8},
		{"yes", "no", []string{"d", "a"}, map[string]report.Verdict{"a": p, "d": p}, 9, 9},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.a, tt.b, tt.only), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				observed := map[string]report.Verdict{}
				g := Grader{
					Kinds: registry(says("yes", nil), says("no", wrong()), says("error", errors.New("refused")), says("later", notYet())),
					Observe: func(task report.Task) {
						if _, twice := observed[task.ID]; twice {
							t.Errorf("task %s was observed twice", task.ID)
						}
						observed[task.ID] = task.Verdict
					},
				}
				r, err := g.Run(t.Context(), chain(tt.a, tt.b), tt.only...)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]report.Verdict{}
				var order []string
				for _, task := range r.Tasks {
					got[task.ID] = task.Verdict
					order = append(order, task.ID)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.want, observed); diff != "" {
					t.Error("observed", diff)
				}
				if !slices.IsSorted(order) {
					t.Errorf("tasks come as %v, want the lab's order", order)
				}
				if r.Points != tt.points || r.MaxPoints != tt.max {
					t.Errorf("%d of %d points, want %d of %d", r.Points, r.MaxPoints, tt.points, tt.max)
				}
			})
		})
	}
}

func TestReportNamesTheLab(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := Grader{Kinds: registry(says("yes", nil))}
		r, err := g.Run(t.Context(), chain("yes", "yes"), "b")
		if err != nil {
			t.Fatal(err)
		}
		want := report.Report{
			APIVersion: "kindlab.dev/v1", Kind: "Report", Lab: "basics/chain", Title: "Chain",
			Time: time.Now().UTC(), Points: 3, MaxPoints: 3, Tasks: []report.Task{
				{ID: "a", Title: "A", Verdict: report.Passed, Points: 1, MaxPoints: 1},
				{ID: "b", Title: "B", Verdict: report.Passed, Points: 2, MaxPoints: 2, After: []string{"a"}},
			},
		}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Error(diff)
		}
	})
}

func TestATaskStopsAtTheFirstCheckThatDoesNotPass(t *testing.T) {
	t.Parallel()
	ran := false
	last := fake{name: "last", run: func(context.Context, *check.Cluster) error {
		ran = true
		return nil
	}}
	g := Grader{Kinds: registry(says("yes", nil), says("no", wrong()), last)}
	r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("yes", "no", "last")}}})
	if err != nil {
		t.Fatal(err)
	}
	if task := r.Tasks[0]; task.Verdict != report.Failed || len(task.Findings) != 1 || task.Findings[0].Check != "no" {
		t.Errorf("got %+v, want the finding of the second check", task)
	}
	if ran {
		t.Error("the third check ran though it builds on the second")
	}
}

func TestSafeguardsHaveNoPoints(t *testing.T) {
	t.Parallel()
	l := &lab.Lab{
		Tasks:      []lab.Task{{ID: "one", Points: 5, Checks: checks("yes")}},
		Safeguards: checks("yes", "no"),
	}
	g := Grader{Kinds: registry(says("yes", nil), says("no", wrong()))}
	// They are looked at whichever task is asked for.
	r, err := g.Run(t.Context(), l, "one")
	if err != nil {
		t.Fatal(err)
	}
	var got []report.Verdict
	for _, s := range r.Safeguards {
		got = append(got, s.Verdict)
	}
	if diff := cmp.Diff([]report.Verdict{report.Passed, report.Failed}, got); diff != "" {
		t.Error(diff)
	}
	if len(r.Tasks) != 1 || r.Points != 5 || r.MaxPoints != 5 || r.ExitCode() != 1 {
		t.Errorf("%d tasks, %d of %d points, exit code %d; want 1, 5 of 5, 1", len(r.Tasks), r.Points, r.MaxPoints, r.ExitCode())
	}
}

// What looks runs together; what changes the cluster runs alone, after it.
func TestChangesRunAloneAndLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		type event struct {
			name string
			at   time.Duration
		}
		events := make(chan event, 10)
		takes := func(name string, changes bool) fake {
			return fake{name: name, changes: changes, run: func(context.Context, *check.Cluster) error {
				events <- event{name, time.Since(begin)}
				<-time.After(time.Second)
				return nil
			}}
		}
		g := Grader{Kinds: registry(takes("break", true), takes("look", false), takes("smash", true), takes("see", false), takes("guard", false))}
		l := &lab.Lab{
			Tasks: []lab.Task{
				{ID: "1", Checks: checks("break")},
				{ID: "2", Checks: checks("look")},
				{ID: "3", Checks: checks("smash")},
				{ID: "4", Checks: checks("see"), After: []string{"1"}},
			},
			Safeguards: checks("guard"),
		}
		if _, err := g.Run(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		close(events)
		got := map[string]time.Duration{}
		for e := range events {
			got[e.name] = e.at
		}
		want := map[string]time.Duration{"look": 0, "guard": 0, "break": time.Second, "see": 2 * time.Second, "smash": 3 * time.Second}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChecksGetTheCluster(t *testing.T) {
	t.Parallel()
	c := &check.Cluster{}
	look := fake{name: "look", run: func(_ context.Context, got *check.Cluster) error {
		if got != c {
			return errors.New("another cluster")
		}
		return nil
	}}
	g := Grader{Kinds: registry(look), Cluster: c}
	r, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("look")}}})
	if err != nil || r.Tasks[0].Verdict != report.Passed {
		t.Errorf("got %+v, %v", r.Tasks, err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	ran := fake{name: "yes", run: func(context.Context, *check.Cluster) error {
		t.Error("a check ran though the lab is bad")
		return nil
	}}
	kinds := registry(ran, fake{name: "bad", problem: "missing key"}, fake{name: "worse", problem: "unknown key"})
	tests := []struct {
		name string
		lab  *lab.Lab
		task []string
		want []string
	}{
		{"a task that is not there", chain("yes", "yes"), []string{"a", "e"}, []string{`lab basics/chain has no task "e"`}},
		{"an unknown kind", chain("yes", "nope"), nil, []string{`unknown kind of check "nope", expected one of bad, worse, yes`}},
		{"all problems at once", chain("bad", "worse"), nil, []string{"lab.yaml: missing key", "lab.yaml: unknown key"}},
		{"a bad safeguard", &lab.Lab{Safeguards: checks("bad")}, nil, []string{"lab.yaml: missing key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := Grader{Kinds: kinds}
			_, err := g.Run(t.Context(), tt.lab, tt.task...)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}

// A learner who presses Ctrl-C is not told that the work is wrong.
func TestInterruptedIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hang := fake{name: "hang", run: func(ctx context.Context, _ *check.Cluster) error {
			cancel()
			<-ctx.Done()
			return wrong()
		}}
		g := Grader{Kinds: registry(hang, says("yes", nil))}
		r, err := g.Run(ctx, chain("hang", "yes"), "b")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if len(r.Tasks) != 2 || r.Tasks[0].Verdict != report.Unknown || r.Tasks[1].Verdict != report.Blocked {
			t.Errorf("got %+v, want unknown and blocked", r.Tasks)
		}
	})
}

// While the cluster moves there is nothing to do but wait: that ends at once.
func TestInterruptedWhileSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		g := Grader{Kinds: registry(says("later", notYet())), Settle: settle, Poll: poll}
		r, err := g.Run(ctx, &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("later")}}})
		if !errors.Is(err, context.DeadlineExceeded) || r.Seconds != 1.5 || r.Tasks[0].Verdict != report.Settling {
			t.Errorf("got %s after %v s and %v, want settling after 1.5 s", r.Tasks[0].Verdict, r.Seconds, err)
		}
	})
}

// Who undoes what a grade did has to know which checks changed the cluster, and those that were not reached did not.
func TestChangesAreToldBeforeTheyAreMade(t *testing.T) {
	t.Parallel()
	touch := says("touch", nil)
	touch.changes = true
	for _, tt := range []struct {
		name  string
		first error
		want  int
	}{{"reached", nil, 1}, {"not reached", wrong(), 0}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told := 0
			g := Grader{Kinds: registry(says("look", tt.first), touch), Timeout: timeout, Changing: func(c check.Check) {
				if told++; !c.Changes() {
					t.Error("told of a check that only looks")
				}
			}}
			if _, err := g.Run(t.Context(), &lab.Lab{Tasks: []lab.Task{{ID: "one", Checks: checks("look", "touch")}}}); err != nil || told != tt.want {
				t.Errorf("told %d times, want %d (%v)", told, tt.want, err)
			}
		})
	}
}
