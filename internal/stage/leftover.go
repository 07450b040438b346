package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// leftovers are objects in no namespace that came after the lab did.
//
// Only on a cluster of kindlab's own is all that came since then the learner's: there a reset removes it, namespaces
// of the learner's included. Never removed are Kubernetes' and kindlab's namespaces and those of other labs; what
// servers make by themselves; an object whose name was there before, which the learner or a controller made anew; and
// what came after another lab that was started later and is still there, because it may be work on that one.
type leftovers []stored

// settle is how long a reset waits for what it deleted in no namespace.
const settle = 5 * time.Second

func (r *record) leftovers(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources, own bool, n *notes) (leftovers, error) {
	if !own || !r.Own {
		return nil, nil
	}
	later, since, err := laterLab(ctx, c, l, r.since)
	if err != nil {
		return nil, err
	}
	var left leftovers
	err = listAll(ctx, c, "", all.global, func(gvr schema.GroupVersionResource, items []unstructured.Unstructured) {
		for i := range items {
			u := &items[i]
			o := stored{Resource: gvr, Name: u.GetName(), Object: u.Object}
			if _, known := r.Known[key(gvr, o.Name)]; known || byServers(l, gvr, u) {
				continue
			}
			if made := u.GetCreationTimestamp(); later != "" && !made.Time.Before(since) {
				n.add("%s was left: it may belong to lab %s, which is on the cluster too", o, later)
				continue
			}
			left = append(left, o)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking for leftovers: %w", err)
	}
	return left, nil
}

// laterLab returns the first other lab that was started after a moment, and when; "" where there is none.
func laterLab(ctx context.Context, c *check.Cluster, l *lab.Lab, after time.Time) (name string, since time.Time, err error) {
	list, err := c.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: labLabel})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("listing namespaces: %w", err)
	}
	for _, ns := range list.Items {
		if ns.Labels[labLabel] == labelValue(l) || ns.DeletionTimestamp != nil || ns.CreationTimestamp.Time.Before(after) {
			continue
		}
		if name == "" || ns.CreationTimestamp.Time.Before(since) {
			name, since = strings.Replace(ns.Labels[labLabel], ".", "/", 1), ns.CreationTimestamp.Time
		}
	}
	return name, since, nil
}

// byServers tells what is not the learner's although it came after the lab.
func byServers(l *lab.Lab, gvr schema.GroupVersionResource, u *unstructured.Unstructured) bool {
	text := func(path ...string) string { s, _, _ := unstructured.NestedString(u.Object, path...); return s }
	switch gvr.Resource {
	case "namespaces":
		return lab.Reserved(u.GetName()) || u.GetLabels()[labLabel] != ""
	case "persistentvolumes":
		// Its provisioner removes it when its claim is gone, unless it is told to retain it.
		return u.GetAnnotations()["pv.kubernetes.io/provisioned-by"] != "" &&
			(text("spec", "persistentVolumeReclaimPolicy") != "Retain" || !slices.Contains(l.Namespaces, text("spec", "claimRef", "namespace")))
	case "certificatesigningrequests":
		return strings.HasPrefix(text("spec", "username"), "system:node:")
	case "apiservices":
		return u.GetLabels()["kube-aggregator.kubernetes.io/automanaged"] != ""
	}
	return strings.HasPrefix(u.GetName(), "kindlab-")
}

// gatekeeper tells what may refuse requests.
func gatekeeper(o stored) bool { return o.Resource.Group == "admissionregistration.k8s.io" }

// remove asks for the deletion of the leftovers that are chosen.
func (left leftovers) remove(ctx context.Context, c *check.Cluster, n *notes, chosen func(stored) bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	for _, o := range left {
		if !chosen(o) {
			continue
		}
		group.Go(func() error {
			background := metav1.DeletePropagationBackground
			err := o.api(c).Delete(ctx, o.Name, metav1.DeleteOptions{PropagationPolicy: &background})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return fmt.Errorf("deleting %s: %w", o, err)
			}
			n.add("removed %s, which was left behind", o)
			return nil
		})
	}
	return group.Wait()
}

// clear empties the namespaces among the leftovers without waiting: what is in them may hold a node port or a host
// port that the setup needs, and the namespace itself takes seconds to go.
func (left leftovers) clear(ctx context.Context, c *check.Cluster, all []schema.GroupVersionResource) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, o := range left {
		if o.Resource == namespaces() {
			group.Go(func() error {
				s := &sweep{c: c, ns: o.Name, began: time.Now(), notes: &notes{}}
				_, err := s.round(ctx, all)
				return err
			})
		}
	}
	return group.Wait()
}

// gone waits until the leftovers have left, and notes those that do not. Namespaces and volumes go in their own time.
func (left leftovers) gone(ctx context.Context, c *check.Cluster, n *notes) error {
	var stay leftovers
	pending := slices.DeleteFunc(slices.Clone(left), func(o stored) bool {
		return o.Resource == namespaces() || o.Resource.Resource == "persistentvolumes"
	})
	err := wait{what: "leftovers to be gone", limit: settle}.until(ctx, func() (bool, error) {
		stay = nil
		for _, o := range pending {
			_, err := o.api(c).Get(ctx, o.Name, metav1.GetOptions{})
			if err == nil {
				stay = append(stay, o)
			} else if !apierrors.IsNotFound(err) {
				return false, fmt.Errorf("reading %s: %w", o, err)
			}
		}
		pending = stay
		return len(pending) == 0, nil
	})
	if !errors.Is(err, errWaited) {
		return err
	}
	for _, o := range stay {
		n.add("%s was deleted and does not go (its finalizers: %s)", o, strings.Join(o.unstructured().GetFinalizers(), ", "))
	}
	return nil
}
