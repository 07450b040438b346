package explain

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// maker is what workloads have in common.
type maker struct {
	metav1.Object
	kind       string
	want, have int32 // pods
	up         int32 // of them, available
	observed   int64
	refused    string // by the API, as a condition tells it
	unwanted   string // why it wants no pod at all
	labels     labels.Set
}

func (m maker) object() string { return m.kind + " " + m.GetName() }

func (m maker) look() string {
	return fmt.Sprintf("kubectl -n %s describe %s %s", m.GetNamespace(), strings.ToLower(m.kind), m.GetName())
}

// makers are the workloads of one kind.
func (k *walk) makers(ctx context.Context, kind, ns string) ([]maker, error) {
	switch properKind(kind) {
	case "Deployment":
		all, err := k.deployments(ctx, ns)
		return each(all, ofDeployment), err
	case "StatefulSet":
		all, err := k.statefulSets(ctx, ns)
		return each(all, ofStatefulSet), err
	case "DaemonSet":
		all, err := k.daemonSets(ctx, ns)
		return each(all, ofDaemonSet), err
	case "ReplicaSet":
		all, err := k.replicaSets(ctx, ns)
		return each(all, ofReplicaSet), err
	case "Job":
		all, err := read(ctx, k, "jobs", ns, k.kube.BatchV1().Jobs(ns).List, func(l *batchv1.JobList) []batchv1.Job { return l.Items })
		return each(all, ofJob), err
	}
	return nil, fmt.Errorf("explaining a workload: expected a Deployment, StatefulSet, DaemonSet, ReplicaSet or Job, found %q", kind)
}

func each[T any](list []T, of func(*T) maker) []maker {
	all := make([]maker, len(list))
	for i := range list {
		all[i] = of(&list[i])
	}
	return all
}

func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

func (m maker) orUnwanted(format string, args ...any) maker {
	if m.want == 0 {
		m.unwanted = fmt.Sprintf(format, args...)
	}
	return m
}

func ofDeployment(d *appsv1.Deployment) maker {
	m := maker{
		Object: d, kind: "Deployment", want: orOne(d.Spec.Replicas), have: d.Status.UpdatedReplicas,
		// Available ones are counted old and new: the old are taken off, because a rollout that is stuck keeps them.
		up:       max(0, d.Status.AvailableReplicas-(d.Status.Replicas-d.Status.UpdatedReplicas)),
		observed: d.Status.ObservedGeneration, labels: d.Spec.Template.Labels,
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			m.refused = c.Message
		}
	}
	if d.Spec.Paused && m.have < m.want {
		m.unwanted = "is paused, and its latest change is not rolled out"
	}
	return m.orUnwanted("asks for 0 replicas")
}

func ofStatefulSet(s *appsv1.StatefulSet) maker {
	return maker{
		Object: s, kind: "StatefulSet", want: orOne(s.Spec.Replicas), have: s.Status.Replicas,
		up: s.Status.AvailableReplicas, observed: s.Status.ObservedGeneration, labels: s.Spec.Template.Labels,
	}.orUnwanted("asks for 0 replicas")
}

func ofDaemonSet(d *appsv1.DaemonSet) maker {
	m := maker{
		Object: d, kind: "DaemonSet", want: d.Status.DesiredNumberScheduled, have: d.Status.CurrentNumberScheduled,
		up: d.Status.NumberAvailable, observed: d.Status.ObservedGeneration, labels: d.Spec.Template.Labels,
	}
	if m.observed < d.Generation {
		return m // its numbers are not of this spec
	}
	if s := d.Spec.Template.Spec.NodeSelector; len(s) > 0 {
		return m.orUnwanted("runs on no node: its nodeSelector (%s) matches none", selector(s))
	}
	return m.orUnwanted("runs on no node: its affinity or the nodes' taints leave it none")
}

func ofReplicaSet(s *appsv1.ReplicaSet) maker {
	m := maker{
		Object: s, kind: "ReplicaSet", want: orOne(s.Spec.Replicas), have: s.Status.Replicas,
		up: s.Status.AvailableReplicas, observed: s.Status.ObservedGeneration, labels: s.Spec.Template.Labels,
	}
	for _, c := range s.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			m.refused = c.Message
		}
	}
	return m.orUnwanted("asks for 0 replicas")
}

func ofJob(j *batchv1.Job) maker {
	m := maker{
		Object: j, kind: "Job", want: orOne(j.Spec.Completions), have: j.Status.Active + j.Status.Failed + j.Status.Succeeded,
		up: j.Status.Succeeded, observed: j.Generation, labels: j.Spec.Template.Labels,
	}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		m.unwanted = "is suspended"
	}
	return m.orUnwanted("asks for 0 completions")
}
