package verify_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

const labYAML = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: NAME, topic: tea}
spec:
  title: The tea room
  level: beginner
  minutes: 5
  namespaces: [NAME]
  setup: {apply: setup.yaml, ready: [deployment/kettle]}
  tasks:
  - {name: open, title: The kettle is on, checks: [{rollout: {of: deployment/kettle, replicas: 2}}]}
  - {name: serve, title: Tea is served, after: [open], checks: [{http: {from: {pods: app=guest}, url: "http://tea/"}}]}
  safeguards:
  - rollout: {of: deployment/guest}
  solutions:
  - {title: by label, apply: right.yaml}
  - {title: by hand, run: right.sh}
  mistakes:
  - {title: cold, apply: cold.yaml, fails: [open], says: no water, tell: Fill it first.}
  - {title: spilt, apply: spilt.yaml, fails: [serve], says: no cup}
  - {title: shut, delete: [deployment/guest], fails: [safeguards], says: no guest}
`

const rightYAML = `apiVersion: v1
kind: Service
metadata: {name: tea}
spec:
  selector: {app: kettle}
  ports:
  - port: 80
    targetPort: 8080
`

const setupYAML = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: kettle}, spec: {replicas: 1, template: {metadata: {labels: {app: kettle}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: guest}, spec: {template: {metadata: {labels: {app: guest}}}}}
`

func TestALabThatIsAsItSaysIsProved(t *testing.T) {
	t.Parallel()
	f := &stageFake{}
	got := prove(t, f, load(t, files([]string{"room"}), "room"))
	if !got.Proved || len(got.Findings) > 0 {
		t.Errorf("findings: %v", got.Findings)
	}
	if diff := cmp.Diff(verify.Strength{Caught: 3, Tried: 3}, got.Listed); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(verify.Strength{Caught: 4, Tried: 4}, got.Generated); diff != "" {
		t.Error(diff)
	}
	// The first of the mistakes is reset at once, which is a proof of its own. The others are undone before the next state,
	// and the last one is taken off as it is.
	want := []string{"start", "hold right.yaml", "undo generated", "reset generated", "undo generated", "reset generated", "reset right.sh", "undo shut", "reset shut", "undo spilt.yaml", "reset spilt.yaml", "reset cold.yaml", "undo generated", "reset generated", "stop"}
	if diff := cmp.Diff(want, f.log); diff != "" {
		t.Error(diff)
	}
}

// Each thing that goes wrong is one finding that says where, and the other states are proved all the same.
func TestWhatGoesWrongIsOneFinding(t *testing.T) {
	t.Parallel()
	verdict := func(state string, task int, v report.Verdict) func(string, *report.Report) {
		return func(at string, r *report.Report) {
			if at == state {
				r.Tasks[task].Verdict = v
			}
		}
	}
	onStep := func(path string, err func(ctx context.Context) error) func(context.Context, stage.Step) error {
		return func(ctx context.Context, s stage.Step) error {
			if s.Apply == path || s.Run == path {
				return err(ctx)
			}
			return nil
		}
	}
	for _, test := range []struct {
		name        string
		fake        *stageFake
		limit       time.Duration
		phase       verify.Phase
		step, words string
		unclear     bool
		states      int // resets that were made
	}{
		{
			name: "a task passes untouched", fake: &stageFake{grade: verdict("untouched", 0, report.Passed)},
			phase: verify.Grade, step: "untouched", words: "open is passed, want failed", states: 8,
		},
		{
			name: "a task cannot be looked at", fake: &stageFake{grade: verdict("untouched", 0, report.Unknown)},
			phase: verify.Grade, step: "untouched", words: "open could not be told", unclear: true, states: 8,
		},
		{name: "a safeguard does not hold", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "untouched" {
				r.Safeguards[0].Verdict = report.Failed
			}
		}}, phase: verify.Grade, step: "untouched", words: "safeguard-1 is failed, want passed", states: 8},
		{
			name: "a solution does not pass", fake: &stageFake{grade: verdict("right.sh", 1, report.Settling)},
			phase: verify.Grade, step: "solution: by hand", words: "serve is settling, want passed", states: 8,
		},
		{
			name: "the solution that mistakes are made from does not pass", fake: &stageFake{grade: verdict("right.yaml", 0, report.Failed)},
			phase: verify.Grade, step: "solution: by label", words: "open is failed, want passed", states: 5,
		},
		{
			name: "a solution deletes the namespace", fake: &stageFake{grade: verdict("right.sh", 0, report.Failed), deleted: []string{"room"}},
			phase: verify.Grade, step: "solution: by hand", words: "namespace room was deleted: open is failed, want passed", states: 8,
		},
		{
			name: "a mistake passes", fake: &stageFake{grade: verdict("spilt.yaml", 1, report.Passed)},
			phase: verify.Grade, step: "mistake: spilt", words: "serve is passed, want failed", states: 8,
		},
		{
			name: "a mistake fails more than it says", fake: &stageFake{grade: verdict("spilt.yaml", 0, report.Failed)},
			phase: verify.Grade, step: "mistake: spilt", words: "open is failed, want passed", states: 8,
		},
		{name: "a safeguard that a mistake breaks holds", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "shut" {
				r.Safeguards[0].Verdict = report.Passed
			}
		}}, phase: verify.Grade, step: "mistake: shut", words: "safeguard-1 is passed, want failed", states: 8},
		{name: "the promised words are not said", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "spilt.yaml" {
				r.Tasks[1].Findings[0].Is = "it is broken"
			}
		}}, phase: verify.Grade, step: "mistake: spilt", words: `no finding says "no cup"; the learner reads "it is broken"`, states: 8},
		{name: "a mistake is not recognised", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "cold.yaml" {
				r.Tell = &report.Remark{Mistake: "another"}
			}
		}}, phase: verify.Grade, step: "mistake: cold", words: "is not recognised", states: 8},
		{name: "a script ends with an error", fake: &stageFake{perform: onStep("right.sh", func(context.Context) error {
			return errors.New("script right.sh ended with exit code 7")
		})}, phase: verify.Perform, step: "solution: by hand", words: "exit code 7", states: 8},
		{name: "a script hangs", limit: 50 * time.Millisecond, fake: &stageFake{perform: onStep("right.sh", func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})}, phase: verify.Perform, step: "solution: by hand", words: "did not end within 50ms", states: 8},
		{name: "a reset leaves something", fake: &stageFake{reset: func(state string) ([]stage.Difference, error) {
			if state == "right.sh" {
				return []stage.Difference{{Object: "pods/stain", Was: "not there", Is: "there"}}, nil
			}
			return nil, nil
		}}, phase: verify.Reset, step: "solution: by hand", words: "pods/stain was not there, is there", states: 8},
		{name: "a reset fails", fake: &stageFake{reset: func(state string) ([]stage.Difference, error) {
			if state == "right.sh" {
				return nil, errors.New("namespace room is not empty")
			}
			return nil, nil
		}}, phase: verify.Reset, step: "solution: by hand", words: "namespace room is not empty", states: 8},
		{
			name: "the setup does not come", fake: &stageFake{startErr: errors.New("ErrImagePull")},
			phase: verify.Setup, step: "start", words: "ErrImagePull", states: 0,
		},
		{
			name: "the cluster is silent", fake: &stageFake{startErr: errors.New("EOF"), silent: errors.New("connection refused")},
			phase: verify.Setup, step: "start", words: "the cluster does not answer: connection refused", unclear: true, states: 0,
		},
		{name: "too much slips through", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "generated" {
				r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
			}
		}}, phase: verify.Strong, step: "generated", words: "0/4 generated mistakes are caught, want 90 %", states: 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := load(t, files([]string{"room"}), "room")
			test.fake.holdErr = errors.New("no room")
			v := verifier(test.fake)
			if test.limit > 0 {
				v.Limit = test.limit
			}
			r, err := v.Run(t.Context(), []*lab.Lab{l}, []*lab.Lab{l})
			if err != nil {
				t.Fatal(err)
			}
			got := r.Labs[0].Findings
			if len(got) != 1 {
				t.Fatalf("%d findings, want one: %v", len(got), got)
			}
			f := got[0]
			if f.Lab != "tea/room" || f.Phase != test.phase || f.Step != test.step || !strings.Contains(f.Is, test.words) || f.Unclear != test.unclear {
				t.Errorf("finding %+v", f)
			}
			resets := slices.DeleteFunc(slices.Clone(test.fake.log), func(line string) bool { return !strings.HasPrefix(line, "reset") })
			if len(resets) != test.states {
				t.Errorf("%d resets, want %d: %v", len(resets), test.states, test.fake.log)
			}
			if last := test.fake.log[len(test.fake.log)-1]; last != "stop" {
				t.Errorf("the last thing done is %s, want stop", last)
			}
			want := 1
			if test.unclear {
				want = 3
			}
			if code := r.ExitCode(); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

func TestLabsThatCollideAreToldAndTheOthersProved(t *testing.T) {
	t.Parallel()
	fsys := files([]string{"room", "yard"})
	room, yard := load(t, fsys, "room"), load(t, fsys, "yard")
	yard.Namespaces = room.Namespaces
	twin := load(t, fsys, "room")
	for _, test := range []struct {
		name, lab, words string
		labs             []*lab.Lab
	}{
		{"namespace", "tea/yard", "namespace room is lab tea/room's too", []*lab.Lab{room, yard}},
		{"name", "tea/room", "two labs are called tea/room", []*lab.Lab{room, twin}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := &stageFake{}
			r, err := verifier(f).Run(t.Context(), test.labs, []*lab.Lab{room, yard})
			if err != nil {
				t.Fatal(err)
			}
			var found []verify.Finding
			for _, l := range r.Labs {
				found = append(found, l.Findings...)
			}
			if len(found) != 1 || found[0].Lab != test.lab || !strings.Contains(found[0].Is, test.words) || r.ExitCode() != 2 {
				t.Errorf("exit code %d, findings %+v", r.ExitCode(), found)
			}
			if !slices.Contains(f.log, "reset right.sh") {
				t.Error("the other lab was not proved")
			}
		})
	}
}

// What takes long must not be left for the end, when nothing is beside it.
func TestLabsThatTakeLongBegin(t *testing.T) {
	t.Parallel()
	quick, slow, ports := load(t, files([]string{"attic"}), "attic"),
		load(t, files([]string{"yard"}, "http: {from", "http: {during: {restart: deployment/kettle}, from"), "yard"),
		load(t, withPort(files([]string{"zoo"}), "zoo"), "zoo")
	v := verifier(&stageFake{})
	var began []string
	v.Observe = func(e verify.Event) {
		if e.What == verify.Began && !slices.Contains(began, e.Lab) {
			began = append(began, e.Lab)
		}
	}
	all := []*lab.Lab{quick, slow, ports}
	if _, err := v.Run(t.Context(), all, all); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tea/zoo", "tea/yard", "tea/attic"}, began); diff != "" {
		t.Error(diff)
	}
}

func TestRoundsAfterTheFirstTryNoMistakes(t *testing.T) {
	t.Parallel()
	f := &stageFake{}
	v := verifier(f)
	v.Repeat, v.Generate = 3, 0
	l := load(t, files([]string{"room"}), "room")
	if _, err := v.Run(t.Context(), []*lab.Lab{l}, nil); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, line := range f.log {
		counts[line]++
	}
	want := map[string]int{"start": 1, "stop": 1, "reset right.yaml": 3, "undo right.yaml": 2, "reset right.sh": 2, "undo right.sh": 1, "reset cold.yaml": 1, "undo spilt.yaml": 1, "reset spilt.yaml": 1, "undo shut": 1, "reset shut": 1}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}

func TestACachedLabIsNotProvedAgainUntilItChanges(t *testing.T) {
	t.Parallel()
	cache := &verify.Cache{Dir: t.TempDir(), Key: "grader"}
	run := func(fsys fs.FS, cache *verify.Cache) (verify.Lab, int) {
		f := &stageFake{}
		v := verifier(f)
		v.Cache = cache
		l := load(t, fsys, "room")
		r, err := v.Run(t.Context(), []*lab.Lab{l}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Labs[0], len(f.log)
	}
	same := files([]string{"room"})
	first, _ := run(same, cache)
	again, done := run(same, cache)
	if first.Cached || !again.Cached || !again.Proved || done != 0 || again.Generated != first.Generated {
		t.Errorf("first %+v, then %+v with %d calls", first, again, done)
	}
	other := maps.Clone(same)
	other["tea/room/right.sh"] = &fstest.MapFile{Data: []byte("echo other")}
	if got, _ := run(other, cache); got.Cached {
		t.Error("a lab that has changed is not proved again")
	}
	if got, _ := run(same, &verify.Cache{Dir: cache.Dir, Key: "other grader"}); got.Cached {
		t.Error("a lab is not proved again with another grader")
	}
}

func TestAnInterruptedLabIsTakenOffAndNotCalledProved(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := &stageFake{perform: func(ctx context.Context, _ stage.Step) error { cancel(); <-ctx.Done(); return ctx.Err() }}
	l := load(t, files([]string{"room"}), "room")
	r, err := verifier(f).Run(ctx, []*lab.Lab{l}, nil)
	if !errors.Is(err, context.Canceled) || r.Labs[0].Proved || len(r.Labs[0].Findings) > 0 {
		t.Errorf("error %v, lab %+v", err, r.Labs[0])
	}
	if f.log[len(f.log)-1] != "stop" {
		t.Errorf("%v", f.log)
	}
}
