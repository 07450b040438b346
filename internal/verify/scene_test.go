package verify_test

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

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
	graded   []string      // the states that were looked at
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
	f.graded = append(f.graded, state)
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
