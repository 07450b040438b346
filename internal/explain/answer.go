package explain

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// An Answer is what a cluster's DNS has to say about a name, by the API's objects.
type Answer struct {
	Alias     string   // the target of a Service of type ExternalName, without a dot at its end
	Addresses []string // of a Service that is no alias, sorted
	// Headless tells that the addresses are those of pods, which an EndpointSlice may be about to gain or to lose.
	Headless bool
}

// Answer returns what the cluster's DNS should answer a pod that looks a name up. It is nil where the name means no
// Service of the cluster, and for a name of one pod behind a Service.
func (w Walker) Answer(ctx context.Context, from *corev1.Pod, host string) (*Answer, error) {
	k := w.walk()
	n, wrong, err := k.parse(ctx, from, strings.ToLower(host))
	if err != nil || wrong != nil || n.service == "" || n.replica != "" {
		return nil, err
	}
	list, err := k.services(ctx, n.namespace)
	if err != nil {
		return nil, err
	}
	svc := named(list, n.service)
	switch {
	case svc == nil:
		return nil, nil
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return &Answer{Alias: strings.TrimSuffix(svc.Spec.ExternalName, ".")}, nil
	case svc.Spec.ClusterIP != corev1.ClusterIPNone:
		return &Answer{Addresses: []string{svc.Spec.ClusterIP}}, nil
	}
	found, err := k.endpointSlices(ctx, svc.Namespace, svc.Name)
	if err != nil {
		return nil, err
	}
	a := &Answer{Headless: true}
	for _, s := range found {
		for _, e := range s.Endpoints {
			if receives(e) {
				a.Addresses = append(a.Addresses, e.Addresses...)
			}
		}
	}
	slices.Sort(a.Addresses)
	a.Addresses = slices.Compact(a.Addresses)
	return a, nil
}

// Target follows a Service of type ExternalName to the one of this cluster that it is an alias of. Any other Service is
// its own. It returns nil where the alias leads out of the cluster, or nowhere.
func (w Walker) Target(ctx context.Context, svc *corev1.Service) (*corev1.Service, error) {
	k := w.walk()
	for range 8 { // aliases may go round in a ring
		if svc.Spec.Type != corev1.ServiceTypeExternalName {
			return svc, nil
		}
		parts := strings.SplitN(strings.TrimSuffix(strings.ToLower(svc.Spec.ExternalName), "."), ".", 3)
		if len(parts) < 3 || parts[2] != "svc."+domain {
			return nil, nil
		}
		list, err := k.services(ctx, parts[1])
		if err != nil {
			return nil, err
		}
		if svc = named(list, parts[0]); svc == nil {
			return nil, nil
		}
	}
	return nil, nil
}

// Behind returns the doors of the ready pods that a Service's TCP port leads to. There are none where the chain to them
// is broken.
func (w Walker) Behind(ctx context.Context, svc *corev1.Service, port int) ([]Door, error) {
	k := w.walk()
	r, link, err := k.behind(ctx, svc, port)
	if link != nil || err != nil {
		return nil, err
	}
	var doors []Door
	for _, p := range r.pods {
		at := port
		if !r.headless() && r.port != nil {
			at = portOn(&p, *r.port)
		}
		doors = append(doors, Door{p, at})
	}
	return doors, nil
}
