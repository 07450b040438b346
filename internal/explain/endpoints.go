package explain

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// selects asks which pods have the labels that the Service selects.
func (k *walk) selects(ctx context.Context, r *route) (*Link, error) {
	if len(r.svc.Spec.Selector) == 0 {
		return nil, nil // somebody else writes its EndpointSlices
	}
	all, err := k.pods(ctx, r.svc.Namespace)
	if err != nil {
		return nil, err
	}
	wanted, passing := labels.SelectorFromSet(r.svc.Spec.Selector), []corev1.Pod(nil)
	for _, p := range all {
		switch {
		case !wanted.Matches(labels.Set(p.Labels)):
		case p.DeletionTimestamp != nil, finished(&p):
			passing = append(passing, p)
		default:
			r.pods = append(r.pods, p)
		}
	}
	switch {
	case len(r.pods) > 0:
		k.holds("%s %s the labels %s", podsIn(r.pods), verb(len(r.pods), "has", "have"), selector(r.svc.Spec.Selector))
		return nil, nil
	case len(passing) > 0:
		link, err := k.passing(ctx, r, passing)
		return link, err
	}
	return k.selectsNothing(ctx, r, all)
}

func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// passing is a Service whose only pods have finished or are on their way out.
func (k *walk) passing(ctx context.Context, r *route, pods []corev1.Pod) (*Link, error) {
	link, err := k.pod(ctx, &pods[0])
	if err != nil {
		return nil, err
	}
	if link == nil {
		link = k.broken("Pod "+pods[0].Name, r.look("pods"), "%s has run to its end", podsIn(pods[:1]))
	}
	return link.because("%s", r.noEndpoint()), nil
}

// selectsNothing tells why: the workload that should make such pods makes none, the pods stand in another namespace,
// or they have other labels.
func (k *walk) selectsNothing(ctx context.Context, r *route, all []corev1.Pod) (*Link, error) {
	want := r.svc.Spec.Selector
	if link, err := k.maker(ctx, r.svc.Namespace, labels.SelectorFromSet(want)); err != nil {
		return nil, err
	} else if link != nil {
		return link.because("%s", r.noEndpoint()), nil
	}
	look := fmt.Sprintf("kubectl -n %s get pods --show-labels", r.svc.Namespace)
	here := slices.DeleteFunc(slices.Clone(all), func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || finished(&p) })
	if len(here) == 0 {
		return k.broken(r.object(), look, "%s: there is no pod in namespace %s", r.noEndpoint(), r.svc.Namespace), nil
	}
	if near := unlike(want, here); len(near) > 0 {
		return k.broken(r.object(), look, "%s: no pod in namespace %s has these labels; pods here have %s",
			r.noEndpoint(), r.svc.Namespace, and(near...)), nil
	}
	return k.broken(r.object(), look,
		"%s: no pod in namespace %s has these labels", r.noEndpoint(), r.svc.Namespace), nil
}

// areReady asks the pods.
func (k *walk) areReady(ctx context.Context, r *route) (*Link, error) {
	if len(r.pods) == 0 {
		return nil, nil
	}
	if r.svc.Spec.PublishNotReadyAddresses {
		k.holds("%s publishes its pods before they are ready", r.object())
		return nil, nil
	}
	up := slices.DeleteFunc(slices.Clone(r.pods), func(p corev1.Pod) bool { return !ready(&p) })
	if len(up) > 0 {
		r.pods = up
		k.holds("%s %s ready", podsIn(up), verb(len(up), "is", "are"))
		return nil, nil
	}
	link, err := k.worst(ctx, r.pods)
	if err != nil {
		return nil, err
	}
	if link == nil {
		link = k.settling("Pod "+r.pods[0].Name, r.look("pods"),
			"%s %s not ready", podsIn(r.pods), verb(len(r.pods), "is", "are"))
	}
	return link.because("%s", r.noEndpoint()), nil
}

func ready(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && conditionOf(p, corev1.PodReady).Status == corev1.ConditionTrue
}

func conditionOf(p *corev1.Pod, kind corev1.PodConditionType) corev1.PodCondition {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.PodCondition{}
}

// published asks whether the EndpointSlices list the pods with the port: the nodes' rules are made of those.
func (k *walk) published(ctx context.Context, r *route) (*Link, error) {
	found, err := k.endpointSlices(ctx, r.svc.Namespace, r.svc.Name)
	if err != nil {
		return nil, err
	}
	addresses := 0
	for _, s := range found {
		if r.port != nil && !r.headless() && !serves(s, r.port) {
			continue
		}
		for _, e := range s.Endpoints {
			if receives(e) {
				addresses += len(e.Addresses)
			}
		}
		r.slices = append(r.slices, s)
	}
	look := fmt.Sprintf("kubectl -n %s get endpointslices -l %s=%s", r.svc.Namespace, discoveryv1.LabelServiceName, r.svc.Name)
	switch {
	case addresses > 0:
		k.holds("its EndpointSlices list %s that may get traffic", count(addresses, "address"))
		return nil, nil
	case len(r.svc.Spec.Selector) == 0:
		is := "it has no selector, and no EndpointSlice gives it an address"
		return k.broken(r.object(), look, "%s: %s", r.noEndpoint(), is), nil
	}
	return k.settling(r.object(), look,
		"%s in its EndpointSlices, though %s %s ready", r.noEndpoint(), podsIn(r.pods), verb(len(r.pods), "is", "are")), nil
}

func serves(s discoveryv1.EndpointSlice, p *corev1.ServicePort) bool {
	return slices.ContainsFunc(s.Ports, func(q discoveryv1.EndpointPort) bool {
		name, protocol := "", corev1.ProtocolTCP
		if q.Name != nil {
			name = *q.Name
		}
		if q.Protocol != nil {
			protocol = *q.Protocol
		}
		return name == p.Name && protocol == orTCP(p.Protocol)
	})
}

// receives tells whether an endpoint gets traffic; readiness that is not told is readiness.
func receives(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }
