package reference

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// around is a lab up to the checks of its only task.
const around = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: One
  level: beginner
  minutes: 5
  namespaces: [shop]
  setup: {apply: setup}
  solutions: [{title: A, apply: a}, {title: B, apply: b}]
  mistakes: [{title: C, apply: c, fails: [first], says: x}, {title: D, apply: c, fails: [first], says: x}, {title: E, apply: c, fails: [first], says: x}]
  tasks:
  - name: first
    title: First
    checks:
`

// exampleFaults says what is wrong with a kind's example: what its compiler says, and what the schema says.
func exampleFaults(t *testing.T, kinds check.Registry, example string) []string {
	t.Helper()
	text := around + "    " + strings.ReplaceAll(strings.Trim(example, "\n"), "\n", "\n    ") + "\n"
	files := fstest.MapFS{"basics/one/lab.yaml": {Data: []byte(text)}}
	for _, fixture := range regexp.MustCompile(`fixtures/[a-z-]+\.yaml`).FindAllString(example, -1) {
		files["basics/one/"+fixture] = &fstest.MapFile{Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n")}
	}
	all, err := lab.Catalogue(files)
	if err != nil {
		return []string{err.Error()}
	}
	faults := newValidator(t, kinds).document(t, text)
	for _, c := range all[0].Tasks[0].Checks {
		for _, p := range kinds.Validate(all[0], c) {
			faults = append(faults, p.String())
		}
	}
	return faults
}

// Authors copy examples, so each must be right.
func TestTheExampleOfEveryKindIsRight(t *testing.T) {
	t.Parallel()
	kinds := check.Builtin()
	for name, kind := range check.Builtin() {
		doc := kind.Doc()
		if doc.Text == "" {
			t.Errorf("%s says nothing about itself", name)
		}
		if doc.Example == "" {
			continue
		}
		if !strings.Contains(doc.Example, name+":") {
			t.Errorf("the example of %s does not show it", name)
		}
		kinds.Add(check.Named(registered{}))
		for _, fault := range exampleFaults(t, kinds, doc.Example) {
			t.Errorf("the example of %s: %s", name, fault)
		}
	}
}

// registered is the check in Go that an example names.
type registered struct{}

func (registered) Name() string   { return "etcd-snapshot" }
func (registered) Doc() check.Doc { return check.Doc{} }
func (registered) Compile(check.Scope, lab.Node) (check.Check, lab.Problems) {
	return nil, nil
}

func TestAWrongExampleIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, example, want string }{
		{"not a list", "rollout: {of: deployment/web}", "expected a list"},
		{"an unknown kind", "- roll: {of: deployment/web}", "0 of oneOf fit"},
		{"a wrong parameter", "- rollout: {of: service/web}", "expected a deployment"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if faults := strings.Join(exampleFaults(t, check.Builtin(), tt.example), "\n"); !strings.Contains(faults, tt.want) {
				t.Errorf("got %q, want %q", faults, tt.want)
			}
		})
	}
	if faults := exampleFaults(t, check.Builtin(), "- rollout: {of: deployment/web}"); faults != nil {
		t.Errorf("a good example: %v", faults)
	}
}

func TestEveryParameterOfAKindIsExplained(t *testing.T) {
	t.Parallel()
	for name, kind := range check.Builtin() {
		if params := kind.Doc().Params; params != nil {
			for _, key := range unexplained(name, reflect.TypeOf(params)) {
				t.Errorf("%s has no doc", key)
			}
		}
	}
	if got, want := unexplained("size", reflect.TypeFor[sizeParams]()), []string{"size.exact", "size.own"}; !reflect.DeepEqual(got, want) {
		t.Errorf("unexplained are %v, want %v", got, want)
	}
}

// unexplained lists the keys without a doc.
func unexplained(path string, t reflect.Type) []string {
	in := inner(t)
	if in == nil {
		return nil
	}
	var keys []string
	for _, f := range fieldsOf(in) {
		if f.doc == "" {
			keys = append(keys, path+"."+f.name)
		}
		keys = append(keys, unexplained(path+"."+f.name, f.typ)...)
	}
	return keys
}
