package check

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// atRest tells whether no controller is about to make or remove pods of a namespace: each has seen the latest change of
// its workload, there are as many pods as were asked for, and nothing waits to be collected because its owner is gone.
// Whether those pods run is another question. It is false where that cannot be read.
func (c *Cluster) atRest(ctx context.Context, namespace string) bool {
	apps, all := c.Kube.AppsV1(), metav1.ListOptions{}
	there := owners{}
	deployments, err := apps.Deployments(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, d := range deployments.Items {
		there[d.UID] = true
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.Replicas != wanted(d.Spec.Replicas) || s.UpdatedReplicas != s.Replicas {
			return false
		}
	}
	sets, err := apps.ReplicaSets(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, r := range sets.Items {
		if r.Status.ObservedGeneration < r.Generation || r.Status.Replicas != wanted(r.Spec.Replicas) || there.left(&r, "Deployment") {
			return false
		}
	}
	for _, r := range sets.Items {
		there[r.UID] = true
	}
	stateful, err := apps.StatefulSets(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, s := range stateful.Items {
		there[s.UID] = true
		if s.Status.ObservedGeneration < s.Generation || s.Status.Replicas != wanted(s.Spec.Replicas) || !updated(s) {
			return false
		}
	}
	daemons, err := apps.DaemonSets(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, d := range daemons.Items {
		there[d.UID] = true
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.CurrentNumberScheduled != s.DesiredNumberScheduled || s.UpdatedNumberScheduled != s.DesiredNumberScheduled {
			return false
		}
	}
	return !c.orphans(ctx, namespace, there)
}

// orphans tells whether a pod waits to be collected. It is true where that cannot be read.
func (c *Cluster) orphans(ctx context.Context, namespace string, there owners) bool {
	list, err := c.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return true
	}
	for _, p := range list.Items {
		if there.left(&p, "ReplicaSet", "StatefulSet", "DaemonSet") {
			return true
		}
	}
	return false
}

// owners are the workloads that are there.
type owners map[types.UID]bool

// left tells whether an object's controller, of one of the kinds, is gone.
func (o owners) left(object metav1.Object, kinds ...string) bool {
	ref := metav1.GetControllerOf(object)
	for _, kind := range kinds {
		if ref != nil && ref.Kind == kind && !o[ref.UID] {
			return true
		}
	}
	return false
}

// wanted is a number of replicas, which is one where none is given.
func wanted(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// updated tells whether a StatefulSet has no pod left to replace by itself.
func updated(s appsv1.StatefulSet) bool {
	byHand := s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	return byHand || s.Status.CurrentRevision == s.Status.UpdateRevision
}
