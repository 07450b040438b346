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

// What a learner sees while a cluster changes, to the hundredth of a second.
func TestWhatWatchingTells(t *testing.T) {
	t.Parallel()
	type step struct {
		wait   time.Duration
		truth  error
		change bool // of an object that the check reads
	}
	late := &check.Failure{Is: "2 of 2 crash"}
	passingTrouble := &check.Passing{Err: errors.New("kube-proxy has just started")}
	tests := []struct {
		name  string
		first error
		steps []step
		want  []string
	}{
		{
			"green the moment it is right", wrong(),
			[]step{{10 * time.Second, nil, true}},
			[]string{"0.00 one failed", "10.04 one passed"},
		},
		{"a no at the start is believed at once", wrong(), nil, []string{"0.00 one failed"}},
		{
			"never a flash of red", nil,
			[]step{{10 * time.Second, wrong(), true}, {500 * time.Millisecond, nil, true}},
			[]string{"0.00 one passed", "10.04 one settling", "10.54 one passed"},
		},
		{
			"right again without an event", nil,
			[]step{{10 * time.Second, wrong(), true}, {500 * time.Millisecond, nil, false}},
			[]string{"0.00 one passed", "10.04 one settling", "10.54 one passed"},
		},
		{
			"red when the cluster is at rest", nil,
			[]step{{10 * time.Second, wrong(), true}},
			[]string{"0.00 one passed", "10.04 one settling", "11.04 one failed"},
		},
		{
			"rest begins with the last change", nil,
			[]step{{10 * time.Second, wrong(), true}, {800 * time.Millisecond, wrong(), true}, {800 * time.Millisecond, wrong(), true}},
			[]string{"0.00 one passed", "10.04 one settling", "12.60 one failed"},
		},
		{
			"what was red stays red until it is right", wrong(),
			[]step{{10 * time.Second, late, true}, {time.Second, nil, true}},
			[]string{"0.00 one failed", "10.04 one failed", "11.04 one passed"},
		},
		{
			"a red task whose cluster moves is settling", wrong(),
			[]step{{10 * time.Second, notYet(), true}, {5 * time.Second, nil, true}},
			[]string{"0.00 one failed", "10.04 one settling", "15.04 one passed"},
		},
		{
			"settling, then wrong for good", notYet(),
			[]step{{10 * time.Second, wrong(), true}},
			[]string{"0.00 one settling", "10.04 one settling", "11.04 one failed"},
		},
		{
			"stuck without an event", notYet(),
			[]step{{10500 * time.Millisecond, wrong(), false}},
			[]string{"0.00 one settling", "12.00 one settling", "13.00 one failed"},
		},
		{
			"one error is no news", nil,
			[]step{{10 * time.Second, errors.New("reset"), true}, {100 * time.Millisecond, nil, false}},
			[]string{"0.00 one passed"},
		},
		{
			"a second one is", nil,
			[]step{{10 * time.Second, errors.New("forbidden"), true}},
			[]string{"0.00 one passed", "10.29 one unknown"},
		},
		{
			"an error at the start is", errors.New("forbidden"),
			[]step{{10500 * time.Millisecond, nil, false}},
			[]string{"0.00 one unknown", "12.25 one passed"},
		},
		{
			"a bug is no flash of red either", nil,
			[]step{{10 * time.Second, errors.New("a bug"), true}, {45 * time.Second, wrong(), true}},
			[]string{"0.00 one passed", "10.29 one unknown", "55.04 one settling", "56.04 one failed"},
		},
		{
			"what goes by itself is on its way", nil,
			[]step{{10 * time.Second, passingTrouble, true}, {5 * time.Second, nil, false}},
			[]string{"0.00 one passed", "10.04 one settling", "15.04 one passed"},
		},
		{
			"what goes by itself, at the start", passingTrouble,
			[]step{{4900 * time.Millisecond, wrong(), false}},
			[]string{"0.00 one settling", "5.00 one failed"},
		},
		{
			"what should go by itself and stays is not known", passingTrouble,
			[]step{{20 * time.Second, passingTrouble, false}},
			[]string{"0.00 one settling", "30.00 one unknown"},
		},
		{
			"a second doubt is as long as the first", nil,
			[]step{{10 * time.Second, wrong(), true}, {500 * time.Millisecond, nil, true}, {60 * time.Second, wrong(), true}},
			[]string{"0.00 one passed", "10.04 one settling", "10.54 one passed", "70.54 one settling", "71.54 one failed"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &truth{err: tt.first}
				s := newScene(t, sees("look", a, maps("menu")))
				end := s.watch(one("look"), true)
				for _, step := range tt.steps {
					s.wait(step.wait)
					a.set(step.truth)
					if step.change {
						s.put(configMaps, "shop", "menu", nil)
					}
				}
				s.wait(20 * time.Second)
				if diff := cmp.Diff(tt.want, s.told()); diff != "" {
					t.Error(diff)
				}
				if err := end(); !errors.Is(err, context.Canceled) {
					t.Errorf("ended with %v, want %v", err, context.Canceled)
				}
			})
		})
	}
}

// A cluster that never rests would keep a task settling for ever.
func TestDoubtEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{}
		s := newScene(t, sees("look", a, maps("menu")))
		end := s.watch(one("look"), true)
		s.wait(10 * time.Second)
		a.set(wrong())
		for range 100 {
			s.put(configMaps, "shop", "menu", nil)
			s.wait(400 * time.Millisecond)
		}
		want := []string{"0.00 one passed", "10.04 one settling", "40.04 one failed"}
		if diff := cmp.Diff(want, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

func TestWatchReportsLikeAGrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{err: wrong()}
		quick := fake{name: "quick", run: func(_ context.Context, c *check.Cluster) error {
			if !c.Quick {
				return wrong()
			}
			return nil
		}}
		s := newScene(t, sees("look", a, maps("menu")), &eye{fake: quick})
		l := one("quick", "look")
		l.Title = "One"
		l.Safeguards = checks("quick")
		l.Mistakes = []lab.Mistake{{Title: "Closed", Fails: []string{"one"}, Says: "closed", Tell: "Open it."}}
		s.grader.Recognise = true
		end := s.watch(l, true)
		want := report.Report{
			APIVersion: report.APIVersion, Kind: report.Kind, Lab: "basics/one", Title: "One", Time: s.begin.UTC(), MaxPoints: 3,
			Tasks: []report.Task{{
				ID: "one", Verdict: report.Failed, MaxPoints: 3,
				Findings: []report.Finding{{Check: "look", Is: "closed", Want: "open", Look: "kubectl get x", More: []string{"a", "b"}}},
			}},
			Safeguards: []report.Task{{ID: "safeguard-1", Title: "What worked before still works", Verdict: report.Passed}},
			Tell:       &report.Remark{Mistake: "Closed", Text: "Open it."},
		}
		if diff := cmp.Diff(want, s.last); diff != "" {
			t.Error(diff)
		}
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(time.Second)
		if got := s.last; got.Points != 3 || got.Tell != nil || got.Seconds != 0.04 || got.ExitCode() != 0 {
			t.Errorf("got %+v, want 3 points after 0.04 s and no remark", got)
		}
		_ = end()
	})
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sees("look", &truth{}, maps("menu")))
		p, err := s.grader.Compile(one("look"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.grader.Watch(t.Context(), p, nil, "two"); err == nil || err.Error() != `lab basics/one has no task "two"` {
			t.Errorf("got %v for a task that is not there", err)
		}
		var seen []report.Change
		see := func(c report.Change) bool {
			seen = append(seen, c)
			return false
		}
		if err := s.grader.Watch(t.Context(), p, see); err != nil || len(seen) != 1 || seen[0].Changed[0] != "one" {
			t.Errorf("got %v and %+v, want the first change and no more", err, seen)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.grader.Watch(ctx, p, func(report.Change) bool { return true }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// What is green on the old ways of the network is not over: everything has to stand for a while.
func TestDoneIsLookedAtOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &truth{err: wrong()}, &truth{}
		l := one("a")
		l.Safeguards = checks("b")
		s := newScene(t, sees("a", a, maps("menu")), sees("b", b, maps("bill")))
		end := s.watch(l, true)
		s.wait(10 * time.Second)
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(time.Second)
		b.set(wrong()) // a second late, and no event tells of it
		s.wait(5 * time.Second)
		want := []string{
			"0.00 one failed", "0.00 safeguard-1 passed", "10.04 one passed",
			"12.00 safeguard-1 settling", "13.00 safeguard-1 failed",
		}
		if diff := cmp.Diff(want, s.told()); diff != "" {
			t.Error(diff)
		}
		if len(s.done) > 0 {
			t.Errorf("done at %v though the safeguard does not hold", s.done)
		}
		b.set(nil)
		s.put(configMaps, "shop", "bill", nil)
		s.wait(5 * time.Second)
		if diff := cmp.Diff([]time.Duration{18 * time.Second}, s.done); diff != "" {
			t.Error("two seconds after the last change:", diff)
		}
		// Kept on, it is told once; and again when something broke in between.
		s.wait(time.Minute)
		a.set(wrong())
		s.put(configMaps, "shop", "menu", nil)
		s.wait(5 * time.Second)
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(time.Minute)
		if diff := cmp.Diff([]time.Duration{18 * time.Second, 88 * time.Second}, s.done); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

// A no is believed when a look that began in the quiet says so, and not one that only ended there.
func TestAFreshLookComesBeforeRed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{}
		slow := sees("slow", a, maps("menu"))
		slow.probing = true
		slow.run = func(ctx context.Context, c *check.Cluster) error {
			err := a.get(ctx, c)
			if err != nil {
				<-time.After(1500 * time.Millisecond)
			}
			return err
		}
		s := newScene(t, slow)
		end := s.watch(one("slow"), true)
		s.wait(10 * time.Second)
		a.set(wrong())
		s.put(configMaps, "shop", "menu", nil) // looks from 10.04 to 11.54, 11.79 to 13.29, and 13.29 to 14.79
		s.wait(10 * time.Second)
		if diff := cmp.Diff([]string{"0.00 one passed", "11.54 one settling", "14.79 one failed"}, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
		s.wait(2 * time.Second)
	})
}

// The later checks of a task build on the first: while that is looked at again, they wait.
func TestChecksOfATaskRunInTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &truth{}, &truth{}
		first, second := sees("first", a, maps("menu")), sees("second", b, maps("menu"))
		first.run = func(ctx context.Context, c *check.Cluster) error {
			<-time.After(500 * time.Millisecond)
			return a.get(ctx, c)
		}
		s := newScene(t, first, second)
		end := s.watch(one("first", "second"), true)
		s.wait(10 * time.Second)
		first.times()
		if diff := cmp.Diff([]time.Duration{ms(500)}, second.times()); diff != "" {
			t.Error("at the start", diff)
		}
		s.put(configMaps, "shop", "menu", nil)
		s.wait(time.Second)
		if diff := cmp.Diff([]time.Duration{ms(10040)}, first.times()); diff != "" {
			t.Error("the first", diff)
		}
		if diff := cmp.Diff([]time.Duration{ms(10540)}, second.times()); diff != "" {
			t.Error("the second", diff)
		}
		_ = end()
		s.wait(time.Second)
	})
}

// Done waits for the last look to end, however long that takes.
func TestDoneWaitsForTheLastLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &truth{err: wrong()}, &truth{}
		slow := sees("slow", b, maps("bill"))
		slow.run = func(ctx context.Context, c *check.Cluster) error {
			<-time.After(time.Second)
			return b.get(ctx, c)
		}
		s := newScene(t, sees("quick", a, maps("menu")), slow)
		end := s.watch(tasks("quick", "slow"), true)
		s.wait(10 * time.Second)
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil) // looked at once more at 12
		s.wait(2100 * time.Millisecond)
		b.set(wrong())
		s.wait(5 * time.Second)
		if len(s.done) > 0 {
			t.Errorf("done at %v, before the last look ended", s.done)
		}
		_ = end()
		s.wait(time.Second)
	})
}
