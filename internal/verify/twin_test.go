package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// slowly are files of labs whose grade changes the cluster.
func slowly(names ...string) fstest.MapFS {
	return files(names, `{http: {from: {pods: app=guest}, url: "http://tea/"}}`, `{exec: {in: {pods: app=guest}, run: [sip], changes: true}}`)
}

// beside proves a lab that is slow beside twins, which are as the test makes them, and quick. For more there is no room.
func beside(t *testing.T, l *lab.Lab, twins ...*stageFake) (got verify.Lab, itself *stageFake, told []string) {
	t.Helper()
	within := func(pause time.Duration) func(context.Context, stage.Step) error {
		return func(context.Context, stage.Step) error { time.Sleep(pause); return nil }
	}
	itself = &stageFake{perform: within(20 * time.Second)}
	for _, twin := range twins {
		twin.perform = within(10 * time.Millisecond)
	}
	synctest.Test(t, func(t *testing.T) {
		v := verifier(itself)
		free := append([]*stageFake{itself}, twins...)
		v.Parallel, v.Scene = len(free), func(bool) verify.Scene {
			if len(free) == 0 {
				return &stageFake{startErr: stage.ErrNotOurs}
			}
			f := free[0]
			free = free[1:]
			return f
		}
		v.Observe = func(e verify.Event) {
			if e.What == verify.Listed || e.What == verify.MadeUp {
				told = append(told, e.Step)
			}
		}
		r, err := v.Run(t.Context(), []*lab.Lab{l}, []*lab.Lab{l})
		if err != nil || len(r.Labs) != 1 {
			t.Fatalf("error %v, report %+v", err, r)
		}
		got = r.Labs[0]
	})
	return got, itself, told
}

func TestATwinTriesWrongAnswers(t *testing.T) {
	t.Parallel()
	twin := &stageFake{}
	got, itself, told := beside(t, load(t, slowly("room"), "room"), twin)
	if !got.Proved || got.Name != "tea/room" || got.Listed.Caught != 3 || got.Generated.Caught != 4 {
		t.Errorf("got %+v", got)
	}
	if once := slices.Compact(slices.Sorted(slices.Values(told))); len(once) != 7 || len(told) != 7 {
		t.Errorf("told %v", told)
	}
	if twin.lab.Name != "tea/room-twin-1" || !slices.Equal(twin.lab.Namespaces, []string{"room-twin-1"}) {
		t.Errorf("the twin is %s in %v", twin.lab.Name, twin.lab.Namespaces)
	}
	if slices.Contains(itself.log, "reset generated") || !slices.Contains(twin.log, "reset generated") || twin.log[1] != "reset right.sh" {
		t.Errorf("the lab: %v\nthe twin: %v", itself.log, twin.log)
	}
}

// What a twin does not find as it should be, the lab itself decides.
func TestATwinDecidesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		twin *stageFake
		log  []string // of the twin, its beginning
	}{
		{"a mistake passes in it", &stageFake{grade: func(state string, r *report.Report) {
			if state == "spilt.yaml" {
				r.Tasks[1].Verdict = report.Passed
			}
		}}, []string{"start", "reset right.sh", "undo generated"}},
		{"a generated mistake passes in it", &stageFake{grade: func(state string, r *report.Report) {
			if state == "generated" {
				r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
			}
		}}, []string{"start", "reset right.sh", "undo generated"}},
		{"its reset leaves something", &stageFake{reset: func(state string) ([]stage.Difference, error) {
			if state != "generated" {
				return nil, nil
			}
			return []stage.Difference{{Object: "pods/stain", Was: "not there", Is: "there"}}, nil
		}}, []string{"start", "reset right.sh", "undo generated", "reset generated", "stop", "start"}},
		{"the other solution does not pass in it", &stageFake{grade: func(state string, r *report.Report) {
			if state == "right.sh" {
				r.Tasks[0].Verdict = report.Failed
			}
		}}, []string{"start", "reset right.sh", "stop"}},
		{"a task passes untouched in it", &stageFake{grade: func(state string, r *report.Report) {
			if state == "untouched" {
				r.Tasks[0].Verdict = report.Passed
			}
		}}, []string{"start", "stop"}},
		{"it cannot be started", &stageFake{startErr: errors.New("no room")}, []string{"start", "stop"}},
		{"its place is somebody else's", &stageFake{startErr: stage.ErrNotOurs}, []string{"start"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, told := beside(t, load(t, slowly("room"), "room"), tt.twin)
			if !got.Proved || got.Listed != (verify.Strength{Caught: 3, Tried: 3}) || got.Generated != (verify.Strength{Caught: 4, Tried: 4}) || len(told) != 7 {
				t.Errorf("got %+v, told %v", got, told)
			}
			if diff := cmp.Diff(tt.log, tt.twin.log[:min(len(tt.log), len(tt.twin.log))]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a task catches in a twin counts if the task has passed there, in whichever state: else it might fail whatever is done.
func TestATaskThatCatchesHasPassedInTheTwin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		grade func(state string, r *report.Report)
		want  bool // that it is solved before a generated mistake counts
	}{
		{"it has passed in a mistake", nil, false},
		{"another has passed in none", func(state string, r *report.Report) {
			if state == "shut" {
				r.Tasks[1].Verdict = report.Failed // a doubt
			}
		}, false},
		{"it has passed in none", func(state string, r *report.Report) {
			if state == "shut" || state == "spilt.yaml" {
				r.Tasks[0].Verdict = report.Failed // a doubt
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			first, second := &stageFake{}, &stageFake{starts: time.Millisecond, grade: tt.grade}
			first.reset = func(string) ([]stage.Difference, error) { time.Sleep(time.Second); return nil, nil }
			got, _, told := beside(t, load(t, slowly("room"), "room"), first, second)
			if !got.Proved || len(told) != 7 || got.Generated.Caught != 4 {
				t.Errorf("got %+v, told %v", got, told)
			}
			if solved := slices.Contains(second.log, "reset right.yaml"); solved != tt.want || !slices.Contains(second.log, "reset generated") {
				t.Errorf("first: %v\nsecond: %v", first.log, second.log)
			}
		})
	}
}

// A lab whose checks change nothing gets twins when it turns out to be slow.
func TestALabThatTurnsOutToBeSlowHasTwins(t *testing.T) {
	t.Parallel()
	twin := &stageFake{}
	got, _, told := beside(t, load(t, files([]string{"room"}), "room"), twin)
	if !got.Proved || len(told) != 7 || !slices.Contains(twin.log, "reset generated") {
		t.Errorf("got %+v, told %v, the twin: %v", got, told, twin.log)
	}
}

// A lab that waits for what its scripts change has more twins than one that keeps the processors busy.
func TestALabThatWaitsHasMoreTwins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		files    fstest.MapFS
		parallel int
		want     int // scenes
	}{
		{"it waits", slowly("room"), 3, 5},
		{"it waits, and one at a time was asked for", slowly("room"), 1, 1},
		{"it is slow", files([]string{"room"}), 3, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, scenes := load(t, tt.files, "room"), 0
			synctest.Test(t, func(t *testing.T) {
				v := verifier(nil)
				v.Parallel, v.Scene = tt.parallel, func(bool) verify.Scene {
					scenes++
					return &stageFake{perform: func(context.Context, stage.Step) error { time.Sleep(20 * time.Second); return nil }}
				}
				if r, err := v.Run(t.Context(), []*lab.Lab{l}, nil); err != nil || !r.Labs[0].Proved {
					t.Errorf("error %v, report %+v", err, r)
				}
			})
			if scenes != tt.want {
				t.Errorf("%d scenes, want %d", scenes, tt.want)
			}
		})
	}
}

// A port of the nodes is there once.
func TestALabWithNodePortsHasNoTwin(t *testing.T) {
	t.Parallel()
	twin := &stageFake{}
	got, _, _ := beside(t, load(t, withPort(slowly("room"), "room"), "room"), twin)
	if !got.Proved || len(twin.log) > 0 {
		t.Errorf("got %+v, the twin: %s", got, strings.Join(twin.log, ", "))
	}
}
