package check

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// find returns the Service that the URL leads to, or nil.
func (h httpCheck) find(ctx context.Context, c *Cluster) (*corev1.Service, error) {
	list, err := c.Kube.CoreV1().Services(h.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing Services: %w", err)
	}
	for i := range list.Items {
		svc := &list.Items[i]
		named := !h.outside && svc.Name == h.service
		if named || h.outside && slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.NodePort) == h.port }) {
			return svc, nil
		}
	}
	return nil, nil
}

// leadsTo tells whether by the API the pod of that name is to answer: it is ready, the Service selects it, and an
// EndpointSlice lists it. Then that it does is no lag of the network's.
func (h httpCheck) leadsTo(ctx context.Context, c *Cluster, name string) bool {
	svc, err := h.find(ctx, c)
	if err != nil || svc == nil || h.replica != "" {
		return false
	}
	pod, err := c.Kube.CoreV1().Pods(svc.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil || pod.DeletionTimestamp != nil || !podReady(pod) {
		return false
	}
	if s := svc.Spec.Selector; len(s) > 0 && !labels.SelectorFromSet(s).Matches(labels.Set(pod.Labels)) {
		return false
	}
	of := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: svc.Name}).String()
	list, err := c.Kube.DiscoveryV1().EndpointSlices(svc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: of})
	return err == nil && slices.ContainsFunc(list.Items, func(s discoveryv1.EndpointSlice) bool {
		return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
			ready := e.Conditions.Ready == nil || *e.Conditions.Ready
			return ready && slices.Contains(e.Addresses, pod.Status.PodIP)
		})
	})
}

// leadsOnlyTo tells that every pod which the Service selects may answer, so that no wrong one can be on its way into
// the nodes' rules. It is false where that cannot be told.
func (h httpCheck) leadsOnlyTo(ctx context.Context, c *Cluster, answerers []string) bool {
	svc, err := h.find(ctx, c)
	if err != nil || svc == nil || len(svc.Spec.Selector) == 0 {
		return false
	}
	list, err := c.Kube.CoreV1().Pods(svc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(svc.Spec.Selector).String()})
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(list.Items, func(p corev1.Pod) bool {
		meant := h.replica == "" || p.Spec.Hostname == h.replica
		return meant && !slices.Contains(answerers, p.Name)
	})
}
