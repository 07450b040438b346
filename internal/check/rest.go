package check

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// atRest tells whether no controller is about to make or remove pods of a namespace: each has seen the latest change of
// its workload, and there are as many pods as were asked for. Whether those run is another question. It is false where
// that cannot be read.
func (c *Cluster) atRest(ctx context.Context, namespace string) bool {
	apps, all := c.Kube.AppsV1(), metav1.ListOptions{}
	deployments, err := apps.Deployments(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, d := range deployments.Items {
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
		if r.Status.ObservedGeneration < r.Generation || r.Status.Replicas != wanted(r.Spec.Replicas) {
			return false
		}
	}
	stateful, err := apps.StatefulSets(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, s := range stateful.Items {
		if s.Status.ObservedGeneration < s.Generation || s.Status.Replicas != wanted(s.Spec.Replicas) || !updated(s) {
			return false
		}
	}
	daemons, err := apps.DaemonSets(namespace).List(ctx, all)
	if err != nil {
		return false
	}
	for _, d := range daemons.Items {
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.CurrentNumberScheduled != s.DesiredNumberScheduled || s.UpdatedNumberScheduled != s.DesiredNumberScheduled {
			return false
		}
	}
	return true
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
