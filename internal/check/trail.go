package check

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kindlab-dev/kindlab/internal/explain"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
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

// leadsTo tells whether by the API the pod of that name is to answer: it is ready, the Service selects it, or the one
// that this is an alias of, and an EndpointSlice lists it. Then that it does is no lag of the network's.
func (h httpCheck) leadsTo(ctx context.Context, c *Cluster, name string) bool {
	svc, err := h.find(ctx, c)
	if err != nil || svc == nil || h.replica != "" {
		return false
	}
	if svc, err = c.walker().Target(ctx, svc); err != nil || svc == nil {
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

// allAnswerWrong tells whether every pod behind the URL gives a wrong answer to itself, where no rule of the network stands
// between, and one of them the answer that was seen, which is not that of a pod on its way out.
func (h httpCheck) allAnswerWrong(ctx context.Context, c *Cluster, saw probe.Outcome) bool {
	if h.by != nil {
		return false
	}
	doors := h.doors(ctx, c)
	if len(doors) == 0 {
		return false
	}
	jobs := make([]probe.Job, len(doors))
	for i, d := range doors {
		if !saysWhenReady(&d.Pod) && c.Clock.Since(startedLast(&d.Pod)) < maxPatience {
			return false // it may still be warming up
		}
		jobs[i] = h.request(origin{job: jobFrom(d.Pod)})
		jobs[i].Host, jobs[i].Port = d.Pod.Status.PodIP, d.Port
	}
	all := c.Prober.Probe(ctx, jobs)
	known := slices.ContainsFunc(all, func(o probe.Outcome) bool { return o.Status == saw.Status && o.Body == saw.Body })
	return known && !slices.ContainsFunc(all, func(o probe.Outcome) bool { return o.Result != dial.OK || h.right(o, nil) })
}

// splits tells whether by the API the answers are divided as wrongly as they were: they came from every ready pod behind the
// URL and from no other, and of these pods too many or too few count.
func (h httpCheck) splits(ctx context.Context, c *Cluster, counted []string, answered map[string]int) bool {
	doors := h.doors(ctx, c)
	of := 0
	for _, d := range doors {
		if answered[d.Pod.Name] == 0 {
			return false
		}
		if slices.Contains(counted, d.Pod.Name) {
			of++
		}
	}
	return len(doors) > 0 && len(doors) == len(answered) && !h.share.inside(of, len(doors))
}

// doors are those of the ready pods behind the URL, as far as that can be told.
func (h httpCheck) doors(ctx context.Context, c *Cluster) []explain.Door {
	svc, err := h.find(ctx, c)
	if err != nil || svc == nil || h.replica != "" {
		return nil
	}
	port := h.port
	for _, p := range svc.Spec.Ports {
		if h.outside && int(p.NodePort) == h.port {
			port = int(p.Port)
		}
	}
	if svc, err = c.walker().Target(ctx, svc); err != nil || svc == nil {
		return nil
	}
	doors, err := c.walker().Behind(ctx, svc, port)
	if err != nil {
		return nil
	}
	return doors
}

// saysWhenReady tells whether each of a pod's containers has a probe that tells when it does its work.
func saysWhenReady(p *corev1.Pod) bool {
	return !slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe == nil && c.StartupProbe == nil })
}

// others are the pods that the Service selects beside the answerers. Known is false where that cannot be told.
func (h httpCheck) others(ctx context.Context, c *Cluster, answerers []string) (pods []corev1.Pod, known bool) {
	svc, err := h.find(ctx, c)
	if err != nil || svc == nil || len(svc.Spec.Selector) == 0 {
		return nil, false
	}
	list, err := c.Kube.CoreV1().Pods(svc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(svc.Spec.Selector).String()})
	if err != nil {
		return nil, false
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		meant := h.replica == "" || p.Spec.Hostname == h.replica
		return !meant || slices.Contains(answerers, p.Name)
	}), true
}

// stays tells whether a pod neither ended nor is about to.
func stays(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}
