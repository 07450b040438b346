package stage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// snapshot is a part of the cluster at one moment. It is a check.Baseline.
type snapshot struct {
	Objects []stored        `json:",omitempty"` // in the lab's namespaces, and these namespaces
	Touched []stored        `json:",omitempty"` // outside; an empty Object was not there
	Nodes   map[string]node `json:",omitempty"`
}

// stored is an object without its status and without what only servers read.
type stored struct {
	Resource  schema.GroupVersionResource
	Namespace string `json:",omitempty"`
	Name      string
	Object    map[string]any `json:",omitempty"`
}

// node is what learners change about a node.
type node struct {
	Labels        map[string]string
	Taints        []corev1.Taint `json:",omitempty"`
	Unschedulable bool           `json:",omitempty"`
}

var _ check.Baseline = (*snapshot)(nil)

// Object returns the object as it was, or nil when it was not there. The version of the resource does not matter.
func (s *snapshot) Object(resource schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	for _, objects := range [][]stored{s.Objects, s.Touched} {
		for _, o := range objects {
			if o.Resource.GroupResource() == resource.GroupResource() && o.Namespace == namespace && o.Name == name && o.Object != nil {
				return (&unstructured.Unstructured{Object: o.Object}).DeepCopy()
			}
		}
	}
	return nil
}

func store(gvr schema.GroupVersionResource, u *unstructured.Unstructured) stored {
	u = u.DeepCopy()
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	return stored{gvr, u.GetNamespace(), u.GetName(), u.Object}
}

func (s stored) unstructured() *unstructured.Unstructured {
	return (&unstructured.Unstructured{Object: s.Object}).DeepCopy()
}

func (s stored) String() string {
	name := s.Resource.Resource + "/" + s.Name
	if s.Namespace != "" {
		name += " in namespace " + s.Namespace
	}
	return name
}

// resources are what a cluster can be asked to list and delete.
type resources struct{ namespaced, global []schema.GroupVersionResource }

// discover asks the cluster which resources it has.
func discover(c *check.Cluster) (resources, error) {
	lists, err := c.Kube.Discovery().ServerPreferredResources()
	// An aggregated API that is down must not keep a learner from a reset.
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return resources{}, fmt.Errorf("listing what the cluster knows: %w", err)
	}
	var all resources
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return resources{}, fmt.Errorf("listing what the cluster knows: %w", err)
		}
		for _, r := range list.APIResources {
			can := func(verb string) bool { return slices.Contains(r.Verbs, verb) }
			switch {
			case !can("list") || !can("delete"):
			case r.Namespaced:
				all.namespaced = append(all.namespaced, gv.WithResource(r.Name))
			case !serversOwn(r.Name):
				all.global = append(all.global, gv.WithResource(r.Name))
			}
		}
	}
	return all, nil
}

// serversOwn are resources in no namespace that controllers and kubelets keep, and that learners do not make.
func serversOwn(resource string) bool {
	return slices.Contains([]string{
		"nodes", "csinodes", "componentstatuses", "ipaddresses", "volumeattachments", "resourceslices",
		"storageversions", "leasecandidates",
	}, resource)
}

// lasting are the namespaced resources that a baseline is made of. The others come and go by themselves, and events are many.
func (r resources) lasting() []schema.GroupVersionResource {
	return slices.DeleteFunc(slices.Clone(r.namespaced), func(gvr schema.GroupVersionResource) bool {
		return slices.Contains([]string{"events", "leases", "endpoints"}, gvr.Resource)
	})
}

// width bounds the requests that are under way at once: more would only queue in the server.
const width = 48

// listAll lists resources in one namespace, or in none, at once.
func listAll(ctx context.Context, c *check.Cluster, ns string, all []schema.GroupVersionResource,
	each func(schema.GroupVersionResource, []unstructured.Unstructured),
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	var mu sync.Mutex
	for _, gvr := range all {
		group.Go(func() error {
			list, err := c.Dynamic.Resource(gvr).Namespace(ns).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				return nil // its definition went a moment ago
			}
			if err != nil {
				return fmt.Errorf("listing %s: %w", gvr.GroupResource(), err)
			}
			mu.Lock()
			defer mu.Unlock()
			each(gvr, list.Items)
			return nil
		})
	}
	return group.Wait()
}

// survey records what lies outside the lab's namespaces.
func (r *record) survey(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources, own bool) error {
	r.Own, r.Known = own, map[string]string{}
	if own {
		err := listAll(ctx, c, "", all.global, func(gvr schema.GroupVersionResource, items []unstructured.Unstructured) {
			for i := range items {
				// The lab's own may still be on their way out from the time before, to be made anew.
				if gvr != namespaces() || !slices.Contains(l.Namespaces, items[i].GetName()) {
					r.Known[key(gvr, items[i].GetName())] = string(items[i].GetUID())
				}
			}
		})
		if err != nil {
			return fmt.Errorf("recording the cluster before lab %s: %w", l.Name, err)
		}
	}
	before, err := surroundings(ctx, c, l, own)
	if err != nil {
		return fmt.Errorf("recording the cluster before lab %s: %w", l.Name, err)
	}
	r.Before = before
	return nil
}

// key names an object in no namespace for people: "clusterrole.rbac.authorization.k8s.io/edit", with its plural.
func key(gvr schema.GroupVersionResource, name string) string {
	return gvr.GroupResource().String() + "/" + name
}

// capture takes the baseline.
func capture(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources, own bool) (*snapshot, error) {
	s, err := surroundings(ctx, c, l, own)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, ns := range l.Namespaces {
		group.Go(func() error {
			u, err := readNamespace(ctx, c, ns)
			if err != nil {
				return fmt.Errorf("reading namespace %s: %w", ns, err)
			}
			mu.Lock()
			s.Objects = append(s.Objects, store(namespaces(), u))
			mu.Unlock()
			return listAll(ctx, c, ns, all.lasting(), func(gvr schema.GroupVersionResource, items []unstructured.Unstructured) {
				mu.Lock()
				defer mu.Unlock()
				for i := range items {
					if metav1.GetControllerOf(&items[i]) == nil { // a controller would make it anew
						s.Objects = append(s.Objects, store(gvr, &items[i]))
					}
				}
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s.sort()
	return s, nil
}

func (s *snapshot) sort() {
	slices.SortFunc(s.Objects, func(a, b stored) int { return strings.Compare(a.String(), b.String()) })
}

// with is the snapshot with what a later one of some resources found.
func (s *snapshot) with(later *snapshot, some resources) *snapshot {
	seen := func(o stored) bool { return o.Resource == namespaces() || slices.Contains(some.namespaced, o.Resource) }
	all := *later
	all.Objects = slices.Concat(slices.DeleteFunc(slices.Clone(s.Objects), seen), later.Objects)
	all.sort()
	return &all
}

// surroundings are the nodes of a cluster of ours, and what the lab touches.
func surroundings(ctx context.Context, c *check.Cluster, l *lab.Lab, own bool) (*snapshot, error) {
	s := &snapshot{}
	if own {
		list, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing nodes: %w", err)
		}
		s.Nodes = map[string]node{}
		for i := range list.Items {
			s.Nodes[list.Items[i].Name] = nodeOf(&list.Items[i])
		}
	}
	refs, err := touched(c, l, own)
	if err != nil {
		return nil, err
	}
	s.Touched = make([]stored, len(refs))
	var group errgroup.Group
	for i, ref := range refs {
		group.Go(func() error {
			s.Touched[i] = ref
			u, err := ref.api(c).Get(ctx, ref.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("reading %s, which lab %s touches: %w", ref, l.Name, err)
			}
			s.Touched[i] = store(ref.Resource, u)
			return nil
		})
	}
	return s, group.Wait()
}

func readNamespace(ctx context.Context, c *check.Cluster, name string) (*unstructured.Unstructured, error) {
	ns, err := c.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(ns)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return u, nil
}

func namespaces() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
}

func (s stored) api(c *check.Cluster) dynamic.ResourceInterface {
	return c.Dynamic.Resource(s.Resource).Namespace(s.Namespace)
}

// nodeOf leaves out the taints that Kubernetes sets and lifts by itself.
func nodeOf(n *corev1.Node) node {
	taints := slices.DeleteFunc(slices.Clone(n.Spec.Taints), byKubernetes)
	return node{n.Labels, taints, n.Spec.Unschedulable}
}

func byKubernetes(t corev1.Taint) bool { return strings.HasPrefix(t.Key, "node.kubernetes.io/") }

// touched are the objects outside its namespaces that the lab names, and on a cluster of ours those that learners
// like to break.
func touched(c *check.Cluster, l *lab.Lab, own bool) ([]stored, error) {
	refs := slices.Clone(l.Touches)
	if own {
		for _, o := range []lab.Ref{
			{Kind: "configmap", Name: "coredns"},
			{Kind: "deployment", Name: "coredns"},
			{Kind: "configmap", Name: "kube-proxy"},
			{Kind: "daemonset", Name: "kube-proxy"},
		} {
			o.Namespace = metav1.NamespaceSystem
			if !slices.Contains(refs, o) {
				refs = append(refs, o)
			}
		}
	}
	var out []stored
	for _, ref := range refs {
		gvr, err := c.Mapper.ResourceFor(resourceOf(ref.Kind))
		if err != nil {
			return nil, fmt.Errorf("lab %s touches %s: %w", l.Name, ref, err)
		}
		gvk, err := c.Mapper.KindFor(gvr)
		if err != nil {
			return nil, fmt.Errorf("lab %s touches %s: %w", l.Name, ref, err)
		}
		mapping, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return nil, fmt.Errorf("lab %s touches %s: %w", l.Name, ref, err)
		}
		root := mapping.Scope.Name() == meta.RESTScopeNameRoot
		if root && ref.Namespace != "" || !root && ref.Namespace == "" {
			return nil, fmt.Errorf("lab %s touches %s: write namespace/kind/name, or kind/name for what is in no namespace", l.Name, ref)
		}
		out = append(out, stored{Resource: gvr, Namespace: ref.Namespace, Name: ref.Name})
	}
	return out, nil
}
