package explain

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// scheduled tells why a pod has no node.
func (k *walk) scheduled(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	if pod.Spec.NodeName != "" {
		return nil, nil
	}
	object, look := "Pod "+pod.Name, describe(pod)
	if gates := pod.Spec.SchedulingGates; len(gates) > 0 {
		var held []string
		for _, g := range gates {
			held = append(held, g.Name)
		}
		return k.broken(object, look, "Pod %s is held back by the scheduling gate %s", pod.Name, and(held...)), nil
	}
	c := conditionOf(pod, corev1.PodScheduled)
	if c.Reason != corev1.PodReasonUnschedulable {
		if k.age(pod) < young {
			return k.settling(object, look, "Pod %s waits for the scheduler", pod.Name), nil
		}
		return k.broken(object, look,
			"no scheduler has looked at Pod %s (schedulerName %s)", pod.Name, pod.Spec.SchedulerName), nil
	}
	for _, v := range pod.Spec.Volumes {
		name := claimOf(pod, v)
		if name == "" {
			continue
		}
		link, err := k.claim(ctx, pod.Namespace, name, pod)
		if err != nil {
			return nil, err
		}
		if link != nil {
			return link.because("Pod %s has no node", pod.Name), nil
		}
	}
	why, err := k.refusals(ctx, pod, c.Message)
	if err != nil {
		return nil, err
	}
	return k.broken(object, look, "no node takes Pod %s: %s", pod.Name, why), nil
}

// claimOf is the name of the claim behind a pod's volume, or "".
func claimOf(pod *corev1.Pod, v corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return pod.Name + "-" + v.Name
	}
	return ""
}

// refusal is one part of the scheduler's message: so many nodes, and why not those.
var refusal = regexp.MustCompile(`^(\d+) (?:node\(s\) )?(.+)$`)

// refusals turns the scheduler's message into words. What it says about preemption afterwards is left out.
func (k *walk) refusals(ctx context.Context, pod *corev1.Pod, message string) (string, error) {
	_, reasons, found := strings.Cut(message, "nodes are available: ")
	if !found {
		return short(message), nil
	}
	reasons, _, _ = strings.Cut(reasons, ". ")
	var parts []string
	for part := range strings.SplitSeq(strings.TrimSuffix(reasons, "."), ", ") {
		m := refusal.FindStringSubmatch(part)
		if m == nil {
			parts = append(parts, part)
			continue
		}
		words, err := k.refusal(ctx, pod, m[1], m[2])
		if err != nil {
			return "", err
		}
		parts = append(parts, words)
	}
	return short(and(parts...)), nil
}

func (k *walk) refusal(ctx context.Context, pod *corev1.Pod, n, why string) (string, error) {
	nodes := n + " nodes"
	if n == "1" {
		nodes = "1 node"
	}
	switch {
	case strings.Contains(why, "untolerated taint"), strings.Contains(why, "taints that the pod didn't tolerate"):
		taints, err := k.taints(ctx, pod)
		return fmt.Sprintf("%s with a taint that the pod does not tolerate%s", nodes, taints), err
	case strings.HasPrefix(why, "Insufficient "):
		what := strings.TrimPrefix(why, "Insufficient ")
		return fmt.Sprintf("%s with too little %s left%s", nodes, what, asks(pod, what)), nil
	case strings.HasPrefix(why, "didn't match Pod's node affinity/selector"):
		return fmt.Sprintf("%s without what its %s asks for", nodes, placement(pod)), nil
	case why == "were unschedulable":
		return nodes + " cordoned", nil
	case strings.HasPrefix(why, "didn't have free ports"):
		return nodes + " where its host port is taken", nil
	}
	return fmt.Sprintf("%s: %s", nodes, why), nil
}

// asks is how much of a resource the pod's containers request together.
func asks(pod *corev1.Pod, what string) string {
	var sum []string
	for _, c := range pod.Spec.Containers {
		if q, ok := c.Resources.Requests[corev1.ResourceName(what)]; ok {
			sum = append(sum, fmt.Sprintf("container %s asks for %s", c.Name, q.String()))
		}
	}
	if len(sum) == 0 {
		return ""
	}
	return " (" + and(sum...) + ")"
}

func placement(pod *corev1.Pod) string {
	if len(pod.Spec.NodeSelector) > 0 {
		return "nodeSelector (" + selector(pod.Spec.NodeSelector) + ")"
	}
	return "node affinity"
}

// taints names those that keep the pod away; the scheduler tells only that there are some.
func (k *walk) taints(ctx context.Context, pod *corev1.Pod) (string, error) {
	all, err := k.nodes(ctx)
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	for _, n := range all {
		for _, t := range n.Spec.Taints {
			if t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(pod, t) {
				found[t.ToString()] = true
			}
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	return " (" + and(slices.Sorted(maps.Keys(found))...) + ")", nil
}

func tolerates(pod *corev1.Pod, t corev1.Taint) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(o corev1.Toleration) bool {
		return (o.Effect == "" || o.Effect == t.Effect) && (o.Key == "" || o.Key == t.Key) &&
			(o.Operator == corev1.TolerationOpExists || o.Value == t.Value)
	})
}
