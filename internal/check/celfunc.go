package check

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// functions are what this dialect has beyond Kubernetes' own:
//
//	selects(selector, labels)     does a selector (of a Service, or with matchLabels and matchExpressions) take these labels?
//	ready(object)                 has a Pod, Node, Deployment, StatefulSet, DaemonSet or Job arrived, as it says itself?
//	condition(object, 'Ready')    the status of a condition: 'True', 'False', 'Unknown', or '' when it has none
//	container(object, 'web')      the container of that name of a Pod, or of anything with a template of one
//	owner(object, 'ReplicaSet')   the name of the owner of that kind, or ''
func functions() []cel.EnvOption {
	one := func(name string, result *cel.Type, f func(object map[string]any) (any, error)) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_dyn", []*cel.Type{cel.DynType}, result,
			cel.UnaryBinding(func(o ref.Val) ref.Val { return call(name, f, o) })))
	}
	two := func(name string, result *cel.Type, f func(object map[string]any, word string) (any, error)) cel.EnvOption {
		return cel.Function(name, cel.Overload(name+"_dyn_string", []*cel.Type{cel.DynType, cel.StringType}, result,
			cel.BinaryBinding(func(o, word ref.Val) ref.Val {
				return call(name, func(m map[string]any) (any, error) { return f(m, string(word.(types.String))) }, o)
			})))
	}
	return []cel.EnvOption{
		cel.Function("selects", cel.Overload("selects_dyn_dyn", []*cel.Type{cel.DynType, cel.DynType}, cel.BoolType,
			cel.BinaryBinding(func(selector, taken ref.Val) ref.Val {
				return call("selects", func(m map[string]any) (any, error) { return selects(m, taken) }, selector)
			}))),
		one("ready", cel.BoolType, func(o map[string]any) (any, error) { return ready(o) }),
		two("condition", cel.StringType, func(o map[string]any, kind string) (any, error) { return condition(o, kind), nil }),
		two("container", cel.DynType, func(o map[string]any, name string) (any, error) { return container(o, name) }),
		two("owner", cel.StringType, func(o map[string]any, kind string) (any, error) { return owner(o, kind), nil }),
	}
}

// call hands a map to f. Anything else is the author's fault.
func call(name string, f func(map[string]any) (any, error), arg ref.Val) ref.Val {
	if types.IsUnknownOrError(arg) {
		return arg
	}
	m, ok := native(arg).(map[string]any)
	if !ok {
		return types.NewErr("%s() expected an object, found %s", name, show(arg))
	}
	out, err := f(m)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}

// selects tells whether a selector takes labels. Like everywhere in Kubernetes, a label selector that is empty takes
// all; a Service's plain map that is empty is written the same way, so it takes all too.
func selects(selector map[string]any, taken ref.Val) (bool, error) {
	given, ok := native(taken).(map[string]any)
	if !ok {
		return false, fmt.Errorf("selects() expected labels, found %s", show(taken))
	}
	set := labels.Set{}
	for key, v := range given {
		set[key] = fmt.Sprint(v)
	}
	_, byLabels := selector["matchLabels"].(map[string]any)
	_, byExpressions := selector["matchExpressions"].([]any)
	if !byLabels && !byExpressions {
		plain := labels.Set{}
		for key, v := range selector {
			plain[key] = fmt.Sprint(v)
		}
		return labels.SelectorFromSet(plain).Matches(set), nil
	}
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(selector, &s); err != nil {
		return false, fmt.Errorf("selects() expected a label selector: %w", err)
	}
	parsed, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return false, fmt.Errorf("selects() expected a label selector: %w", err)
	}
	return parsed.Matches(set), nil
}

// ready tells whether an object has arrived, by its own status.
func ready(o map[string]any) (bool, error) {
	number := func(otherwise int64, path ...string) int64 {
		if n, ok, _ := unstructured.NestedInt64(o, path...); ok {
			return n
		}
		return otherwise
	}
	seen := number(0, "status", "observedGeneration") >= number(0, "metadata", "generation")
	has := func(field string, want int64) bool { return number(0, "status", field) >= want }
	switch kind := o["kind"]; kind {
	case "Pod", "Node":
		_, going, _ := unstructured.NestedString(o, "metadata", "deletionTimestamp")
		return !going && condition(o, "Ready") == "True", nil
	case "Deployment", "StatefulSet":
		want := number(1, "spec", "replicas")
		return seen && has("updatedReplicas", want) && has("availableReplicas", want) && number(0, "status", "replicas") <= want, nil
	case "DaemonSet":
		want := number(0, "status", "desiredNumberScheduled")
		return seen && has("updatedNumberScheduled", want) && has("numberAvailable", want), nil
	case "Job":
		return condition(o, "Complete") == "True", nil
	default:
		return false, fmt.Errorf("ready() knows a Pod, Node, Deployment, StatefulSet, DaemonSet and Job, not %v: ask for a condition()", kind)
	}
}

// condition returns the status of an object's condition, or "".
func condition(o map[string]any, kind string) string {
	list, _, _ := unstructured.NestedSlice(o, "status", "conditions")
	status, _ := find(list, "type", kind)["status"].(string)
	return status
}

// container returns a container of a Pod or of a Pod's template, by name.
func container(o map[string]any, name string) (map[string]any, error) {
	for _, at := range [][]string{{"spec"}, {"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		for _, field := range []string{"containers", "initContainers", "ephemeralContainers"} {
			list, _, _ := unstructured.NestedSlice(o, append(at, field)...)
			if found := find(list, "name", name); found != nil {
				return found, nil
			}
		}
	}
	return nil, leftOut("there is no container " + name)
}

// owner returns the name of the object's owner of that kind, or "".
func owner(o map[string]any, kind string) string {
	list, _, _ := unstructured.NestedSlice(o, "metadata", "ownerReferences")
	name, _ := find(list, "kind", kind)["name"].(string)
	return name
}

// find returns the map of a list whose key has the value, or nil.
func find(list []any, key, value string) map[string]any {
	for _, item := range list {
		if m, ok := item.(map[string]any); ok && m[key] == value {
			return m
		}
	}
	return nil
}
