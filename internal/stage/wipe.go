package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

const (
	// unserved is how long an object may keep a finalizer that is none of Kubernetes' own.
	unserved = 3 * time.Second
	// emptying bounds the wipe of a namespace. It takes seconds, but for machines that are very busy.
	emptying = time.Minute
)

// wipeAll empties the lab's namespaces, leaving the namespaces themselves: the API server waits five seconds before it
// even begins to delete one.
func wipeAll(ctx context.Context, c *check.Cluster, l *lab.Lab, all []schema.GroupVersionResource, n *notes) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, ns := range l.Namespaces {
		group.Go(func() error { return wipe(ctx, c, ns, all, n) })
	}
	return group.Wait()
}

// wipe empties one namespace. Finalizers that nobody serves are taken off and noted.
func wipe(ctx context.Context, c *check.Cluster, ns string, all []schema.GroupVersionResource, n *notes) error {
	s := &sweep{c: c, ns: ns, began: time.Now(), notes: n}
	left := all
	err := wait{what: "namespace " + ns + " to be empty", limit: emptying}.until(ctx, func() (bool, error) {
		var err error
		left, err = s.round(ctx, left)
		return len(left) == 0, err
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("namespace %s is not empty %s after all in it was deleted: %s; look: kubectl -n %s get all",
			ns, emptying, strings.Join(s.lingering, ", "), ns)
	}
	return err
}

// sweep is the wiping of one namespace.
type sweep struct {
	c         *check.Cluster
	ns        string
	began     time.Time
	notes     *notes
	lingering []string // what the last round still saw
}

// kept is what each namespace has from its birth.
func kept(gvr schema.GroupVersionResource, name string) bool {
	return gvr.Resource == "configmaps" && name == "kube-root-ca.crt" ||
		gvr.Resource == "serviceaccounts" && name == "default"
}

// awaited tells whether a wipe lasts until an object is gone. Events and leases keep coming for a moment, and what has
// an owner among these follows it.
func awaited(gvr schema.GroupVersionResource) bool {
	return !slices.Contains([]string{"events", "leases", "endpoints", "endpointslices", "controllerrevisions"}, gvr.Resource)
}

// byControllers tells of what controllers make for other objects.
func byControllers(gvr schema.GroupVersionResource) bool {
	return slices.Contains([]string{"pods", "replicasets", "jobs", "persistentvolumeclaims"}, gvr.Resource)
}

// round asks for the deletion of all objects of the resources, pods last: by then nobody is left to make them anew. It
// returns the resources to look at again.
func (s *sweep) round(ctx context.Context, all []schema.GroupVersionResource) ([]schema.GroupVersionResource, error) {
	var doomed, pods []stored
	events := false
	err := listAll(ctx, s.c, s.ns, all, func(gvr schema.GroupVersionResource, items []unstructured.Unstructured) {
		for i := range items {
			o := stored{gvr, s.ns, items[i].GetName(), items[i].Object}
			switch {
			case kept(gvr, o.Name):
			case gvr.Resource == "events":
				// They are many, and each has two groups that it is listed in.
				events = events || gvr.Group == ""
			case gvr.Resource == "pods":
				pods = append(pods, o)
			default:
				doomed = append(doomed, o)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if events {
		err := s.c.Kube.CoreV1().Events(s.ns).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("deleting the events of namespace %s: %w", s.ns, err)
		}
	}
	for _, objects := range [][]stored{doomed, pods} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(width)
		for _, o := range objects {
			group.Go(func() error { return s.remove(ctx, o) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
	}
	s.lingering = nil
	var again []schema.GroupVersionResource
	for _, o := range append(doomed, pods...) {
		if !awaited(o.Resource) {
			continue
		}
		s.lingering = append(s.lingering, o.remains())
		if !slices.Contains(again, o.Resource) {
			again = append(again, o.Resource)
		}
	}
	if len(again) == 0 {
		return nil, nil
	}
	// A controller that was still at work when its object went may have made one more.
	for _, gvr := range all {
		if byControllers(gvr) && !slices.Contains(again, gvr) {
			again = append(again, gvr)
		}
	}
	return again, nil
}

// remains tells of an object that is still there, and who has still to agree that it goes.
func (s stored) remains() string {
	name := s.Resource.Resource + "/" + s.Name
	if f := s.unstructured().GetFinalizers(); len(f) > 0 {
		name += " has finalizers " + strings.Join(f, ", ")
	}
	return name
}

// remove asks for one object's deletion, and takes unserved finalizers off once it has been asked long enough.
func (s *sweep) remove(ctx context.Context, o stored) error {
	u := &unstructured.Unstructured{Object: o.Object}
	if u.GetDeletionTimestamp() != nil {
		if err := s.strip(ctx, o, u.GetFinalizers()); err != nil {
			return err
		}
		// A pod's first asker may have granted it thirty seconds.
		if o.Resource.Resource != "pods" {
			return nil
		}
	}
	zero, background := int64(0), metav1.DeletePropagationBackground
	err := o.api(s.c).Delete(ctx, o.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero, PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsMethodNotSupported(err) {
		return fmt.Errorf("deleting %s: %w", o, err)
	}
	return nil
}

func (s *sweep) strip(ctx context.Context, o stored, finalizers []string) error {
	served := slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return !byController(f) })
	if len(served) == len(finalizers) || time.Since(s.began) < unserved {
		return nil
	}
	if err := setFinalizers(ctx, s.c, o, served); err != nil {
		return err
	}
	gone := slices.DeleteFunc(slices.Clone(finalizers), byController)
	s.notes.add("took finalizer %s off %s: nobody serves it", strings.Join(gone, ", "), o)
	return nil
}

func setFinalizers(ctx context.Context, c *check.Cluster, o stored, finalizers []string) error {
	patch, err := jsonOf(map[string]any{"metadata": map[string]any{"finalizers": finalizers}})
	if err != nil {
		return err
	}
	_, err = o.api(c).Patch(ctx, o.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("taking finalizers off %s: %w", o, err)
	}
	return nil
}

// byController tells Kubernetes' own finalizers, which its controllers take off in their own time.
func byController(finalizer string) bool {
	return slices.Contains([]string{
		metav1.FinalizerDeleteDependents, metav1.FinalizerOrphanDependents, "kubernetes.io/pvc-protection",
		"kubernetes.io/pv-protection", "kubernetes.io/pvc-as-source-protection", "batch.kubernetes.io/job-tracking",
		"service.kubernetes.io/load-balancer-cleanup", "resource.kubernetes.io/delete-protection",
	}, finalizer)
}

// notes collects what the learner is told in passing.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if line := fmt.Sprintf(format, args...); !slices.Contains(n.lines, line) {
		n.lines = append(n.lines, line)
	}
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(n.lines)
	return strings.Join(n.lines, "; ")
}
