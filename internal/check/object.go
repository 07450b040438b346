package check

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// objectKind asks whether an object exists and satisfies CEL expressions, in
// which object is the object and objects the list of all that were selected.
//
//	object: {kind: Service, name: db, expect: ["object.spec.clusterIP == 'None'"]}
//	object: {kind: Pod, selector: app=db, expect: [{cel: "objects.size() == 2", says: "there are not two"}]}
type objectKind struct{}

func (objectKind) Name() string { return "object" }

// Doc explains the kind.
func (objectKind) Doc() Doc {
	return Doc{Text: "Asks whether an object exists, is absent, or is as CEL expressions say."}
}

// expectation is an expression and, optionally, the words for its failure.
type expectation struct {
	CEL  string `yaml:"cel,required"`
	Says string `yaml:"says"`

	program program
}

// DecodeNode takes an expression alone, or with its words.
func (e *expectation) DecodeNode(n lab.Node) lab.Problems {
	expr := n
	if n.IsMap() {
		type plain expectation // without this method
		if p := n.Decode((*plain)(e)); p != nil {
			return p
		}
		expr = n.Field("cel")
	} else if text, ok := n.Text(); ok {
		e.CEL = text
	} else {
		return lab.Problems{n.Problem("expected a CEL expression, or a map with cel and says")}
	}
	p, err := compileCEL(e.CEL)
	if err != nil {
		return lab.Problems{expr.Problem("expected a CEL expression that is true or false: %v", err)}
	}
	e.program = p
	return nil
}

func (objectKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p struct {
		Kind       string        `yaml:"kind,required"`
		APIVersion string        `yaml:"apiVersion"` // where a kind alone is ambiguous
		Namespace  string        `yaml:"namespace"`
		Name       string        `yaml:"name"`
		Selector   string        `yaml:"selector"`
		Any        bool          `yaml:"any"`    // one of them is enough
		Absent     bool          `yaml:"absent"` // there must be none
		Expect     []expectation `yaml:"expect"`
	}
	problems := n.Decode(&p)
	if p.Name != "" && (p.Selector != "" || p.Any) {
		problems = append(problems, n.Problem("expected either name, or selector and any"))
	}
	if p.Name == "" && p.Selector == "" && !p.Any && !p.Absent {
		problems = append(problems, n.Problem("expected a name, a selector or any: true"))
	}
	if _, err := labels.Parse(p.Selector); err != nil {
		problems = append(problems, n.Field("selector").Problem("expected a label selector such as app=web: %v", err))
	}
	if p.Absent && len(p.Expect) > 0 {
		problems = append(problems, n.Field("expect").Problem("expected nothing of an object that must be absent"))
	}
	if p.Namespace == "" {
		p.Namespace = s.Namespace
	}
	gv, err := schema.ParseGroupVersion(p.APIVersion)
	if err != nil {
		problems = append(problems, n.Field("apiVersion").Problem("expected a version such as apps/v1: %v", err))
	}
	return object{
		kind: gv.WithKind(p.Kind), namespace: p.Namespace, name: p.Name, selector: p.Selector,
		any: p.Any, absent: p.Absent, expect: p.Expect,
	}, problems
}

type object struct {
	kind                      schema.GroupVersionKind
	namespace, name, selector string
	any, absent               bool
	expect                    []expectation
}

func (object) Changes() bool { return false }

// Objects guesses the resource from the kind: it is known without a cluster.
func (o object) Objects() []Dependency {
	gvr, _ := meta.UnsafeGuessKindToResource(o.kind)
	return []Dependency{{Resource: gvr, Namespace: o.namespace, Name: o.name, Selector: o.selector}}
}

func (o object) Run(ctx context.Context, c *Cluster) error {
	list, err := o.find(ctx, c)
	if err != nil {
		return err
	}
	switch {
	case o.absent && len(list) == 0:
		return nil
	case o.absent:
		return &Failure{Is: fmt.Sprintf("%s %s is there", o.kind.Kind, list[0].GetName()), Want: "none", Look: o.look()}
	case len(list) == 0:
		return &Failure{Is: o.missing(), Look: o.look()}
	}
	var all []any
	for i := range list {
		all = append(all, list[i].Object)
	}
	var first error
	for i := range list {
		err := o.test(ctx, &list[i], all)
		switch {
		case err == nil && o.any:
			return nil
		case err != nil && !o.any:
			return err
		case err != nil && first == nil:
			first = err
		}
	}
	return first
}

func (o object) find(ctx context.Context, c *Cluster) ([]unstructured.Unstructured, error) {
	// A kind may come in several groups (Service of Knative, say): the plain
	// Kubernetes one is meant unless apiVersion says otherwise.
	gvk := o.kind
	versions := []string{}
	if gvk.Version != "" {
		versions = append(versions, gvk.Version)
	}
	var m *meta.RESTMapping
	var err error
	for _, group := range o.groups() {
		if m, err = c.Mapper.RESTMapping(schema.GroupKind{Group: group, Kind: gvk.Kind}, versions...); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("finding kind %s on the cluster: %w", gvk.Kind, err)
	}
	ns := o.namespace
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		ns = ""
	}
	r := c.Dynamic.Resource(m.Resource).Namespace(ns)
	if o.name != "" {
		u, err := r.Get(ctx, o.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", gvk.Kind, o.name, err)
		}
		return []unstructured.Unstructured{*u}, nil
	}
	l, err := r.List(ctx, metav1.ListOptions{LabelSelector: o.selector})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", m.Resource.Resource, err)
	}
	return l.Items, nil
}

// groups are where a kind without apiVersion is looked for, in order.
func (o object) groups() []string {
	if o.kind.Version != "" {
		return []string{o.kind.Group}
	}
	return []string{"", "apps", "batch", "networking.k8s.io", "policy", "autoscaling", "rbac.authorization.k8s.io", "storage.k8s.io", "discovery.k8s.io", "apiextensions.k8s.io"}
}

func (o object) test(ctx context.Context, u *unstructured.Unstructured, all []any) error {
	for _, e := range o.expect {
		ok, saw, err := e.program.eval(ctx, map[string]any{"object": u.Object, "objects": all})
		if err != nil {
			return fmt.Errorf("evaluating %q: %w", e.CEL, err)
		}
		if ok {
			continue
		}
		f := &Failure{Is: e.Says, Look: o.look()}
		if f.Is == "" {
			f.Is = fmt.Sprintf("%s %s: %s", o.kind.Kind, u.GetName(), saw)
			f.Want = e.CEL
		}
		return f
	}
	return nil
}

func (o object) missing() string {
	switch {
	case o.name != "":
		return fmt.Sprintf("there is no %s %s in namespace %s", o.kind.Kind, o.name, o.namespace)
	case o.selector != "":
		return fmt.Sprintf("there is no %s with labels %s in namespace %s", o.kind.Kind, o.selector, o.namespace)
	default:
		return fmt.Sprintf("there is no %s in namespace %s", o.kind.Kind, o.namespace)
	}
}

func (o object) look() string {
	cmd := fmt.Sprintf("kubectl -n %s get %s", o.namespace, strings.ToLower(o.kind.Kind))
	switch {
	case o.name != "":
		cmd += " " + o.name
	case o.selector != "":
		cmd += " -l '" + o.selector + "'"
	}
	return cmd + " -o yaml"
}
