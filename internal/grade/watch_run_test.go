package grade

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// tasks is a lab of a task for each kind, independent of each other.
func tasks(kinds ...string) *lab.Lab {
	l := &lab.Lab{Name: "basics/many", Namespaces: []string{"shop"}}
	for _, k := range kinds {
		l.Tasks = append(l.Tasks, lab.Task{ID: k, Points: 1, Checks: checks(k)})
	}
	return l
}

func TestOnlyChecksWhoseObjectsChangedRunAgain(t *testing.T) {
	t.Parallel()
	ok := &truth{err: wrong()} // so that nothing is over
	eyes := func() []*eye {
		probe := sees("probe", ok, check.Dependency{Resource: configMaps, Namespace: "shop", Name: "map"})
		probe.probing = true
		return []*eye{
			sees("name", ok, maps("menu")),
			sees("label", ok, check.Dependency{Resource: configMaps, Namespace: "shop", Selector: "tier in (web,app)"}),
			sees("all", ok, check.Dependency{Resource: configMaps, Namespace: "shop"}),
			sees("other", ok, check.Dependency{Resource: configMaps, Namespace: "mall"}),
			sees("guess", ok, check.Dependency{Resource: schema.GroupVersionResource{Resource: "widgets"}, Namespace: "shop"}),
			sees("node", ok, check.Dependency{Resource: nodesV1, Namespace: "shop", Name: "n1"}), // a kind without namespaces
			sees("two", ok, maps("menu"), check.Dependency{Resource: podsV1, Namespace: "shop", Selector: "tier=db"}),
			probe,
		}
	}
	web, db := map[string]string{"tier": "web"}, map[string]string{"tier": "db"}
	tests := []struct {
		name   string
		before func(*scene) // the watch begins
		change func(*scene)
		want   []string
	}{
		{"made, by name", nil, func(s *scene) { s.put(configMaps, "shop", "menu", nil) }, []string{"all", "name", "two"}},
		{"made, by label", nil, func(s *scene) { s.put(configMaps, "shop", "x", web) }, []string{"all", "label"}},
		{"another namespace", nil, func(s *scene) { s.put(configMaps, "mall", "menu", web) }, []string{"other"}},
		{"a namespace of nobody's", nil, func(s *scene) { s.put(configMaps, "away", "menu", web) }, nil},
		{"a resource by its name alone", nil, func(s *scene) { s.put(widgets, "shop", "x", nil) }, []string{"guess"}},
		{"a node", nil, func(s *scene) { s.put(nodesV1, "", "n1", nil) }, []string{"node"}},
		{"another node", nil, func(s *scene) { s.put(nodesV1, "", "n2", nil) }, nil},
		{
			"the label comes", func(s *scene) { s.put(configMaps, "shop", "x", nil) },
			func(s *scene) { s.put(configMaps, "shop", "x", web) },
			[]string{"all", "label"},
		},
		{
			"the label goes", func(s *scene) { s.put(configMaps, "shop", "x", web) },
			func(s *scene) { s.put(configMaps, "shop", "x", db) },
			[]string{"all", "label"},
		},
		{
			"the same again", func(s *scene) { s.put(configMaps, "shop", "menu", web) },
			func(s *scene) { s.repeat(configMaps, "shop", "menu") }, nil,
		},
		{
			"deleted", func(s *scene) { s.put(configMaps, "shop", "menu", web) },
			func(s *scene) { s.remove(configMaps, "shop", "menu") },
			[]string{"all", "label", "name", "two"},
		},
		{"a pod is news for probes too", nil, func(s *scene) { s.put(podsV1, "shop", "x", db) }, []string{"probe", "two"}},
		{"endpoints are", nil, func(s *scene) { s.put(slicesV1, "shop", "x", nil) }, []string{"probe"}},
		{"policies are", nil, func(s *scene) { s.put(policiesV1, "shop", "x", nil) }, []string{"probe"}},
		{"a pod elsewhere is not", nil, func(s *scene) { s.put(podsV1, "mall", "x", db) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				all := eyes()
				s := newScene(t, all...)
				if tt.before != nil {
					tt.before(s)
				}
				end := s.watch(tasks("name", "label", "all", "other", "guess", "node", "two", "probe"), true)
				s.wait(10500 * time.Millisecond)
				for _, e := range all {
					e.times()
				}
				tt.change(s)
				s.wait(100 * time.Millisecond)
				var again []string
				for _, e := range all {
					if n := e.times(); len(n) == 1 {
						again = append(again, e.name)
					} else if len(n) > 1 {
						t.Errorf("%s ran at %v", e.name, n)
					}
				}
				slices.Sort(again)
				if diff := cmp.Diff(tt.want, again); diff != "" {
					t.Error(diff)
				}
				_ = end()
			})
		})
	}
}

func TestAnInformerForEachPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ok := &truth{err: wrong()}
		changes := sees("changes", ok, check.Dependency{Resource: widgets, Namespace: "shop"})
		changes.changes = true
		a := sees("a", ok, maps("menu"), maps("bill"))
		s := newScene(t, a, sees("b", ok, check.Dependency{Resource: configMaps, Namespace: "shop", Selector: "x=y"}),
			sees("c", ok, maps("menu"), check.Dependency{Resource: configMaps, Namespace: "mall"}), changes)
		s.put(configMaps, "shop", "menu", nil)
		end := s.watch(tasks("a", "b", "c", "changes"), true)
		s.wait(time.Minute)
		// What was there before is no change, and all is watched.
		if diff := cmp.Diff([]time.Duration{0, 30 * time.Second, time.Minute}, a.times()); diff != "" {
			t.Error(diff)
		}
		got := map[string]int{}
		for _, a := range s.dyn.Actions() {
			if a.GetVerb() == "watch" {
				got[a.GetNamespace()+"/"+a.GetResource().Resource]++
			}
		}
		if diff := cmp.Diff(map[string]int{"shop/configmaps": 1, "mall/configmaps": 1}, got); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

func TestABurstIsOneLook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := sees("look", &truth{err: wrong()}, maps("menu"))
		s := newScene(t, e)
		end := s.watch(one("look"), true)
		s.wait(10 * time.Second)
		e.times()
		for range 5 {
			s.put(configMaps, "shop", "menu", nil)
			s.wait(20 * time.Millisecond)
		}
		s.wait(40 * time.Millisecond)
		if diff := cmp.Diff([]time.Duration{10120 * time.Millisecond}, e.times()); diff != "" {
			t.Error("40 ms after the last of five changes:", diff)
		}
		s.wait(10 * time.Second)
		e.times()
		for range 20 {
			s.put(configMaps, "shop", "menu", nil)
			s.wait(20 * time.Millisecond)
		}
		want := []time.Duration{20340 * time.Millisecond, 20540 * time.Millisecond}
		if diff := cmp.Diff(want, e.times()); diff != "" {
			t.Error("every 200 ms while changes do not end:", diff)
		}
		_ = end()
	})
}

func TestProbesAreAskedAgainWithoutAnEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{err: wrong()}
		probe, object := sees("reach", a, maps("menu")), sees("object", a, maps("menu"))
		probe.probing = true
		s := newScene(t, probe, object)
		end := s.watch(tasks("reach", "object"), true)
		seconds := func(e *eye) (all []float64) {
			for _, d := range e.times() {
				all = append(all, d.Seconds())
			}
			return all
		}
		s.wait(7 * time.Second)
		if diff := cmp.Diff([]float64{0, 2, 4, 6}, seconds(probe)); diff != "" {
			t.Error("while failing", diff)
		}
		a.set(nil)
		s.wait(23500 * time.Millisecond)
		if diff := cmp.Diff([]float64{8, 18, 28}, seconds(probe)); diff != "" {
			t.Error("while passing", diff)
		}
		if diff := cmp.Diff([]float64{0, 30}, seconds(object)); diff != "" {
			t.Error("an object check, for safety", diff)
		}
		s.wait(10 * time.Second)
		probe.times()
		a.set(wrong())
		s.put(policiesV1, "shop", "deny", nil) // at 40.5
		s.wait(1200 * time.Millisecond)
		a.set(nil) // the network is there
		s.wait(20 * time.Second)
		want := []float64{40.54, 40.79, 41.04, 41.29, 41.54, 41.79, 42.5, 43.5, 44.5, 45.5, 46.5, 56.5}
		if diff := cmp.Diff(want, seconds(probe)); diff != "" {
			t.Error("after a change", diff)
		}
		_ = end()
	})
}

// There is one run of a check at a time, and what it found while things changed is not taken.
func TestOutdatedAnswersAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{err: wrong()}
		slow := &eye{objects: []check.Dependency{maps("menu")}, fake: fake{name: "slow", run: func(ctx context.Context, _ *check.Cluster) error {
			err := a.get(ctx, nil) // as it is when it begins
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return err
			}
		}}}
		s := newScene(t, slow)
		end := s.watch(one("slow"), true)
		s.wait(10 * time.Second)
		slow.times()
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil) // at 10: a run from 10.04, which is abandoned
		s.wait(500 * time.Millisecond)
		a.set(wrong())
		for range 3 {
			s.put(configMaps, "shop", "menu", nil) // and so on
			s.wait(100 * time.Millisecond)
		}
		s.wait(900 * time.Millisecond)
		if diff := cmp.Diff([]time.Duration{ms(10040), ms(10540), ms(10640), ms(10740)}, slow.times()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"1.00 one failed"}, s.told()); diff != "" {
			t.Error("the yes of before the second change is told:", diff)
		}
		// Where changes never end, a late answer has to do.
		s.wait(8300 * time.Millisecond)
		a.set(nil)
		for range 40 {
			s.put(configMaps, "shop", "menu", nil)
			s.wait(100 * time.Millisecond)
		}
		if diff := cmp.Diff([]string{"23.04 one passed"}, s.told()); diff != "" {
			t.Error(diff)
		}
		if slow.crowded {
			t.Error("two runs at once")
		}
		_ = end()
	})
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestASlowCheckHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		deaf := &eye{objects: []check.Dependency{maps("menu")}, fake: fake{name: "deaf", run: func(context.Context, *check.Cluster) error {
			<-release
			return nil
		}}}
		buggy := &eye{fake: fake{name: "buggy", run: func(context.Context, *check.Cluster) error { panic("boom") }}}
		a := &truth{err: wrong()}
		s := newScene(t, deaf, buggy, sees("look", a, maps("menu")))
		end := s.watch(tasks("deaf", "buggy", "look"), true)
		s.wait(time.Second)
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(15500 * time.Millisecond)
		want := []string{"0.00 buggy unknown", "0.00 look failed", "1.04 look passed", "16.04 deaf unknown"}
		if diff := cmp.Diff(want, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

func TestWatchedTasksWaitForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &truth{err: wrong()}, &truth{err: wrong()}
		first, second := sees("first", a, maps("menu")), sees("second", b, maps("bill"))
		s := newScene(t, first, second)
		l := tasks("first", "second")
		l.Tasks[1].After = []string{"first"}
		end := s.watch(l, true)
		s.wait(10 * time.Second)
		if n := second.times(); n != nil {
			t.Errorf("a blocked check ran at %v", n)
		}
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(10 * time.Second)
		b.set(nil)
		s.put(configMaps, "shop", "bill", nil)
		s.wait(10 * time.Second)
		// A foundation that is settling takes nothing away; one that has failed does.
		a.set(wrong())
		s.put(configMaps, "shop", "menu", nil)
		s.wait(10 * time.Second)
		want := []string{
			"0.00 first failed", "0.00 second blocked",
			"10.04 first passed", "10.04 second settling", "11.04 second failed",
			"20.04 second passed",
			"30.04 first settling", "31.04 first failed", "31.04 second blocked",
		}
		if diff := cmp.Diff(want, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

// What changes the cluster is never run: its task says who runs it, and does not keep watching from its end.
func TestWhatChangesTheClusterIsNotAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{err: wrong()}
		smash := &eye{fake: fake{name: "smash", changes: true, run: func(context.Context, *check.Cluster) error {
			t.Error("it was run")
			return nil
		}}}
		s := newScene(t, sees("look", a, maps("menu")), smash)
		l := one("look", "smash")
		l.Tasks = append(l.Tasks, lab.Task{ID: "two", After: []string{"one"}, Checks: checks("look")})
		end := s.watch(l, false)
		s.wait(10 * time.Second)
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(time.Second)
		want := []report.Finding{{Check: "smash", Is: "it changes the cluster, so it is asked only by kindlab check"}}
		if got := s.last.Tasks[0]; got.Verdict != report.Blocked || cmp.Diff(want, got.Findings) != "" {
			t.Errorf("got %+v, want blocked with %v", got, want)
		}
		// It can be lost before it is asked.
		a.set(wrong())
		s.put(configMaps, "shop", "menu", nil)
		s.wait(5 * time.Second)
		a.set(nil)
		s.put(configMaps, "shop", "menu", nil)
		s.wait(5 * time.Second)
		news := []string{
			"0.00 one failed", "0.00 two blocked", "10.04 one blocked", "11.04 one settling", "12.04 one failed", "16.04 one blocked",
		}
		if diff := cmp.Diff(news, s.told()); diff != "" {
			t.Error(diff)
		}
		if err := end(); err != nil || len(s.done) != 1 {
			t.Errorf("ended with %v, done at %v; want done once and no error", err, s.done)
		}
	})
}

// The objects of a resource that the learner is to make are watched from when it exists; until then there are looks.
func TestResourcesThatDoNotExistYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{err: wrong()}
		e := sees("look", a, check.Dependency{Resource: widgets, Namespace: "shop"})
		s := newScene(t, e)
		s.mapper.exists("widgets", false)
		s.mapper.Reset()
		end := s.watch(one("look"), true)
		s.wait(10500 * time.Millisecond)
		want := []time.Duration{1 * time.Second, 3 * time.Second, 5 * time.Second, 7 * time.Second, 9 * time.Second}
		if diff := cmp.Diff(want, e.times()); diff != "" {
			t.Error(diff)
		}
		s.mapper.exists("widgets", true)
		s.wait(10 * time.Second)
		e.times()
		a.set(nil)
		s.put(widgets, "shop", "x", nil)
		s.wait(time.Second)
		if diff := cmp.Diff([]string{"1.00 one failed", "20.54 one passed"}, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

// Without the right to watch there are looks still.
func TestWhatMayNotBeWatchedIsLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{err: wrong()}
		s := newScene(t, sees("look", a, maps("menu")))
		s.dyn.PrependReactor("list", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(configMaps.GroupResource(), "", nil)
		})
		end := s.watch(one("look"), true)
		s.wait(10500 * time.Millisecond)
		a.set(nil)
		s.wait(time.Second)
		if diff := cmp.Diff([]string{"1.00 one failed", "11.00 one passed"}, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}
