package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// restore takes the cluster back to before the lab's setup, with the lab's namespaces there and empty. What the record
// does not know stays as it is.
func (r *record) restore(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources, own bool) (*notes, error) {
	n := &notes{}
	left, err := r.leftovers(ctx, c, l, all, own, n)
	if err != nil {
		return n, err
	}
	// What judges requests goes first: it may refuse all the rest.
	if err := left.remove(ctx, c, n, gatekeeper); err != nil {
		return n, err
	}
	group, now := errgroup.WithContext(ctx)
	group.Go(func() error { return wipeAll(now, c, l, all.namespaced, n) })
	group.Go(func() error { return left.clear(now, c, all.namespaced) })
	if r.Before != nil {
		group.Go(func() error { return r.Before.restoreNodes(now, c, own, n) })
		group.Go(func() error { return r.Before.restoreTouched(now, c) })
	}
	if err := group.Wait(); err != nil {
		return n, err
	}
	if err := left.remove(ctx, c, n, func(o stored) bool { return !gatekeeper(o) }); err != nil {
		return n, err
	}
	if err := left.gone(ctx, c, n); err != nil {
		return n, err
	}
	return n, r.restoreNamespaces(ctx, c, l)
}

// restoreNamespaces gives the lab's namespaces what they are born with, as it was: labels, annotations, ServiceAccount
// and root certificate.
func (r *record) restoreNamespaces(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	if err := claim(ctx, c, l); err != nil || r.After == nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, o := range r.After.Objects {
		if o.Resource == namespaces() || kept(o.Resource, o.Name) {
			group.Go(func() error {
				_, err := o.restore(ctx, c)
				return err
			})
		}
	}
	return group.Wait()
}

// restore makes an object what it was when it was stored, and tells whether that took a change. An object that was not
// there is deleted.
func (s stored) restore(ctx context.Context, c *check.Cluster) (changed bool, err error) {
	api := s.api(c)
	raced := func(err error) bool {
		return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
	}
	err = retry.OnError(retry.DefaultBackoff, raced, func() error {
		now, err := api.Get(ctx, s.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && s.Object == nil:
			return nil
		case apierrors.IsNotFound(err):
			changed = true
			_, err = api.Create(ctx, s.reborn(), metav1.CreateOptions{FieldManager: manager})
			return err
		case err != nil:
			return err
		case s.Object == nil:
			changed = true
			err := api.Delete(ctx, s.Name, metav1.DeleteOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		case now.GetDeletionTimestamp() != nil && s.Resource != namespaces():
			changed = true
			if err := setFinalizers(ctx, c, s, nil); err != nil {
				return err
			}
			return apierrors.NewConflict(s.Resource.GroupResource(), s.Name, fmt.Errorf("it is being deleted"))
		case len(compare(s, store(s.Resource, now))) == 0:
			return nil
		}
		changed = true
		u := s.unstructured()
		u.SetResourceVersion(now.GetResourceVersion())
		u.SetUID(now.GetUID())
		u.SetCreationTimestamp(now.GetCreationTimestamp())
		u.SetGeneration(now.GetGeneration())
		_, err = api.Update(ctx, u, metav1.UpdateOptions{FieldManager: manager})
		return err
	})
	if err != nil {
		return changed, fmt.Errorf("restoring %s: %w", s, err)
	}
	return changed, nil
}

// reborn is the object without the marks of its first life.
func (s stored) reborn() *unstructured.Unstructured {
	u := s.unstructured()
	for _, mark := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp"} {
		unstructured.RemoveNestedField(u.Object, "metadata", mark)
	}
	return u
}

// restoreTouched puts back what the lab touches. Pods that read a restored ConfigMap or Secret are started anew: they
// would otherwise go by the old one for a minute or more. Workloads are waited for.
func (s *snapshot) restoreTouched(ctx context.Context, c *check.Cluster) error {
	changed := make([]bool, len(s.Touched))
	group, now := errgroup.WithContext(ctx)
	for i, o := range s.Touched {
		group.Go(func() (err error) {
			changed[i], err = o.restore(now, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if !slices.Contains(changed, true) {
		return nil
	}
	var workloads []lab.Ref
	for i, o := range s.Touched {
		if changed[i] {
			if err := restartReaders(ctx, c, o); err != nil {
				return err
			}
		}
		if kind := singular(o.Resource); kind != "" && o.Object != nil && !o.idle() {
			workloads = append(workloads, lab.Ref{Namespace: o.Namespace, Kind: kind, Name: o.Name})
		}
	}
	return arrive(ctx, c, workloads)
}

// idle tells whether a workload asks for no pods, so that there is nothing to wait for.
func (s stored) idle() bool {
	replicas, found, _ := unstructured.NestedInt64(s.Object, "spec", "replicas")
	return found && replicas == 0
}

func singular(gvr schema.GroupVersionResource) string {
	return map[string]string{"deployments": "deployment", "daemonsets": "daemonset", "statefulsets": "statefulset"}[gvr.Resource]
}

// restartReaders deletes the pods that mount a ConfigMap or Secret; their controllers make new ones.
func restartReaders(ctx context.Context, c *check.Cluster, o stored) error {
	if o.Resource.Resource != "configmaps" && o.Resource.Resource != "secrets" {
		return nil
	}
	list, err := c.Kube.CoreV1().Pods(o.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the pods that read %s: %w", o, err)
	}
	for i := range list.Items {
		p := &list.Items[i]
		reads := slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
			return o.Resource.Resource == "configmaps" && v.ConfigMap != nil && v.ConfigMap.Name == o.Name ||
				o.Resource.Resource == "secrets" && v.Secret != nil && v.Secret.SecretName == o.Name
		})
		if !reads || metav1.GetControllerOf(p) == nil {
			continue
		}
		err := c.Kube.CoreV1().Pods(o.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("restarting pod %s, which reads %s: %w", p.Name, o, err)
		}
	}
	return nil
}

// restoreNodes gives nodes back their labels and taints and lets pods on them again. A node that is gone cannot be
// brought back from here; nodes that are new stay as they are.
func (s *snapshot) restoreNodes(ctx context.Context, c *check.Cluster, own bool, n *notes) error {
	if !own || len(s.Nodes) == 0 {
		return nil
	}
	list, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	missing := maps.Clone(s.Nodes)
	for i := range list.Items {
		now := &list.Items[i]
		was, known := s.Nodes[now.Name]
		delete(missing, now.Name)
		if !known || len(was.differences(now.Name, nodeOf(now))) == 0 {
			continue
		}
		patch, err := jsonOf(was.patch(now))
		if err != nil {
			return err
		}
		_, err = c.Kube.CoreV1().Nodes().Patch(ctx, now.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
		if err != nil {
			return fmt.Errorf("restoring node %s: %w", now.Name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		n.add("node %s is gone, and a reset cannot bring it back: kindlab down, then kindlab up", name)
	}
	return nil
}

// patch is what makes a node what it was, leaving the taints that Kubernetes manages as they are.
func (n node) patch(now *corev1.Node) map[string]any {
	labels := map[string]any{}
	for k, v := range n.Labels {
		labels[k] = v
	}
	for k := range now.Labels {
		if _, was := n.Labels[k]; !was {
			labels[k] = nil
		}
	}
	taints := slices.Clone(n.Taints)
	for _, t := range now.Spec.Taints {
		if byKubernetes(t) {
			taints = append(taints, t)
		}
	}
	return map[string]any{
		"metadata": map[string]any{"labels": labels},
		"spec":     map[string]any{"taints": taints, "unschedulable": n.Unschedulable},
	}
}

func jsonOf(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("writing a patch: %w", err)
	}
	return b, nil
}
