package verify_test

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// anew returns files with other ones in the place of some. Of lab.yaml, which is called "old => new", one word is changed.
func anew(t *testing.T, fsys fstest.MapFS, changes map[string]string) fstest.MapFS {
	t.Helper()
	other := maps.Clone(fsys)
	for name, text := range changes {
		if was, is, found := strings.Cut(name, " => "); found {
			old := string(other["tea/room/lab.yaml"].Data)
			text, name = strings.ReplaceAll(old, was, is), "lab.yaml"
			if text == old {
				t.Fatalf("lab.yaml has no %q", was)
			}
		}
		other["tea/room/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return other
}

// seen are the states that were looked at, each once.
func seen(f *stageFake) []string { return slices.Compact(slices.Sorted(slices.Values(f.graded))) }

// remembering proves labs with one cache.
func remembering(t *testing.T) func(ctx context.Context, fsys fs.FS, f *stageFake) (verify.Lab, error) {
	t.Helper()
	cache := &verify.Cache{Dir: t.TempDir(), Key: "grader"}
	return func(ctx context.Context, fsys fs.FS, f *stageFake) (verify.Lab, error) {
		v := verifier(f)
		v.Cache, v.Generate = cache, 2
		l := load(t, fsys, "room")
		r, err := v.Run(ctx, []*lab.Lab{l}, nil)
		return r.Labs[0], err
	}
}

func TestOnlyWhatAChangeConcernsIsProvedAgain(t *testing.T) {
	t.Parallel()
	const configMap = "{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}"
	everything := []string{"cold.yaml", "generated", "right.sh", "right.yaml", "shut", "spilt.yaml", "untouched"}
	for _, test := range []struct {
		name    string
		changes map[string]string
		want    []string
	}{
		{"a text for learners", map[string]string{"debrief.md": "Another.", "README.md": "Another.", "hints/open.md": "x\n---\ny\n---\nz\n"}, nil},
		{"the title and an answer's order", map[string]string{"The tea room => The coffee room": ""}, nil},
		{"a mistake's manifest", map[string]string{"cold.yaml": configMap}, []string{"cold.yaml"}},
		{"a mistake's words", map[string]string{"no cup => cup": ""}, []string{"spilt.yaml"}},
		{"a solution's script", map[string]string{"right.sh": "echo other"}, []string{"right.sh"}},
		{"the solution that mistakes are made from", map[string]string{"right.yaml": strings.Replace(rightYAML, "8080", "8081", 1)}, []string{"generated", "right.yaml"}},
		{"the setup", map[string]string{"setup.yaml": setupYAML + "---\n" + configMap}, everything},
		{"a check", map[string]string{"replicas: 2 => replicas: 3": ""}, everything},
		{"a file that nothing names", map[string]string{"note.txt": "for checks, maybe"}, everything},
		{"another mistake", map[string]string{
			"  - {title: shut => " + "  - {title: spoilt, apply: spilt.yaml, fails: [serve], says: cup}\n  - {title: shut": "",
		}, []string{"spilt.yaml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run := remembering(t)
			first, err := run(t.Context(), files([]string{"room"}), &stageFake{})
			if err != nil || !first.Proved || first.Known != 0 {
				t.Fatalf("error %v, at first %+v", err, first)
			}
			f := &stageFake{}
			got, err := run(t.Context(), anew(t, files([]string{"room"}), test.changes), f)
			if err != nil || !got.Proved || got.Cached {
				t.Fatalf("error %v, lab %+v", err, got)
			}
			if diff := cmp.Diff(test.want, seen(f)); diff != "" {
				t.Error(diff, f.log)
			}
			if test.want == nil && len(f.log) > 0 {
				t.Errorf("the cluster was asked for nothing: %v", f.log)
			}
			if got.Generated != first.Generated || got.Listed.Caught != got.Listed.Tried || got.Listed.Tried < first.Listed.Tried {
				t.Errorf("listed %s, generated %s; at first %s and %s", got.Listed, got.Generated, first.Listed, first.Generated)
			}
		})
	}
}

// What was found is looked at again, and as long as it is found. Where a lab could not be put back, all is.
func TestAFindingIsNotRemembered(t *testing.T) {
	t.Parallel()
	slips := func(state string, r *report.Report) {
		if state == "spilt.yaml" {
			r.Tasks[1].Verdict = report.Passed
		}
	}
	stains := func(state string) ([]stage.Difference, error) {
		if state == "spilt.yaml" {
			return []stage.Difference{{Object: "pods/stain", Is: "there"}}, nil
		}
		return nil, nil
	}
	everything := []string{"cold.yaml", "generated", "right.sh", "right.yaml", "shut", "spilt.yaml", "untouched"}
	for _, test := range []struct {
		name   string
		faulty *stageFake
		again  []string
	}{
		{"a wrong verdict", &stageFake{grade: slips}, []string{"spilt.yaml"}},
		{"a reset that leaves something", &stageFake{reset: stains}, everything},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run, faulty := remembering(t), test.faulty
			for range 2 {
				faulty.log, faulty.graded = nil, nil
				if got, err := run(t.Context(), files([]string{"room"}), faulty); err != nil || got.Proved || len(got.Findings) != 1 {
					t.Fatalf("error %v, lab %+v", err, got)
				}
			}
			if diff := cmp.Diff(test.again, seen(faulty)); diff != "" {
				t.Error(diff)
			}
			sound := &stageFake{}
			got, err := run(t.Context(), files([]string{"room"}), sound)
			if diff := cmp.Diff(test.again, seen(sound)); diff != "" || err != nil || !got.Proved {
				t.Error(diff, err, got)
			}
		})
	}
}

func TestAnInterruptedProofGoesOn(t *testing.T) {
	t.Parallel()
	run := remembering(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := &stageFake{perform: func(ctx context.Context, s stage.Step) error {
		if s.Run == "right.sh" {
			cancel()
		}
		return ctx.Err()
	}}
	if got, err := run(ctx, files([]string{"room"}), f); err == nil || got.Proved {
		t.Fatalf("error %v, lab %+v", err, got)
	}
	f = &stageFake{}
	got, err := run(t.Context(), files([]string{"room"}), f)
	if err != nil || !got.Proved || got.Known == 0 || slices.Contains(seen(f), "right.yaml") || !slices.Contains(seen(f), "right.sh") {
		t.Errorf("error %v, %d known: %v", err, got.Known, f.log)
	}
}

// That the lab can be put back afterwards is a part of a state's proof.
func TestAStateThatWasNotPutBackIsProvedAgain(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"right.sh", "right.yaml"} {
		run := remembering(t)
		ctx, cancel := context.WithCancel(t.Context())
		f := &stageFake{reset: func(state string) ([]stage.Difference, error) {
			if state == last {
				cancel()
			}
			return nil, nil
		}}
		f.grade = func(state string, _ *report.Report) {
			if last == "right.yaml" && state == "generated" { // on top of the solution, which is put back afterwards
				cancel()
			}
		}
		if got, err := run(ctx, files([]string{"room"}), f); err == nil || got.Proved {
			t.Fatalf("error %v, lab %+v", err, got)
		}
		f = &stageFake{}
		if got, err := run(t.Context(), files([]string{"room"}), f); err != nil || !got.Proved || !slices.Contains(seen(f), last) {
			t.Errorf("error %v, %s: %v", err, last, f.log)
		}
	}
}
