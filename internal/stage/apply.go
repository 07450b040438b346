package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

const (
	manager = "kindlab" // field manager of server-side apply
	// lastApplied is what kubectl apply reads. Without it, kubectl warns each
	// learner who applies a change to one of our objects.
	lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
	// labLabel marks what a lab owns. A label's value has no slash, hence the dot.
	labLabel = "kindlab.dev/lab"
)

// Apply puts the manifests at path (a solution, a mistake or the setup) on the
// cluster, after removing what stands in their way.
func Apply(ctx context.Context, c *check.Cluster, l *lab.Lab, path string, remove ...lab.Ref) error {
	for _, r := range remove {
		if err := removeObject(ctx, c, l, r); err != nil {
			return err
		}
	}
	objects, err := read(l, path)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := applyObject(ctx, c, l, o); err != nil {
			return fmt.Errorf("applying %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

// read decodes manifests in the order in which they can be applied.
func read(l *lab.Lab, path string) ([]*unstructured.Unstructured, error) {
	files, err := l.Files(path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, f := range files {
		dec := yaml.NewYAMLOrJSONDecoder(strings.NewReader(f.Content), 4096)
		for {
			u := &unstructured.Unstructured{}
			err := dec.Decode(&u.Object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("reading %s of lab %s: %w", f.Path, l.Name, err)
			}
			if len(u.Object) == 0 {
				continue // a document of comments
			}
			if u.GetKind() == "" || u.GetName() == "" {
				return nil, fmt.Errorf("reading %s of lab %s: an object without kind or name", f.Path, l.Name)
			}
			objects = append(objects, u)
		}
	}
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return objects, nil
}

// rank puts what others refer to before those others.
func rank(u *unstructured.Unstructured) int {
	order := []string{
		"Namespace", "CustomResourceDefinition", "StorageClass", "PriorityClass",
		"ResourceQuota", "LimitRange", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
		"ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim", "Service",
	}
	if i := slices.Index(order, u.GetKind()); i >= 0 {
		return i
	}
	return len(order)
}

func applyObject(ctx context.Context, c *check.Cluster, l *lab.Lab, u *unstructured.Unstructured) error {
	r, err := resource(c, l, u)
	if err != nil {
		return err
	}
	b, err := json.Marshal(u.Object)
	if err != nil {
		return err
	}
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[lastApplied] = string(b) + "\n"
	u.SetAnnotations(annotations)
	_, err = r.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: manager, Force: true})
	return err
}

// resource finds where an object lives, and gives it the lab's namespace when
// it names none. Objects outside the lab's namespaces are refused: a lab must
// not change what another one, or the cluster, owns.
func resource(c *check.Cluster, l *lab.Lab, u *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := u.GroupVersionKind()
	m, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		c.Mapper.Reset() // the kind may have come with the object before
		m, err = c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return nil, fmt.Errorf("%s is not in a namespace: a lab owns only its namespaces", gvk.Kind)
	}
	if u.GetNamespace() == "" {
		u.SetNamespace(l.Namespaces[0])
	}
	if ns := u.GetNamespace(); !slices.Contains(l.Namespaces, ns) {
		return nil, fmt.Errorf("namespace %s is not one of the lab's", ns)
	}
	return c.Dynamic.Resource(m.Resource).Namespace(u.GetNamespace()), nil
}

func labelValue(l *lab.Lab) string { return l.Topic + "." + l.ID }

// removeObject deletes an object and waits until it is gone, with what it owns.
func removeObject(ctx context.Context, c *check.Cluster, l *lab.Lab, ref lab.Ref) error {
	if ref.Namespace == "" {
		ref.Namespace = l.Namespaces[0]
	}
	if !slices.Contains(l.Namespaces, ref.Namespace) {
		return fmt.Errorf("deleting %s: namespace %s is not one of the lab's", ref, ref.Namespace)
	}
	gvr, err := c.Mapper.ResourceFor(resourceOf(ref.Kind))
	if err != nil {
		return fmt.Errorf("deleting %s: %w", ref, err)
	}
	r := c.Dynamic.Resource(gvr).Namespace(ref.Namespace)
	propagation := metav1.DeletePropagationForeground
	err = r.Delete(ctx, ref.Name, metav1.DeleteOptions{PropagationPolicy: &propagation})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting %s: %w", ref, err)
	}
	return wait(ctx, fmt.Sprintf("%s to be gone", ref), func() (bool, error) {
		_, err := r.Get(ctx, ref.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}
