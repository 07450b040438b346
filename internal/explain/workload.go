package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Workload follows a Deployment, StatefulSet, DaemonSet, ReplicaSet or Job to its pods: its spec → what makes its pods
// → what the API refused → the pods. Kind is written in any case.
func (w Walker) Workload(ctx context.Context, kind, namespace, name string) (*Link, error) {
	return w.walk().workload(ctx, kind, namespace, name)
}

func (k *walk) workload(ctx context.Context, kind, ns, name string) (*Link, error) {
	all, err := k.makers(ctx, kind, ns)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, m := range all {
		if m.GetName() == name {
			return k.makes(ctx, m)
		}
		others = append(others, m.GetName())
	}
	kind = properKind(kind)
	return k.broken(kind+" "+name, fmt.Sprintf("kubectl -n %s get %ss", ns, strings.ToLower(kind)),
		"there is no %s %s in namespace %s%s",
		kind, name, ns, instead(name, others)), nil
}

func properKind(kind string) string {
	for _, known := range []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"} {
		if strings.EqualFold(kind, known) {
			return known
		}
	}
	return kind
}

// maker finds the workload whose pods would have the labels, and why it has none.
func (k *walk) maker(ctx context.Context, ns string, wanted labels.Selector) (*Link, error) {
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		all, err := k.makers(ctx, kind, ns)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			if !wanted.Matches(m.labels) {
				continue
			}
			if link, err := k.makes(ctx, m); link != nil || err != nil {
				return link, err
			}
		}
	}
	return nil, nil
}

func (k *walk) makes(ctx context.Context, m maker) (*Link, error) {
	if !k.enter(fmt.Sprintf("%s/%s/%s", m.kind, m.GetNamespace(), m.GetName())) {
		return nil, nil
	}
	switch {
	case m.unwanted != "":
		return k.broken(m.object(), m.look(), "%s %s", m.object(), m.unwanted), nil
	case m.up >= m.want && m.observed >= m.GetGeneration():
		return nil, nil
	}
	k.holds("%s asks for %s", m.object(), count(int(m.want), "pod"))
	link, err := k.refused(ctx, m)
	if link != nil || err != nil {
		return link, err
	}
	pods, err := k.made(ctx, m)
	if err != nil {
		return nil, err
	}
	late := slices.DeleteFunc(pods, func(p corev1.Pod) bool { return ready(&p) })
	if link, err := k.worst(ctx, late); link != nil || err != nil {
		return link, err
	}
	return k.settling(m.object(), m.look(),
		"%s has %d of %s", m.object(), m.up, count(int(m.want), "available pod")), nil
}

func (k *walk) makesNothing(m maker, why string) *Link {
	why = short(why)
	// "pods "oven-1" is forbidden: exceeded quota: …": the pod does not exist, and its name says nothing.
	if _, after, found := strings.Cut(why, " is forbidden: "); found {
		why = after
	}
	return k.broken(m.object(), m.look(),
		"the API refuses the pods of %s: %s", m.object(), strings.TrimPrefix(why, "Error creating: "))
}

// refused is what the API said to the controller that makes the pods.
func (k *walk) refused(ctx context.Context, m maker) (*Link, error) {
	if m.have >= m.want {
		return nil, nil
	}
	if m.refused != "" {
		return k.makesNothing(m, m.refused), nil
	}
	events, err := k.events(ctx, m.kind, m)
	if err != nil {
		return nil, err
	}
	if why := latest(events, "FailedCreate"); why != "" {
		return k.makesNothing(m, why), nil
	}
	return nil, nil
}

// made are the pods that the workload owns; a Deployment owns the latest ReplicaSet, and that owns its pods.
func (k *walk) made(ctx context.Context, m maker) ([]corev1.Pod, error) {
	owner := m.GetUID()
	if m.kind == "Deployment" {
		sets, err := k.replicaSets(ctx, m.GetNamespace())
		if err != nil {
			return nil, err
		}
		mine := slices.DeleteFunc(slices.Clone(sets), func(s appsv1.ReplicaSet) bool { return !metav1.IsControlledBy(&s, m) })
		if len(mine) == 0 {
			return nil, nil
		}
		latest := slices.MaxFunc(mine, func(a, b appsv1.ReplicaSet) int { return cmp.Compare(revision(a), revision(b)) })
		owner = latest.UID
	}
	all, err := k.pods(ctx, m.GetNamespace())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(p corev1.Pod) bool {
		ref := metav1.GetControllerOf(&p)
		return ref == nil || ref.UID != owner
	}), nil
}

func revision(s appsv1.ReplicaSet) int {
	n, _ := strconv.Atoi(s.Annotations["deployment.kubernetes.io/revision"]) // none is the oldest
	return n
}
