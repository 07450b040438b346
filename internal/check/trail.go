package check

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// trail follows the Service to the first link that is missing.
func (h httpCheck) trail(ctx context.Context, c *Cluster) (string, error) {
	svc, err := h.find(ctx, c)
	switch {
	case err != nil:
		return "", err
	case svc != nil:
		return h.behind(ctx, c, svc)
	case h.outside:
		return fmt.Sprintf("no Service in namespace %s has node port %d", h.namespace, h.port), nil
	}
	return fmt.Sprintf("there is no Service %s in namespace %s", h.service, h.namespace), nil
}

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

func (h httpCheck) behind(ctx context.Context, c *Cluster, svc *corev1.Service) (string, error) {
	if h.replica != "" {
		return fmt.Sprintf("Service %s gives no name to %s", svc.Name, h.replica), nil
	}
	if !h.outside && !slices.ContainsFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool { return int(p.Port) == h.port }) {
		return fmt.Sprintf("Service %s has no port %d", svc.Name, h.port), nil
	}
	list, err := c.Kube.DiscoveryV1().EndpointSlices(svc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + svc.Name})
	if err != nil {
		return "", fmt.Errorf("listing EndpointSlices: %w", err)
	}
	ready, port := 0, ""
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				ready += len(e.Addresses)
			}
		}
		for _, p := range s.Ports {
			if p.Port != nil {
				port = fmt.Sprint(*p.Port)
			}
		}
	}
	switch {
	case ready == 0:
		return fmt.Sprintf("Service %s has no ready endpoint (selector %s)", svc.Name, metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: svc.Spec.Selector})), nil
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		return fmt.Sprintf("Service %s is headless: its name leads to the pods themselves, and no port is translated", svc.Name), nil
	default:
		return fmt.Sprintf("Service %s sends to port %s of its pods", svc.Name, port), nil
	}
}
