package verify_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
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

// files are a catalogue with labs of these names, and changes of lab.yaml.
func files(names []string, replace ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for _, name := range names {
		put := func(file, text string) { all["tea/"+name+"/"+file] = &fstest.MapFile{Data: []byte(text)} }
		put("lab.yaml", strings.NewReplacer(replace...).Replace(strings.ReplaceAll(labYAML, "NAME", name)))
		for _, text := range []string{"README.md", "debrief.md"} {
			put(text, "A text.")
		}
		for _, task := range []string{"open", "serve"} {
			put("hints/"+task+".md", "a\n---\nb\n---\nc\n")
		}
		put("right.sh", "echo right")
		put("setup.yaml", setupYAML)
		put("right.yaml", rightYAML)
		for _, mistake := range []string{"cold", "spilt"} {
			put(mistake+".yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+mistake+"}}")
		}
	}
	return all
}

// withPort makes a lab ask for a port of the nodes.
func withPort(fsys fstest.MapFS, name string) fstest.MapFS {
	fsys["tea/"+name+"/right.yaml"] = &fstest.MapFile{Data: []byte(rightYAML + "    nodePort: 30080\n")}
	return fsys
}

func load(t *testing.T, fsys fs.FS, name string) *lab.Lab {
	t.Helper()
	l, err := lab.Load(fsys, "tea/"+name, check.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stageFake is a cluster on which a lab behaves as its author says, but for what a test breaks.
type stageFake struct {
	mu       sync.Mutex
	lab      *lab.Lab
	done     []stage.Step
	log      []string
	starts   time.Duration // how long a start takes
	startErr error
	perform  func(ctx context.Context, s stage.Step) error
	grade    func(state string, r *report.Report)
	reset    func(state string) ([]stage.Difference, error)
	silent   error
	deleted  []string
	hasty    func(state string) bool // whether a state is undone in place
	touches  bool                    // whether a grade changes something
	held     []stage.Step            // what undo goes back to
	holdErr  error
	lasts    bool // whether what was undone still shows
}

func (f *stageFake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

// state names what was last done to the cluster.
func (f *stageFake) state() string {
	if len(f.done) == 0 {
		return "untouched"
	}
	s := f.done[len(f.done)-1]
	switch {
	case len(s.Manifests) > 0 || len(f.done) > 1:
		return "generated"
	case s.Apply != "":
		return s.Apply
	case s.Run != "":
		return s.Run
	}
	return "shut"
}

func (f *stageFake) Start(_ context.Context, l *lab.Lab) error {
	time.Sleep(f.starts)
	f.lab, f.done = l, nil
	f.note("start")
	return f.startErr
}

func (f *stageFake) Perform(ctx context.Context, s stage.Step) error {
	f.done = append(f.done, s)
	if f.perform != nil {
		return f.perform(ctx, s)
	}
	return ctx.Err()
}

func (f *stageFake) Grade(ctx context.Context, _ bool) (report.Report, error) {
	state := f.state()
	r := report.Report{
		Tasks:      []report.Task{{ID: "open", Verdict: report.Passed}, {ID: "serve", Verdict: report.Passed}},
		Safeguards: []report.Task{{ID: "safeguard-1", Verdict: report.Passed}},
	}
	fail := func(t *report.Task, is string) {
		t.Verdict, t.Findings = report.Failed, []report.Finding{{Check: "http", Is: is}}
	}
	switch state {
	case "untouched", "generated":
		fail(&r.Tasks[0], "no kettle")
		r.Tasks[1].Verdict = report.Blocked
	case "cold.yaml":
		fail(&r.Tasks[0], "there is no water")
		r.Tasks[1].Verdict = report.Blocked
		r.Tell = &report.Remark{Mistake: "cold", Text: "Fill it first."}
	case "spilt.yaml":
		fail(&r.Tasks[1], "there is no cup")
	case "shut":
		fail(&r.Safeguards[0], "there is no guest")
	}
	if f.grade != nil {
		f.grade(state, &r)
	}
	return r, ctx.Err()
}

func (f *stageFake) Reset(ctx context.Context, l *lab.Lab) ([]stage.Difference, error) {
	state := f.state()
	f.note("reset %s", state)
	f.lab, f.done, f.held = l, nil, nil
	if f.reset != nil {
		return f.reset(state)
	}
	return nil, ctx.Err()
}

func (f *stageFake) Undo(context.Context) (bool, error) {
	f.note("undo %s", f.state())
	if f.hasty != nil && f.hasty(f.state()) {
		f.done = slices.Clone(f.held)
		return true, nil
	}
	return false, nil
}

func (f *stageFake) Hold(context.Context) error {
	f.note("hold %s", f.state())
	if f.holdErr == nil {
		f.held = slices.Clone(f.done)
	}
	return f.holdErr
}

func (f *stageFake) Passes(context.Context) (bool, error) {
	f.note("passes %s", f.state())
	return !f.lasts, nil
}
func (f *stageFake) Touched() bool                    { return f.touches }
func (f *stageFake) Stop(context.Context) error       { f.note("stop"); return nil }
func (f *stageFake) Deleted(context.Context) []string { return f.deleted }
func (f *stageFake) Answers(context.Context) error    { return f.silent }
func (f *stageFake) Empower(context.Context) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

func verifier(f *stageFake) *verify.Verifier {
	return &verify.Verifier{
		Kinds: check.Builtin(), Scene: func(bool) verify.Scene { return f }, Enforced: true, Repeat: 1, Generate: 4, Parallel: 1,
		Limit: time.Minute, Now: time.Now,
	}
}

func prove(t *testing.T, f *stageFake, l *lab.Lab) verify.Lab {
	t.Helper()
	r, err := verifier(f).Run(t.Context(), []*lab.Lab{l}, []*lab.Lab{l})
	if err != nil || len(r.Labs) != 1 {
		t.Fatalf("error %v, report %+v", err, r)
	}
	return r.Labs[0]
}

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
	want := []string{"start", "hold right.yaml", "undo generated", "reset generated", "reset right.sh", "undo shut", "reset shut", "undo spilt.yaml", "reset spilt.yaml", "reset cold.yaml"}
	if diff := cmp.Diff(want, f.log[:len(want)]); diff != "" || f.log[len(f.log)-1] != "stop" {
		t.Errorf("%v\n%s", f.log, diff)
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
			phase: verify.Grade, step: "untouched", words: "open is passed, want failed", states: 9,
		},
		{
			name: "a task cannot be looked at", fake: &stageFake{grade: verdict("untouched", 0, report.Unknown)},
			phase: verify.Grade, step: "untouched", words: "open could not be told", unclear: true, states: 9,
		},
		{name: "a safeguard does not hold", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "untouched" {
				r.Safeguards[0].Verdict = report.Failed
			}
		}}, phase: verify.Grade, step: "untouched", words: "safeguard-1 is failed, want passed", states: 9},
		{
			name: "a solution does not pass", fake: &stageFake{grade: verdict("right.sh", 1, report.Settling)},
			phase: verify.Grade, step: "solution: by hand", words: "serve is settling, want passed", states: 9,
		},
		{
			name: "the solution that mistakes are made from does not pass", fake: &stageFake{grade: verdict("right.yaml", 0, report.Failed)},
			phase: verify.Grade, step: "solution: by label", words: "open is failed, want passed", states: 5,
		},
		{
			name: "a solution deletes the namespace", fake: &stageFake{grade: verdict("right.sh", 0, report.Failed), deleted: []string{"room"}},
			phase: verify.Grade, step: "solution: by hand", words: "namespace room was deleted: open is failed, want passed", states: 9,
		},
		{
			name: "a mistake passes", fake: &stageFake{grade: verdict("spilt.yaml", 1, report.Passed)},
			phase: verify.Grade, step: "mistake: spilt", words: "serve is passed, want failed", states: 9,
		},
		{
			name: "a mistake fails more than it says", fake: &stageFake{grade: verdict("spilt.yaml", 0, report.Failed)},
			phase: verify.Grade, step: "mistake: spilt", words: "open is failed, want passed", states: 9,
		},
		{name: "a safeguard that a mistake breaks holds", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "shut" {
				r.Safeguards[0].Verdict = report.Passed
			}
		}}, phase: verify.Grade, step: "mistake: shut", words: "safeguard-1 is passed, want failed", states: 9},
		{name: "the promised words are not said", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "spilt.yaml" {
				r.Tasks[1].Findings[0].Is = "it is broken"
			}
		}}, phase: verify.Grade, step: "mistake: spilt", words: `no finding says "no cup"; the learner reads "it is broken"`, states: 9},
		{name: "a mistake is not recognised", fake: &stageFake{grade: func(state string, r *report.Report) {
			if state == "cold.yaml" {
				r.Tell = &report.Remark{Mistake: "another"}
			}
		}}, phase: verify.Grade, step: "mistake: cold", words: "is not recognised", states: 9},
		{name: "a script ends with an error", fake: &stageFake{perform: onStep("right.sh", func(context.Context) error {
			return errors.New("script right.sh ended with exit code 7")
		})}, phase: verify.Perform, step: "solution: by hand", words: "exit code 7", states: 9},
		{name: "a script hangs", limit: 50 * time.Millisecond, fake: &stageFake{perform: onStep("right.sh", func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})}, phase: verify.Perform, step: "solution: by hand", words: "did not end within 50ms", states: 9},
		{name: "a reset leaves something", fake: &stageFake{reset: func(state string) ([]stage.Difference, error) {
			if state == "right.sh" {
				return []stage.Difference{{Object: "pods/stain", Was: "not there", Is: "there"}}, nil
			}
			return nil, nil
		}}, phase: verify.Reset, step: "solution: by hand", words: "pods/stain was not there, is there", states: 9},
		{name: "a reset fails", fake: &stageFake{reset: func(state string) ([]stage.Difference, error) {
			if state == "right.sh" {
				return nil, errors.New("namespace room is not empty")
			}
			return nil, nil
		}}, phase: verify.Reset, step: "solution: by hand", words: "namespace room is not empty", states: 9},
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
		}}, phase: verify.Strong, step: "generated", words: "0/4 generated mistakes are caught, want 90 %", states: 9},
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
	want := map[string]int{"start": 1, "stop": 1, "reset right.yaml": 3, "undo right.yaml": 2, "reset right.sh": 3, "undo right.sh": 2, "reset cold.yaml": 1, "undo spilt.yaml": 1, "reset spilt.yaml": 1, "undo shut": 1, "reset shut": 1}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}

func TestAnExceptionExcusesByName(t *testing.T) {
	t.Parallel()
	mutants, err := verify.Mutants(load(t, files([]string{"room"}), "room"), check.Builtin(), true, 4)
	if err != nil {
		t.Fatal(err)
	}
	var exceptions strings.Builder
	for _, m := range mutants {
		fmt.Fprintf(&exceptions, "  - {from: %q, because: tea is tea}\n", m.Name)
	}
	graded := 0
	f := &stageFake{holdErr: errors.New("no room"), hasty: func(string) bool { return true }, grade: func(state string, r *report.Report) {
		if state == "generated" {
			graded++
			r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
		}
	}}
	got := prove(t, f, load(t, files([]string{"room"}, "  solutions:", "  exceptions:\n"+exceptions.String()+"  solutions:"), "room"))
	if !got.Proved || got.Excused != 4 || got.Generated.Tried != 0 || graded != 4 { // what is expected is believed at once
		t.Errorf("%d grades: %+v", graded, got)
	}
	got = prove(t, &stageFake{}, load(t, files([]string{"room"}, "  solutions:", "  exceptions: [{from: rain, because: it is dry}]\n  solutions:"), "room"))
	if len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Is, `no generated mistake is called "rain"`) {
		t.Errorf("findings %v", got.Findings)
	}
}

// What passes right after an undo may owe that to the mistake before, so it is tried again from a reset.
func TestAMistakeThatPassesAfterAnUndoIsTriedAgain(t *testing.T) {
	t.Parallel()
	graded := 0
	f := &stageFake{holdErr: errors.New("no room"), hasty: func(string) bool { return true }}
	f.grade = func(state string, r *report.Report) {
		if state != "generated" {
			return
		}
		if graded++; graded == 2 { // the first after an undo
			r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
		}
	}
	got := prove(t, f, load(t, files([]string{"room"}), "room"))
	if diff := cmp.Diff(verify.Strength{Caught: 4, Tried: 4}, got.Generated); diff != "" || graded != 5 {
		t.Errorf("%d grades, %s", graded, diff)
	}
	if len(got.Doubts) != 1 || got.Doubts[0].Is != "everything passed" || !got.Proved {
		t.Errorf("proved %t, doubts %+v; want the first look told of, and no fault", got.Proved, got.Doubts)
	}
	resets := slices.DeleteFunc(f.log, func(line string) bool { return line != "reset generated" })
	if len(resets) != 1 {
		t.Errorf("%d resets, want one", len(resets))
	}
}

// Generated mistakes are made on top of the solution where that is the same, and from the beginning where it shows nothing.
func TestGeneratedMistakesAreMadeOnTopOfTheSolution(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		passes bool // the first of them, on top of the solution
		lasts  bool // what was undone still shows
		solved int  // how often the solution is performed
	}{
		{"all are caught", false, false, 1},
		{"one shows nothing there", true, false, 2},
		{"the first one lasts", false, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, solved, resets, made := &stageFake{hasty: func(string) bool { return true }, lasts: tt.lasts}, 0, 0, 0
			f.perform = func(_ context.Context, s stage.Step) error {
				if s.Apply == "right.yaml" {
					solved++
				}
				return nil
			}
			f.reset = func(string) ([]stage.Difference, error) { resets++; return nil, nil }
			f.grade = func(state string, r *report.Report) {
				if made++; state == "generated" && resets == 0 && tt.passes && made > 2 && made < 6 { // after the untouched and the solution
					r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
				}
			}
			got := prove(t, f, load(t, files([]string{"room"}), "room"))
			looked, reset := slices.Index(f.log, "passes right.yaml"), slices.Index(f.log, "reset right.yaml")
			if looked < 0 || reset < looked || tt.lasts != (reset == looked+1) {
				t.Errorf("before a second one the solution has to pass again: %v", f.log)
			}
			if !got.Proved || got.Generated != (verify.Strength{Caught: 4, Tried: 4}) || len(got.Doubts) > 0 || solved != tt.solved {
				t.Errorf("solved %d times: %+v\n%v", solved, got, f.log)
			}
		})
	}
}

// Pods that are on their way out still answer: a wrong answer is looked at again before it is said to pass. A right answer
// that fails is not, because a learner would have read that.
func TestOnlyWrongAnswersAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	grades := map[string]int{}
	f := &stageFake{grade: func(state string, r *report.Report) {
		grades[state]++
		switch {
		case state == "spilt.yaml" && grades[state] < 3, state == "generated" && grades[state] < 3:
			r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
		case state == "right.sh":
			r.Tasks[0].Verdict = report.Failed
		}
	}}
	v := verifier(f)
	v.Generate, v.Patience = 1, 160*time.Millisecond
	l := load(t, files([]string{"room"}), "room")
	r, err := v.Run(t.Context(), []*lab.Lab{l}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"untouched": 1, "right.yaml": 1, "right.sh": 1, "cold.yaml": 1, "spilt.yaml": 3, "shut": 1, "generated": 3}
	if diff := cmp.Diff(want, grades); diff != "" {
		t.Error(diff)
	}
	if got := r.Labs[0]; got.Listed.Caught != 3 || got.Generated.Caught != 1 || len(got.Findings) != 1 || got.Findings[0].Step != "solution: by hand" {
		t.Errorf("%+v", got)
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
