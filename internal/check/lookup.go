package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// selection is some objects of one kind: the one of a name, those of a selector, or all.
type selection struct {
	Kind       string // as manifests write it: Deployment
	APIVersion string // such as apps/v1; "" leaves it to the cluster
	Namespace  string // of no meaning for kinds without one
	Name       string
	Selector   string // of labels

	gvk schema.GroupVersionKind // without group and version where a cluster must tell
}

// compile fills in what was left out.
func (o *selection) compile(s Scope, n lab.Node) lab.Problems {
	var problems lab.Problems
	if o.Namespace == "" {
		o.Namespace = s.Namespace
	}
	if o.Name != "" && o.Selector != "" {
		problems = append(problems, n.Problem("expected either name or selector"))
	}
	if _, err := labels.Parse(o.Selector); err != nil {
		problems = append(problems, n.Field("selector").Problem("expected a label selector such as app=web: %v", err))
	}
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	if err != nil {
		problems = append(problems, n.Field("apiVersion").Problem("expected a version such as apps/v1: %v", err))
	}
	o.gvk = gv.WithKind(o.Kind)
	if known, ok := knownKind(o.Kind); ok && o.APIVersion == "" {
		o.gvk, o.Kind = known, known.Kind
	}
	return problems
}

// foreign is the problem of a kind that neither Kubernetes has nor an apiVersion explains: a cluster without it would
// make a misspelt kind the learner's fault.
func (o *selection) foreign(n lab.Node) lab.Problems {
	if o.Kind == "" || o.gvk.Version != "" || o.APIVersion != "" {
		return nil
	}
	return lab.Problems{n.Field("kind").Problem(
		"expected a kind that Kubernetes itself has, such as Service, or an apiVersion for another: found %q", o.Kind)}
}

// dependency is what is read. The resource of a kind that is not Kubernetes' own is a guess.
func (o *selection) dependency() Dependency {
	resource, _ := meta.UnsafeGuessKindToResource(o.gvk)
	return Dependency{Resource: resource, Namespace: o.Namespace, Name: o.Name, Selector: o.Selector}
}

// mapping finds the kind on the cluster. It is nil when the cluster has no such kind.
func (o *selection) mapping(c *Cluster) (*meta.RESTMapping, error) {
	m, err := o.lookup(c.Mapper)
	if !meta.IsNoMatchError(err) {
		return m, err
	}
	// It may be younger than what is known of the cluster.
	c.Mapper.Reset()
	m, err = o.lookup(c.Mapper)
	if !meta.IsNoMatchError(err) {
		return m, err
	}
	// A group whose server is down is left out without a word; that is not a no.
	if _, _, err := c.Kube.Discovery().ServerGroupsAndResources(); err != nil {
		return nil, err
	}
	return nil, nil
}

func (o *selection) lookup(mapper meta.RESTMapper) (*meta.RESTMapping, error) {
	if o.gvk.Version != "" {
		return mapper.RESTMapping(o.gvk.GroupKind(), o.gvk.Version)
	}
	guess, _ := meta.UnsafeGuessKindToResource(o.gvk)
	kinds, err := mapper.KindsFor(guess)
	if err != nil {
		return nil, err
	}
	return mapper.RESTMapping(kinds[0].GroupKind(), kinds[0].Version)
}

// find reads the objects. known is false when the cluster has no such kind.
func (o *selection) find(ctx context.Context, c *Cluster) (list []unstructured.Unstructured, known bool, err error) {
	m, err := o.mapping(c)
	if err != nil {
		return nil, false, fmt.Errorf("finding kind %s on the cluster: %w", o.Kind, err)
	}
	if m == nil {
		return nil, false, nil
	}
	ns := o.Namespace
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		ns = ""
	}
	r := c.Dynamic.Resource(m.Resource).Namespace(ns)
	if o.Name != "" {
		u, err := r.Get(ctx, o.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, true, nil
		}
		if err != nil {
			return nil, true, fmt.Errorf("reading %s %s: %w", o.Kind, o.Name, err)
		}
		return []unstructured.Unstructured{*u}, true, nil
	}
	l, err := r.List(ctx, metav1.ListOptions{LabelSelector: o.Selector})
	if err != nil {
		return nil, true, fmt.Errorf("listing %s: %w", m.Resource.Resource, err)
	}
	slices.SortFunc(l.Items, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return l.Items, true, nil
}

// missing says that there is no such object.
func (o *selection) missing() string {
	where := " in namespace " + o.Namespace
	if o.clusterWide() {
		where = ""
	}
	switch {
	case o.Name != "":
		return fmt.Sprintf("there is no %s %s%s", o.Kind, o.Name, where)
	case o.Selector != "":
		return fmt.Sprintf("there is no %s with labels %s%s", o.Kind, o.Selector, where)
	default:
		return fmt.Sprintf("there is no %s%s", o.Kind, where)
	}
}

// clusterWide tells of Kubernetes' own kinds without a namespace.
func (o *selection) clusterWide() bool {
	switch o.gvk.Kind {
	case "Namespace", "Node", "PersistentVolume":
		return o.gvk.Group == ""
	case "StorageClass", "CSIDriver", "CSINode", "VolumeAttachment", "ClusterRole", "ClusterRoleBinding", "IngressClass", "PriorityClass":
		return true
	}
	return o.gvk.Group == "admissionregistration.k8s.io"
}

// look is the command that shows the objects.
func (o *selection) look() string {
	cmd := fmt.Sprintf("kubectl -n %s get %s", o.Namespace, strings.ToLower(o.Kind))
	if o.clusterWide() {
		cmd = "kubectl get " + strings.ToLower(o.Kind)
	}
	switch {
	case o.Name != "":
		cmd += " " + o.Name
	case o.Selector != "":
		cmd += " -l '" + o.Selector + "'"
	}
	return cmd + " -o yaml"
}
