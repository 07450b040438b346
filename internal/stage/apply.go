package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// lastApplied is what kubectl apply reads. Without it, kubectl warns each
// learner who applies a change to one of our objects.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// A Step is one change of the cluster by a lab: its setup, a solution or a mistake.
type Step struct {
	Delete []lab.Ref // removed first, and waited for
	Apply  string    // a manifest or a folder of them
	// Manifests are applied with those of Apply, though they are no files of the lab: wrong answers that were made up.
	Manifests []lab.File
	Run       string // a script, run last
}

// Perform takes a step with the owner's rights: it deletes, applies and runs, in this order. A script has rights of
// its own, in the lab's namespaces only; a nil runner refuses it before anything is changed.
func Perform(ctx context.Context, c *check.Cluster, l *lab.Lab, s Step, runner Runner) error {
	c = asOwner(c)
	if s.Run != "" && runner == nil {
		return fmt.Errorf("lab %s runs the script %s, and here is nothing to run it in: use a cluster that kindlab made", l.Name, s.Run)
	}
	files, err := l.Files(s.Apply)
	if err != nil {
		return err
	}
	objects, err := read(l, append(files, s.Manifests...))
	if err != nil {
		return err
	}
	var deletions errgroup.Group
	for _, r := range s.Delete {
		deletions.Go(func() error { return removeObject(ctx, c, l, r) })
	}
	if err := deletions.Wait(); err != nil {
		return err
	}
	if err := applyAll(ctx, c, l, objects); err != nil {
		return err
	}
	if s.Run == "" {
		return nil
	}
	return runScript(ctx, c, l, s.Run, runner)
}

// read decodes manifests in the order in which they can be applied.
func read(l *lab.Lab, files []lab.File) ([]*unstructured.Unstructured, error) {
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

// rank puts what others refer to before those others. Objects of one rank do not mind each other.
func rank(u *unstructured.Unstructured) int {
	order := [][]string{
		{"Namespace", "CustomResourceDefinition", "StorageClass", "PriorityClass"},
		{"ResourceQuota", "LimitRange", "ServiceAccount", "Role", "ClusterRole", "ConfigMap", "Secret", "NetworkPolicy"},
		{"RoleBinding", "ClusterRoleBinding", "PersistentVolume"},
		{"PersistentVolumeClaim", "Service"},
	}
	at := slices.IndexFunc(order, func(kinds []string) bool { return slices.Contains(kinds, u.GetKind()) })
	if at < 0 {
		return len(order)
	}
	return at
}

// applyAll applies objects, sorted by rank, a rank at once.
func applyAll(ctx context.Context, c *check.Cluster, l *lab.Lab, objects []*unstructured.Unstructured) error {
	for len(objects) > 0 {
		end := slices.IndexFunc(objects, func(u *unstructured.Unstructured) bool { return rank(u) != rank(objects[0]) })
		if end < 0 {
			end = len(objects)
		}
		var together errgroup.Group
		for _, u := range objects[:end] {
			// Where it lives is found out one by one: a kind that is new makes the mapper ask again.
			r, err := placeOf(c, l, u)
			if err != nil {
				return errors.Join(fmt.Errorf("applying %s %s: %w", u.GetKind(), u.GetName(), err), together.Wait())
			}
			together.Go(func() error {
				if err := applyObject(ctx, r, u); err != nil {
					return fmt.Errorf("applying %s %s: %w", u.GetKind(), u.GetName(), err)
				}
				return nil
			})
		}
		if err := together.Wait(); err != nil {
			return err
		}
		objects = objects[end:]
	}
	return nil
}

func applyObject(ctx context.Context, r dynamic.ResourceInterface, u *unstructured.Unstructured) error {
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

// placeOf finds where an object lives, and gives it the lab's namespace when
// it names none. Objects outside the lab's namespaces are refused, but for those it says it touches: a lab must
// not change what another one, or the cluster, owns.
func placeOf(c *check.Cluster, l *lab.Lab, u *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
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
	ref := lab.Ref{Namespace: u.GetNamespace(), Kind: strings.ToLower(gvk.Kind), Name: u.GetName()}
	if !l.MayChange(ref) {
		return nil, fmt.Errorf("namespace %s is not one of the lab's", ref.Namespace)
	}
	return c.Dynamic.Resource(m.Resource).Namespace(u.GetNamespace()), nil
}

// removeObject deletes an object and waits until it is gone, with what it owns.
func removeObject(ctx context.Context, c *check.Cluster, l *lab.Lab, ref lab.Ref) error {
	if ref.Namespace == "" {
		ref.Namespace = l.Namespaces[0]
	}
	if !l.MayChange(ref) {
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
	return wait{what: fmt.Sprintf("%s to be gone", ref)}.until(ctx, func() (bool, error) {
		_, err := r.Get(ctx, ref.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
}

func resourceOf(kind string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Resource: kind}
}
