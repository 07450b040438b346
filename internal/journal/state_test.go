package journal

import (
	"testing"
	"time"
)

func fresh() *State {
	s := State{Version: version}.complete()
	return &s
}

func TestPlacesAreToldApart(t *testing.T) {
	t.Parallel()
	ours, theirs := Place{Name: "x"}, Place{Context: "x"}
	s := fresh()
	s.Start(ours, "services/clusterip", noon())
	s.Start(theirs, "services/nodeport", noon())
	if s.Current(ours) != "services/clusterip" || s.Current(theirs) != "services/nodeport" {
		t.Errorf("current labs: %q and %q", s.Current(ours), s.Current(theirs))
	}
	if s.Place != theirs {
		t.Errorf("place = %v, want the one used last", s.Place)
	}
	s.Leave(theirs)
	if s.Current(theirs) != "" || s.Place != (Place{}) {
		t.Errorf("after leaving: lab %q, place %v", s.Current(theirs), s.Place)
	}
	s.Place = ours
	s.Engines["x"] = "podman"
	s.Leave(theirs)
	if s.Place != ours {
		t.Error("leaving one place forgot another")
	}
	if s.Engines["x"] != "podman" {
		t.Error("leaving a context forgot the engine of a cluster of the same name")
	}
	s.Leave(ours)
	if len(s.Engines) > 0 {
		t.Errorf("engines after the last cluster has gone: %v", s.Engines)
	}
}

func TestHintsComeOneByOne(t *testing.T) {
	t.Parallel()
	s := fresh()
	for i, want := range []int{0, 1, 2, 2} {
		if got := s.NextHint("l", "task", 3); got != want {
			t.Errorf("call %d gives hint %d, want %d", i+1, got, want)
		}
	}
	if got := s.NextHint("l", "other", 3); got != 0 {
		t.Errorf("first hint of another task is %d, want 0", got)
	}
	s.Record("l", Result{Time: noon(), Points: 1}, true)
	s.Renew("l")
	if last := s.Progress["l"].Last; !last.Time.IsZero() {
		t.Errorf("the latest grade outlived a reset: %+v", last)
	}
	if got := s.NextHint("l", "task", 3); got != 0 {
		t.Errorf("first hint after a reset is %d, want 0", got)
	}
	s.Renew("never heard of")
	if _, ok := s.Progress["never heard of"]; ok {
		t.Error("renewing a lab that was never graded made it known")
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	s := fresh()
	later := noon().Add(time.Hour)
	s.Record("l", Result{Time: noon(), Passed: true}, false)
	if p := s.Progress["l"]; p.Checks != 1 || !p.Solved.IsZero() || !p.Last.Time.IsZero() {
		t.Errorf("a check of one task counts as a result: %+v", p)
	}
	s.Record("l", Result{Time: noon(), Passed: true}, true)
	s.Record("l", Result{Time: later, Passed: false}, true)
	p := s.Progress["l"]
	if p.Checks != 3 || p.Last.Passed || !p.Last.Time.Equal(later) {
		t.Errorf("latest result: %+v", p)
	}
	if !p.Solved.Equal(noon()) {
		t.Errorf("solved = %v, want the first time: %v", p.Solved, noon())
	}
}

func TestLabsSideBySide(t *testing.T) {
	t.Parallel()
	here := Place{Name: "x"}
	s := fresh()
	s.Start(here, "a", noon())
	s.Start(here, "b", noon())
	s.Start(here, "b", noon())
	if !s.Has(here, "a") || !s.Has(here, "b") || s.Current(here) != "b" || s.Has(Place{Name: "y"}, "a") {
		t.Errorf("after two starts: %+v", s.Started)
	}
	s.Stop(here, "a")
	if s.Has(here, "a") || s.Current(here) != "b" {
		t.Errorf("after stopping the other one: %+v", s.Started)
	}
	s.Stop(here, "b")
	if len(s.Started) > 0 {
		t.Errorf("after stopping both: %+v", s.Started)
	}
}

func TestAnswersLastUntilTheLabBeginsAnew(t *testing.T) {
	t.Parallel()
	s := State{}.complete()
	s.Answer("a/b", "one", "first")
	before := s.Progress["a/b"].Answers
	s.Answer("a/b", "one", "second")
	s.Answer("a/b", "two", "x")
	if got := s.Progress["a/b"].Answers; got["one"] != "second" || got["two"] != "x" {
		t.Errorf("answers are %v", got)
	}
	if before["one"] != "first" {
		t.Error("an older copy of the state was changed")
	}
	s.Renew("a/b")
	if got := s.Progress["a/b"].Answers; got != nil {
		t.Errorf("after a reset %v is still answered", got)
	}
}
