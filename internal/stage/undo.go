package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"k8s.io/client-go/util/retry"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// Undo puts back what has changed since the baseline, where that is simple, and tells whether it was. Rules, such as
// Services and network policies, which hold no state and run nothing, are changed back, and so is how many replicas a
// Deployment has; what is new goes; other workloads are made anew, with their pods; what the lab touches outside its
// namespaces is restored; all else runs on, where a Reset makes everything anew. It returns the attempt as it is now. Where
// it returns false, the lab needs a Reset: something else has changed, or the cluster did not follow. It does not wait
// until the network has followed, and does not see what happened inside containers.
func (a Attempt) Undo(ctx context.Context, c *check.Cluster, l *lab.Lab) (Attempt, bool, error) {
	c = asOwner(c)
	r := a.record
	if r.After == nil {
		return a, false, nil
	}
	all, err := discover(c)
	if err != nil {
		return a, false, err
	}
	now, err := capture(ctx, c, l, all, r.Own)
	if err != nil {
		return a, false, err
	}
	changed, possible := r.After.simplyChanged(now)
	if !possible || a.held && changed.anew(a.Baseline) {
		return a, false, nil
	}
	if left, err := r.globalDifferences(ctx, c, l, all); len(left) > 0 || err != nil {
		return a, false, err
	}
	if err := a.putBack(ctx, c, l, changed); err != nil {
		return a, false, err
	}
	concerned := changed.among(all)
	err = wait{what: "lab " + l.Name + " to be as it was", limit: following}.until(ctx, func() (bool, error) {
		part, err := capture(ctx, c, l, concerned, r.Own)
		if err != nil {
			return false, err
		}
		now = now.with(part, concerned)
		return len(r.After.differences(now)) == 0, nil
	})
	switch {
	case errors.Is(err, errWaited):
		return a, false, nil
	case err != nil:
		return a, false, err
	case len(changed.workloads) == 0 && len(changed.successors) == 0:
		return a, true, nil
	}
	r.After = now
	if a.held {
		return Attempt{Params: a.Params, Baseline: a.Baseline, record: r, held: true}, true, nil
	}
	if err := r.write(ctx, c, l); err != nil {
		return a, false, err
	}
	return Attempt{Params: a.Params, Baseline: now, record: r}, true, nil
}

// putBack makes what has changed what it was, and waits for its pods, and until those have gone that it had.
func (a Attempt) putBack(ctx context.Context, c *check.Cluster, l *lab.Lab, changed simple) error {
	if err := changed.restoreRules(ctx, c); err != nil {
		return err
	}
	if changed.touched {
		if err := a.record.After.restoreTouched(ctx, c); err != nil {
			return err
		}
	}
	if len(changed.workloads) == 0 && !changed.scaled {
		return nil
	}
	if err := changed.remake(ctx, c, l); err != nil {
		return err
	}
	arrived := func() error { return ready(ctx, c, l) }
	if a.held {
		arrived = func() error { return arrive(ctx, c, changed.running()) }
	}
	if err := arrived(); err != nil {
		return err
	}
	return departed(ctx, c, l)
}

// Hold returns the attempt with the lab as it is now for Undo to go back to. The baseline stays, for grades, and so does
// what the cluster remembers, for a reset.
func (a Attempt) Hold(ctx context.Context, c *check.Cluster, l *lab.Lab) (Attempt, error) {
	c = asOwner(c)
	all, err := discover(c)
	if err != nil {
		return a, err
	}
	now, err := capture(ctx, c, l, all, a.record.Own)
	if err != nil {
		return a, fmt.Errorf("recording lab %s as it is now: %w", l.Name, err)
	}
	a.record.After, a.held = now, true
	return a, nil
}

// following is how long what was deleted may take to go: a claim goes after the pods that used it.
const following = 5 * time.Second

// simple is what Undo can put back. What is new has no content.
type simple struct {
	rules      []stored           // and scaled Deployments, and what is new and runs nothing
	scaled     bool               // there are such Deployments
	successors []stored           // those of the rules that were gone, and become other objects
	workloads  []stored           // to make anew, and to leave away
	doomed     map[types.UID]bool // workloads and stray pods as they are now, and later what they own
	touched    bool               // something outside the namespaces that the lab touches, to be restored as a reset does
}

// simplyChanged are the objects to put back. It is not possible where anything but rules and workloads has changed in the
// lab's namespaces, as pods may have read it, or a node.
func (s *snapshot) simplyChanged(now *snapshot) (changed simple, possible bool) {
	changed.doomed = map[types.UID]bool{}
	for name, n := range s.Nodes {
		if is, there := now.Nodes[name]; !there || len(n.differences(name, is)) > 0 {
			return simple{}, false
		}
	}
	outside := byName(now.Touched)
	for name, o := range byName(s.Touched) {
		found := outside[name]
		changed.touched = changed.touched || len(compare(o, found)) > 0
		if o.Object != nil && o.unstructured().GetUID() != found.unstructured().GetUID() {
			changed.successors = append(changed.successors, o)
		}
	}
	was, is := byName(s.Objects), byName(now.Objects)
	for name, o := range was {
		found, there := is[name]
		same := there && o.unstructured().GetUID() == found.unstructured().GetUID() && revision(o) == revision(found)
		switch {
		case there && len(compare(o, found)) == 0 && (same || !workload(o)):
		case rule(o):
			changed.rules = append(changed.rules, o)
			if !same {
				changed.successors = append(changed.successors, o)
			}
		case same && scaled(o, found):
			changed.rules, changed.scaled = append(changed.rules, o), true
		case workload(o) && remakable(o):
			changed.workloads = append(changed.workloads, o)
			if there {
				changed.doomed[found.unstructured().GetUID()] = true
			}
		default:
			return simple{}, false
		}
	}
	for name, o := range is {
		if _, known := was[name]; known {
			continue
		}
		nothing := stored{Resource: o.Resource, Namespace: o.Namespace, Name: o.Name}
		switch {
		case rule(o), passive(o):
			changed.rules = append(changed.rules, nothing)
		case workload(o), o.Resource.Resource == "pods":
			changed.workloads = append(changed.workloads, nothing)
			changed.doomed[o.unstructured().GetUID()] = true
		default:
			return simple{}, false
		}
	}
	return changed, true
}

func rule(o stored) bool {
	return slices.Contains([]string{"services", "networkpolicies", "roles", "rolebindings", "poddisruptionbudgets"}, o.Resource.Resource)
}

// passive are objects that only pods which name them make use of.
func passive(o stored) bool {
	return slices.Contains([]string{"configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims"}, o.Resource.Resource)
}

func workload(o stored) bool { return singular(o.Resource) != "" }

// remakable tells whether a workload that is made anew from its object is what it was: without earlier revisions, and
// without claims that hold data.
func remakable(o stored) bool {
	return revision(o) == "1" && len(claimsOf(o)) == 0
}

// revision counts the changes of a Deployment's template, also those that were taken back.
func revision(o stored) string {
	return cmp.Or(o.unstructured().GetAnnotations()["deployment.kubernetes.io/revision"], "1") // its controller may not have counted yet
}

// scaled tells whether nothing of a Deployment has changed but how many pods it has: all of them are the same.
func scaled(was, is stored) bool {
	differences := compare(was, is)
	return singular(was.Resource) == "deployment" && len(differences) == 1 && differences[0].Path == "spec.replicas"
}

func (s simple) restoreRules(ctx context.Context, c *check.Cluster) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, o := range s.rules {
		group.Go(func() error { return o.reinstate(ctx, c) })
	}
	return group.Wait()
}

// remake deletes the workloads as they are, with all they own, and makes them anew as they were.
func (s simple) remake(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	if len(s.workloads) == 0 {
		return nil
	}
	for _, ns := range l.Namespaces {
		if err := s.clear(ctx, c, ns); err != nil {
			return err
		}
	}
	for _, o := range s.workloads {
		if o.Object == nil {
			continue
		}
		if err := o.reinstate(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// anew tells whether something of the baseline would become another object. Grades compare with the baseline.
func (s simple) anew(baseline check.Baseline) bool {
	known := func(o stored) bool {
		if o.Object == nil {
			return false
		}
		was := baseline.Object(o.Resource, o.Namespace, o.Name)
		return was != nil && was.GetUID() == o.unstructured().GetUID()
	}
	return slices.ContainsFunc(s.workloads, known) || slices.ContainsFunc(s.successors, known)
}

// among are the resources in which something may be other than before it was put back: those of what has changed, and
// those of which controllers make and delete something then. There is no need to look at all others again.
func (s simple) among(all resources) resources {
	concerned := map[schema.GroupResource]bool{}
	for _, o := range slices.Concat(s.rules, s.workloads) {
		concerned[o.Resource.GroupResource()] = true
	}
	return resources{namespaced: slices.DeleteFunc(slices.Clone(all.namespaced), func(gvr schema.GroupVersionResource) bool {
		return !concerned[gvr.GroupResource()] && !byControllers(gvr)
	})}
}

// running are the workloads to wait for.
func (s simple) running() []lab.Ref {
	var refs []lab.Ref
	for _, o := range slices.Concat(s.rules, s.workloads) {
		if kind := singular(o.Resource); kind != "" && o.Object != nil {
			refs = append(refs, lab.Ref{Namespace: o.Namespace, Kind: kind, Name: o.Name})
		}
	}
	return refs
}

// reinstate restores an object, and its fields as applied ones, as the lab's setup made them: a field that was written
// otherwise would stay when a step applies the object without it, and so would the entry of a list beside its successor.
func (s stored) reinstate(ctx context.Context, c *check.Cluster) error {
	if changed, err := s.restore(ctx, c); err != nil || !changed || s.Object == nil {
		return err
	}
	api := s.api(c)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		now, err := api.Get(ctx, s.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		patch, err := csaupgrade.UpgradeManagedFieldsPatch(now, sets.New(manager), manager)
		if err != nil || patch == nil {
			return err
		}
		_, err = api.Patch(ctx, s.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: manager})
		return err
	})
	if err != nil {
		return fmt.Errorf("restoring whose the fields of %s are: %w", s, err)
	}
	return nil
}

// clear deletes the doomed workloads of a namespace and their pods, and waits until they are gone.
func (s simple) clear(ctx context.Context, c *check.Cluster, ns string) error {
	sweep := &sweep{c: c, ns: ns, began: time.Now(), notes: &notes{}}
	var resources []schema.GroupVersionResource
	for _, name := range []string{"deployments", "statefulsets", "daemonsets", "replicasets"} {
		resources = append(resources, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: name})
	}
	resources = append(resources, schema.GroupVersionResource{Version: "v1", Resource: "pods"})
	return wait{what: "workloads to be gone", limit: emptying}.until(ctx, func() (bool, error) {
		left := 0
		for _, gvr := range resources { // owners before what they own
			list, err := c.Dynamic.Resource(gvr).Namespace(ns).List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, fmt.Errorf("listing %s: %w", gvr.GroupResource(), err)
			}
			for _, u := range list.Items {
				if !s.owns(&u) {
					continue
				}
				s.doomed[u.GetUID()] = true
				left++
				if err := sweep.remove(ctx, store(gvr, &u)); err != nil {
					return false, err
				}
			}
		}
		return left == 0, nil
	})
}

// owns tells whether an object is doomed, or what controls it is.
func (s simple) owns(u *unstructured.Unstructured) bool {
	return s.doomed[u.GetUID()] || slices.ContainsFunc(u.GetOwnerReferences(), func(o metav1.OwnerReference) bool {
		return o.Controller != nil && *o.Controller && s.doomed[o.UID]
	})
}
