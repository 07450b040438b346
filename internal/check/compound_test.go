package check

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// says is a kind whose parameter is its verdict.
type saysKind struct{}

func (saysKind) Name() string { return "says" }

func (saysKind) Doc() Doc { return Doc{} }

func (saysKind) Compile(_ Scope, n lab.Node) (Check, lab.Problems) {
	text, ok := n.Text()
	if !ok {
		return nil, lab.Problems{n.Problem("expected a verdict")}
	}
	return says(text), nil
}

type says string

func (s says) Changes() bool { return s == "changes" }

func (s says) Objects() []Dependency {
	return []Dependency{{Resource: pods, Namespace: "shop", Name: string(s)}}
}

func (s says) Run(context.Context, *Cluster) error {
	switch s {
	case "no", "never":
		return &Failure{Is: "it says " + string(s), Want: "yes", Look: "kubectl -n shop get pods"}
	case "soon":
		return &Failure{Is: "it says soon", Look: "kubectl -n shop get pods", Settling: true}
	case "what":
		return errors.New("it says nothing")
	}
	return nil
}

// labWith is a lab with one check.
func labWith(t *testing.T, text string) *lab.Lab {
	t.Helper()
	yaml := head + "    - " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
	labs, err := lab.Catalogue(fstest.MapFS{
		"basics/one/lab.yaml":            {Data: []byte(yaml)},
		"basics/one/fixtures/pod.yaml":   {Data: []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: fixture}\n")},
		"basics/one/fixtures/empty.yaml": {Data: []byte("nothing: here\n")},
		"basics/one/fixtures/bad.yaml":   {Data: []byte("- a\n")},
	})
	if err != nil {
		t.Fatalf("reading the lab around the check: %v", err)
	}
	return labs[0]
}

// compileWith compiles with more kinds than the built-in ones.
func compileWith(t *testing.T, text string, more ...Kind) (Check, lab.Problems) {
	t.Helper()
	l, kinds := labWith(t, text), Builtin()
	kinds.Add(more...)
	s := ScopeOf(l)
	s.Task = "first"
	return kinds.Compile(s, l.Tasks[0].Checks[0])
}

func TestCompound(t *testing.T) {
	t.Parallel()
	no, soon, what := verdict{failure: "it says no, want yes"}, verdict{failure: "it says soon", settling: true}, verdict{unknown: "it says nothing"}
	tests := []struct {
		kind, checks string
		want         verdict
	}{
		{"all", "yes yes", verdict{}},
		{"all", "yes no", no},
		{"all", "yes soon", soon},
		{"all", "yes what", what},
		{"all", "what no", no}, // decided, whatever the other is
		{"all", "soon no", no},
		{"all", "soon what", what},
		{"any", "no yes", verdict{}},
		{"any", "what yes", verdict{}},
		{"any", "soon yes", verdict{}},
		{"any", "no", no},
		{"any", "no never", verdict{failure: "none of these is so: it says no, want yes; or it says never, want yes"}},
		{"any", "no what", what},
		{"any", "no soon", verdict{failure: "none of these is so: it says no, want yes; or it says soon", settling: true}},
		{"any", "soon what", what},
		{"none", "no never", verdict{}},
		{"none", "no yes", verdict{failure: "as I said"}},
		{"none", "what yes", verdict{failure: "as I said"}},
		{"none", "soon yes", verdict{failure: "as I said"}},
		{"none", "no what", what},
		{"none", "no soon", verdict{failure: "not certain yet that it is not so: it says soon", settling: true}},
		{"none", "soon what", what},
	}
	for _, tt := range tests {
		t.Run(tt.kind+" "+tt.checks, func(t *testing.T) {
			t.Parallel()
			list := "[{says: " + strings.Join(strings.Fields(tt.checks), "}, {says: ") + "}]"
			text := tt.kind + ": " + list
			if tt.kind == "none" {
				text = "none: {says: as I said, checks: " + list + "}"
			}
			c, problems := compileWith(t, text, saysKind{})
			if problems != nil {
				t.Fatal(problems)
			}
			tt.want.check(t, c.Run(t.Context(), &Cluster{}))
		})
	}
}

func TestCompoundInTheAuthorsWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*Failure{
		"all: {says: neither here nor there, checks: [{says: yes it is}, {says: 'no'}]}": {Is: "neither here nor there", Look: "kubectl -n shop get pods", More: []string{"it says no, want yes"}},
		"any: {says: neither here nor there, checks: [{says: 'no'}, {says: never}]}":     {Is: "neither here nor there", Look: "kubectl -n shop get pods", More: []string{"it says no, want yes", "it says never, want yes"}},
		"none: {says: it must not, checks: [{says: yes it does}]}":                       {Is: "it must not", Look: "kubectl -n shop get pods yes it does -o yaml"},
	} {
		c, problems := compileWith(t, text, saysKind{})
		if problems != nil {
			t.Fatal(problems)
		}
		f, _ := errors.AsType[*Failure](c.Run(t.Context(), &Cluster{}))
		if diff := cmp.Diff(want, f, cmpopts.IgnoreUnexported(Failure{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestCompoundDeclaresWhatItsChecksDo(t *testing.T) {
	t.Parallel()
	c, problems := compileWith(t, "any: [{says: a}, {all: [{says: changes}, {says: a}]}]", saysKind{})
	if problems != nil {
		t.Fatal(problems)
	}
	want := []Dependency{{Resource: pods, Namespace: "shop", Name: "a"}, {Resource: pods, Namespace: "shop", Name: "changes"}}
	if !c.Changes() || !cmp.Equal(want, c.Objects()) {
		t.Errorf("changes: %t, reads %v, want %v", c.Changes(), c.Objects(), want)
	}
}

func TestProblemsOfCompounds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"all: []":                                  "expected at least one check",
		"all: {says: x}":                           `missing key "checks"`,
		"all: x":                                   "expected a list",
		"none: [{says: x}]":                        "expected says and checks: a check that passes has no words for what is wrong",
		"any: [{nope: x}]":                         `unknown kind of check "nope"`,
		"any: [{all: [{says: x}, {says: [a]}]}]":   "basics/one/lab.yaml:16:38: expected a verdict",
		"any: [{a: x, b: y}]":                      "expected a map with one key",
		"go: {name: x, params: {}}":                `no check of the name "x" is registered`,
		"go: {name: says}":                         `missing key "params"`,
		"go: {name: says, params: {a: b}}":         "expected a verdict",
		"go: {name: says, params: what, more: it}": `unknown key "more"`,
	} {
		_, problems := compileWith(t, text, saysKind{}, Named(saysKind{}))
		if len(problems) != 1 || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, problems, want)
		}
	}
}

func TestGo(t *testing.T) {
	t.Parallel()
	c, problems := compileWith(t, "go: {name: says, params: 'no'}", Named(saysKind{}))
	if problems != nil {
		t.Fatal(problems)
	}
	verdict{failure: "it says no, want yes"}.check(t, c.Run(t.Context(), &Cluster{}))
	if _, problems := compileWith(t, "says: 'no'", Named(saysKind{})); len(problems) != 1 {
		t.Errorf("got %v, want a named check to be no word of its own", problems)
	}
}

// Pods that were replaced show what happened to them; a file in a container does not.
func TestMarks(t *testing.T) {
	t.Parallel()
	const restart = `http: {from: {pods: app=till}, url: "http://bread/", during: {restart: deployment/oven}}`
	for text, want := range map[string]bool{
		"rollout: {of: deployment/oven}":                       false,
		`http: {from: {pods: app=till}, url: "http://bread/"}`: false,
		restart: false,
		"exec: {in: {pods: app=oven}, run: [id]}":                         false,
		"exec: {in: {pods: app=oven}, run: [id], changes: true}":          true,
		"survives: {delete: pod/oven-0, folder: /data}":                   true,
		"all: [{" + restart + "}, {rollout: {of: deployment/oven}}]":      false,
		"any: [{exec: {in: {pods: app=oven}, run: [id], changes: true}}]": true,
	} {
		if got := Marks(mustCompile(t, text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
