package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// wipeAll empties the lab's namespaces, leaving the namespaces themselves: the
// API server waits five seconds before it even begins to delete one.
func wipeAll(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	resources, err := deletable(c)
	if err != nil {
		return err
	}
	errs := make([]error, len(l.Namespaces))
	var all sync.WaitGroup
	for i, ns := range l.Namespaces {
		all.Go(func() { errs[i] = wipe(ctx, c, ns, resources) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// deletable lists the namespaced resources that can be deleted as a whole.
func deletable(c *check.Cluster) ([]schema.GroupVersionResource, error) {
	lists, err := c.Kube.Discovery().ServerPreferredNamespacedResources()
	// An aggregated API that is down must not keep a learner from a reset.
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, fmt.Errorf("listing what the cluster knows: %w", err)
	}
	var out []schema.GroupVersionResource
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("listing what the cluster knows: %w", err)
		}
		for _, r := range list.APIResources {
			can := func(verb string) bool { return slices.Contains(r.Verbs, verb) }
			if can("list") && can("deletecollection") && !slices.Contains(made(), r.Name) {
				out = append(out, gv.WithResource(r.Name))
			}
		}
	}
	return out, nil
}

// made is what controllers make, and remove with what they made it for.
func made() []string {
	return []string{"events", "endpoints", "endpointslices", "leases", "controllerrevisions"}
}

// kept is what each namespace has from its birth.
func kept(gvr schema.GroupVersionResource, u *unstructured.Unstructured) bool {
	return gvr.Resource == "configmaps" && u.GetName() == "kube-root-ca.crt" ||
		gvr.Resource == "serviceaccounts" && u.GetName() == "default"
}

func wipe(ctx context.Context, c *check.Cluster, ns string, resources []schema.GroupVersionResource) error {
	return wait(ctx, "namespace "+ns+" to be empty", func() (bool, error) {
		var (
			all   sync.WaitGroup
			mu    sync.Mutex
			found int
			errs  []error
		)
		for _, gvr := range resources {
			all.Go(func() {
				n, err := wipeOne(ctx, c, ns, gvr)
				mu.Lock()
				defer mu.Unlock()
				found += n
				errs = append(errs, err)
			})
		}
		all.Wait()
		return found == 0, errors.Join(errs...)
	})
}

// wipeOne asks for the deletion of all objects of one resource and returns how
// many are still there.
func wipeOne(ctx context.Context, c *check.Cluster, ns string, gvr schema.GroupVersionResource) (int, error) {
	r := c.Dynamic.Resource(gvr).Namespace(ns)
	list, err := r.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("listing %s: %w", gvr.Resource, err)
	}
	left := 0
	zero, background := int64(0), metav1.DeletePropagationBackground
	for i := range list.Items {
		u := &list.Items[i]
		if kept(gvr, u) {
			continue
		}
		left++
		// Already asked, and not a pod, whose first asker may have granted it
		// thirty seconds.
		if u.GetDeletionTimestamp() != nil && gvr.Resource != "pods" {
			continue
		}
		err := r.Delete(ctx, u.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &zero, PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) {
			return left, fmt.Errorf("deleting %s %s: %w", gvr.Resource, u.GetName(), err)
		}
	}
	return left, nil
}
