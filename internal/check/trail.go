package check

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
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
