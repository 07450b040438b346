package rules

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// Changes asks for new rules when a pod or a namespace changes in what the rules of one node are made of. kube-router's own
// handlers ask four times on each node for every pod that comes and goes; twice on its own node would do, and elsewhere
// only where a network policy may name it.
type Changes struct {
	Node     string      // its name
	Policies cache.Store // all network policies
	Request  func()      // has the rules made anew, some time
}

// matters is what the rules take of a pod.
type matters struct {
	addresses []corev1.PodIP
	host      string
	labels    map[string]string
}

// of returns nil for a pod that has no rules: without an address of its own, or ended.
func (c Changes) of(pod *corev1.Pod) *matters {
	ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	switch {
	case ended, pod.Status.PodIP == "", pod.Spec.HostNetwork:
		return nil
	case pod.Spec.NodeName != c.Node && !c.policed():
		return nil
	}
	return &matters{addresses: pod.Status.PodIPs, host: pod.Status.HostIP, labels: pod.Labels}
}

// policed tells whether there is any network policy. The first one to come has everything made anew.
func (c Changes) policed() bool { return len(c.Policies.ListKeys()) > 0 }

// Pods handles changes of pods.
func (c Changes) Pods() cache.ResourceEventHandler {
	alone := func(o any) {
		if pod, ok := last(o).(*corev1.Pod); ok && c.of(pod) != nil {
			c.Request()
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: alone,
		UpdateFunc: func(before, after any) {
			if !reflect.DeepEqual(c.of(before.(*corev1.Pod)), c.of(after.(*corev1.Pod))) {
				c.Request()
			}
		},
		DeleteFunc: alone,
	}
}

// Namespaces handles changes of namespaces, which policies may select by their labels.
func (c Changes) Namespaces() cache.ResourceEventHandler {
	alone := func(any) {
		if c.policed() {
			c.Request()
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: alone,
		UpdateFunc: func(before, after any) {
			if !reflect.DeepEqual(before.(*corev1.Namespace).Labels, after.(*corev1.Namespace).Labels) {
				alone(after)
			}
		},
		DeleteFunc: alone,
	}
}

// last is an object as it was known last, also where its end was missed.
func last(o any) any {
	if missed, ok := o.(cache.DeletedFinalStateUnknown); ok {
		return missed.Obj
	}
	return o
}
