package check

import (
	"context"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// objectKind asks whether an object exists and is as CEL expressions say.
type objectKind struct{ dialect dialect }

func (objectKind) Name() string { return "object" }

// Doc explains the kind.
func (objectKind) Doc() Doc {
	return Doc{
		Text: `Asks whether an object exists, is absent, or is as CEL expressions say. In an expression, "object" is the object and
"objects" the list of all that name, selector or any chose; without any, each of them must be so.

The CEL is Kubernetes' own (quantity(), ip(), cidr(), url(), optional fields as in object.?spec.?replicas.orValue(1)) with
  selects(selector, labels)   whether a Service's selector or a label selector takes the labels
  ready(object)               whether a Pod, Node, Deployment, StatefulSet, DaemonSet or Job has arrived
  condition(object, 'Ready')  the status of a condition, '' when there is none
  container(object, 'web')    a container by its name, of a Pod or of anything with a template
  owner(object, 'ReplicaSet') the name of the owner of that kind, or ''

Mind three things. A field that is not there makes the answer no, also in "x != 1": where it may be left out, write has(x)
or an optional field. An empty list makes x.all(...) true: where x may be empty, write size(x) > 0 && x.all(...). And a
list has no order that the learner must keep: write x.exists(...), or container(), never x[0].

A failure shows the fields and their values; "says" puts it into better words where you have them.`,
		Example: `- object: {kind: Service, name: db, expect: ["object.spec.clusterIP == 'None'"]}
- object:
    kind: NetworkPolicy
    any: true
    expect: ["selects(object.spec.podSelector, {'app': 'db'})"]
- object:
    kind: Pod
    selector: app=web
    expect:
    - objects.size() == 3
    - {cel: "objects.all(p, p.spec.nodeName == object.spec.nodeName)", says: the replicas run on different nodes}
- object: {kind: ConfigMap, name: old-settings, absent: true}`,
		Params: objectParams{},
	}
}

type objectParams struct {
	Kind       string        `yaml:"kind,required" doc:"the kind, as manifests write it: Deployment"`
	APIVersion string        `yaml:"apiVersion" doc:"such as apps/v1; needed where several groups have the kind"`
	Namespace  string        `yaml:"namespace" doc:"the lab's first namespace, unless it is said; of no meaning for kinds without one"`
	Name       string        `yaml:"name" doc:"the object of this name"`
	Selector   string        `yaml:"selector" doc:"those with these labels: app=web, tier in (a, b)"`
	Any        bool          `yaml:"any" doc:"one of them is enough"`
	Absent     bool          `yaml:"absent" doc:"there must be none"`
	Expect     []expectation `yaml:"expect" doc:"CEL expressions that must be true; one alone, or as {cel: ..., says: words for the failure}"`
}

// expectation is an expression and, optionally, the words for its failure.
type expectation struct {
	CEL  string `yaml:"cel,required" doc:"a CEL expression that must be true"`
	Says string `yaml:"says" doc:"what the learner reads when it is not"`

	at      lab.Node
	program program
}

// Short is what may stand in its place.
func (expectation) Short() any { return "" }

// DecodeNode takes an expression alone, or with its words.
func (e *expectation) DecodeNode(n lab.Node) lab.Problems {
	e.at = n
	if n.IsMap() {
		type plain expectation // without this method
		e.at = n.Field("cel")
		return n.Decode((*plain)(e))
	}
	text, ok := n.Text()
	if !ok {
		return lab.Problems{n.Problem("expected a CEL expression, or a map with cel and says")}
	}
	e.CEL = text
	return nil
}

func (k objectKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p objectParams
	problems := n.Decode(&p)
	if p.Name != "" && p.Any {
		problems = append(problems, n.Problem("expected either name, or selector and any"))
	}
	if p.Name == "" && p.Selector == "" && !p.Any && !p.Absent {
		problems = append(problems, n.Problem("expected a name, a selector or any: true"))
	}
	if p.Absent && len(p.Expect) > 0 {
		problems = append(problems, n.Field("expect").Problem("expected nothing of an object that must be absent"))
	}
	o := object{
		selection: selection{Kind: p.Kind, APIVersion: p.APIVersion, Namespace: p.Namespace, Name: p.Name, Selector: p.Selector},
		any:       p.Any, absent: p.Absent, expect: p.Expect,
	}
	problems = append(problems, o.compile(s, n)...)
	problems = append(problems, o.foreign(n)...)
	for i := range o.expect {
		e := &o.expect[i]
		if e.CEL == "" {
			continue // which is reported
		}
		var err error
		if e.program, err = k.dialect.compile(e.CEL, cel.BoolType); err != nil {
			problems = append(problems, e.at.Problem("expected a CEL expression that is true or false: %v", err))
		}
	}
	return &o, problems
}

type object struct {
	selection
	any, absent bool
	expect      []expectation
}

func (*object) Changes() bool { return false }

func (o *object) Objects() []Dependency { return []Dependency{o.dependency()} }

func (o *object) Run(ctx context.Context, c *Cluster) error {
	list, known, err := o.find(ctx, c)
	if err != nil {
		return err
	}
	switch {
	case o.absent && len(list) == 0:
		return nil
	case o.absent:
		return &Failure{Is: fmt.Sprintf("%s %s is there", o.Kind, list[0].GetName()), Want: "none", Look: o.look()}
	case !known:
		return &Failure{Is: o.missing() + ": the cluster does not have this kind", Look: "kubectl api-resources"}
	case len(list) == 0:
		return &Failure{Is: o.missing(), Look: o.look()}
	}
	all := make([]any, len(list))
	for i := range list {
		all[i] = list[i].Object
	}
	var failures []error
	for i := range list {
		err := o.test(ctx, &list[i], all)
		switch {
		case err == nil && o.any:
			return nil
		case err != nil && !o.any:
			return err
		case err != nil:
			failures = append(failures, err)
		}
	}
	return o.none(failures)
}

// none is the verdict on objects of which not one is as expected; nil where each of them had to be, and is.
func (o *object) none(failures []error) error {
	if len(failures) == 0 {
		return nil
	}
	var first *Failure
	for _, err := range failures {
		f, ok := err.(*Failure) //nolint:errorlint // as test returns it, never wrapped
		if !ok {
			return err // it might have been the one
		}
		if first == nil {
			first = f
			continue
		}
		if line := f.Error(); len(first.More) < maxTold && line != first.Error() {
			first.More = append(first.More, line)
		}
	}
	return first
}

// test asks of one object everything that is expected.
func (o *object) test(ctx context.Context, u *unstructured.Unstructured, all []any) error {
	for _, e := range o.expect {
		ok, saw, err := e.program.eval(ctx, map[string]any{"object": u.Object, "objects": all})
		if err != nil {
			return fmt.Errorf("evaluating %q on %s %s: %w", e.CEL, o.Kind, u.GetName(), err)
		}
		if ok {
			continue
		}
		f := &Failure{Is: saw.is, Want: saw.want, Look: o.look()}
		if e.program.reads("object") {
			f.Is = fmt.Sprintf("%s %s: %s", o.Kind, u.GetName(), saw.is)
		}
		if e.Says != "" {
			// The author's words first; what was seen is still worth a look.
			f.Is, f.Want, f.More = e.Says, "", []string{f.Is}
		}
		return f
	}
	return nil
}

// reads tells whether an expression uses a variable.
func (p program) reads(variable string) bool {
	root := ast.NavigateAST(p.ast.NativeRep())
	return len(ast.MatchDescendants(root, func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.IdentKind && e.AsIdent() == variable
	})) > 0
}
