package check

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// unchangedKind asks whether objects are still the ones that the learner was given.
type unchangedKind struct{}

func (unchangedKind) Name() string { return "unchanged" }

// Doc explains the kind.
func (unchangedKind) Doc() Doc {
	return Doc{
		Text: `Asks whether objects are still as the lab handed them to the learner: the same object and not one made again, with the
same labels and the same spec (the same data, rules or subjects, where there is no spec). Status and annotations do not
count. It compares with the baseline that is taken when setup is ready, so it belongs under safeguards.`,
		Example: `- unchanged: [statefulset/db, deployment/frontend]
- unchanged: {of: [deployment/web], except: [spec.replicas, "spec.template.spec.containers[web].image"]}`,
		Params: unchangedParams{},
	}
}

type unchangedParams struct {
	Of     []lab.Ref `yaml:"of,required" doc:"the objects, such as deployment/web; a list of them alone is written without the map"`
	Except []string  `yaml:"except" doc:"fields that may change, such as spec.replicas"`
}

// Short is what may stand in its place.
func (unchangedParams) Short() any { return []lab.Ref{} }

// DecodeNode takes a list of objects alone, or with exceptions.
func (p *unchangedParams) DecodeNode(n lab.Node) lab.Problems {
	if n.IsMap() {
		type plain unchangedParams // without this method
		return n.Decode((*plain)(p))
	}
	return n.Decode(&p.Of)
}

func (unchangedKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p unchangedParams
	problems := n.Decode(&p)
	if p.Of != nil && len(p.Of) == 0 {
		problems = append(problems, n.Field("of").Problem("expected at least one object"))
	}
	for _, path := range p.Except {
		if first, _, _ := strings.Cut(path, "."); first == "status" || path == "" {
			problems = append(problems, n.Field("except").Problem("expected fields that count, such as spec.replicas, found %q", path))
		}
	}
	out := unchanged{except: p.Except, at: n.Field("of")}
	for _, ref := range p.Of {
		one := selection{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
		problems = append(problems, one.compile(s, n.Field("of"))...)
		one.Kind = strings.ToLower(one.Kind) // as in deployment/web
		out.of = append(out.of, one)
	}
	return out, problems
}

type unchanged struct {
	of     []selection
	except []string
	at     lab.Node
}

func (unchanged) Changes() bool { return false }

func (u unchanged) Objects() []Dependency {
	var deps []Dependency
	for i := range u.of {
		deps = append(deps, u.of[i].dependency())
	}
	return deps
}

func (u unchanged) Run(ctx context.Context, c *Cluster) error {
	if c.Baseline == nil {
		return remedy.New(errors.New("no baseline was taken, so nobody can tell what has changed"), "kindlab reset")
	}
	for i := range u.of {
		if err := u.compare(ctx, c, &u.of[i]); err != nil {
			return err
		}
	}
	return nil
}

// maxDifferences is how many changed fields are told.
const maxDifferences = 3

func (u unchanged) compare(ctx context.Context, c *Cluster, of *selection) error {
	m, err := of.mapping(c)
	if err != nil {
		return fmt.Errorf("finding kind %s on the cluster: %w", of.Kind, err)
	}
	if m == nil {
		return lab.Problems{u.at.Problem("expected kinds that the cluster has, found %q", of.Kind)}
	}
	ns, title := of.Namespace, of.Kind+"/"+of.Name
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		ns = ""
	}
	was := c.Baseline.Object(m.Resource, ns, of.Name)
	if was == nil {
		return remedy.New(fmt.Errorf("the baseline does not hold %s", title), "kindlab reset")
	}
	list, _, err := of.find(ctx, c)
	if err != nil {
		return err
	}
	f := &Failure{Look: of.look()}
	switch {
	case len(list) == 0:
		f.Is, f.Want, f.Look = title+" was deleted", "the one that the lab began with", strings.Replace(of.look(), " "+of.Name+" -o yaml", "", 1)
		return f
	case list[0].GetUID() != was.GetUID():
		f.Is, f.Want = title+" was deleted and made again", "the one that the lab began with"
		return f
	case list[0].GetDeletionTimestamp() != nil:
		f.Is, f.Want = title+" is being deleted", "it left alone"
		return f
	}
	var found []difference
	differences("", matter(was), matter(&list[0]), &found)
	found = slices.DeleteFunc(found, func(d difference) bool { return u.excepted(d.path) || placed(d) })
	if len(found) == 0 {
		return nil
	}
	var is, want []string
	for i, d := range found {
		if i == maxDifferences {
			is = append(is, fmt.Sprintf("and %d more", len(found)-i))
			break
		}
		if m.Resource.Resource == "secrets" {
			d.is, d.was = "something else", "what it was"
		}
		is, want = append(is, d.path+" = "+d.is), append(want, d.was)
	}
	f.Is, f.Want = fmt.Sprintf("%s was changed: %s", title, strings.Join(is, ", ")), strings.Join(want, ", ")+" as it was"
	if len(found) > 1 {
		f.Want = strings.Join(want, ", ") + " as they were"
	}
	return f
}

// excepted tells of a field, or of one that it is a part of, that it may change.
func (u unchanged) excepted(path string) bool {
	return slices.ContainsFunc(u.except, func(e string) bool {
		rest, ok := strings.CutPrefix(path, e)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// placed tells of what Kubernetes fills in once, after the lab began: where a pod runs, which volume a claim got.
func placed(d difference) bool {
	return d.was == orNothing(nil) && (d.path == "spec.nodeName" || d.path == "spec.volumeName")
}

// matter is what counts of an object: its labels, and its spec or whatever it has in a spec's place.
func matter(u *unstructured.Unstructured) map[string]any {
	out := map[string]any{}
	spec, ok := u.Object["spec"]
	if ok {
		out["spec"] = spec
	} else {
		for key, v := range u.Object {
			if !slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, key) {
				out[key] = v
			}
		}
	}
	if labels, ok, _ := unstructured.NestedMap(u.Object, "metadata", "labels"); ok {
		out["metadata"] = map[string]any{"labels": labels}
	}
	return out
}

// difference is a field that is not as it was.
type difference struct{ path, was, is string }

// differences walks two values side by side. Elements of lists are told by their names, where they have some.
func differences(path string, was, is any, found *[]difference) {
	if reflect.DeepEqual(was, is) {
		return
	}
	a, aMap := elements(was)
	b, bMap := elements(is)
	if !aMap || !bMap {
		*found = append(*found, difference{path, orNothing(was), orNothing(is)})
		return
	}
	keys := sortedKeys(a)
	for _, key := range sortedKeys(b) {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	before := len(*found)
	for _, key := range keys {
		at := path + key
		if path != "" && !strings.HasPrefix(key, "[") {
			at = path + "." + key
		}
		differences(at, a[key], b[key], found)
	}
	if len(*found) == before { // the same elements in another order
		*found = append(*found, difference{path, orNothing(was), orNothing(is)})
	}
}

// elements is a map as it is, and a list whose elements have names as a map of them.
func elements(v any) (map[string]any, bool) {
	if m, ok := v.(map[string]any); ok {
		return m, true
	}
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := map[string]any{}
	for i, item := range list {
		key := fmt.Sprintf("[%d]", i)
		if m, ok := item.(map[string]any); ok {
			if name, ok := m["name"].(string); ok {
				key = "[" + name + "]"
			}
		}
		if _, twice := out[key]; twice {
			return nil, false
		}
		out[key] = item
	}
	return out, true
}

func orNothing(v any) string {
	if v == nil {
		return "nothing"
	}
	return show(v)
}
