package explain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// NodePort follows a port of the nodes: the Service that has it, what stands behind that Service, and whether every
// node may pass traffic on to it.
func (w Walker) NodePort(ctx context.Context, namespace string, port int) (*Link, error) {
	k := w.walk()
	svc, asked, link, err := k.holder(ctx, namespace, port)
	if link != nil || err != nil {
		return link, err
	}
	k.holds("%s has node port %d", "Service "+svc.Name, port)
	r, link, err := k.behind(ctx, svc, asked)
	if link != nil || err != nil {
		return link, err
	}
	if link, err := k.local(ctx, r); link != nil || err != nil {
		return link, err
	}
	if link, err := k.fromNodes(ctx, r); link != nil || err != nil {
		return link, err
	}
	return k.listening(r), nil
}

// holder is the Service that has the node port, and its own port.
func (k *walk) holder(ctx context.Context, namespace string, port int) (*corev1.Service, int, *Link, error) {
	all, err := k.services(ctx, everywhere)
	if err != nil {
		return nil, 0, nil, err
	}
	var others []string
	is := fmt.Sprintf("no Service in namespace %s has node port %d", namespace, port)
	for i, svc := range all {
		for _, p := range svc.Spec.Ports {
			switch {
			case int(p.NodePort) != port && svc.Namespace == namespace && p.NodePort != 0:
				others = append(others, fmt.Sprintf("Service %s has %d", svc.Name, p.NodePort))
			case int(p.NodePort) != port:
			case svc.Namespace == namespace:
				return &all[i], int(p.Port), nil, nil
			default:
				return nil, 0, k.broken("Service "+svc.Name, "kubectl get services -A",
					"%s; Service %s in namespace %s has it", is, svc.Name, svc.Namespace), nil
			}
		}
	}
	look := fmt.Sprintf("kubectl -n %s get services", namespace)
	if len(others) > 0 {
		return nil, 0, k.broken("Namespace "+namespace, look, "%s; %s", is, and(others...)), nil
	}
	var kinds []string
	for _, svc := range all {
		if svc.Namespace == namespace {
			kinds = append(kinds, fmt.Sprintf("Service %s is of type %s", svc.Name, svc.Spec.Type))
		}
	}
	if len(kinds) > 0 {
		is += "; " + and(kinds...)
	}
	return nil, 0, k.broken("Namespace "+namespace, look, "%s", is), nil
}

// local names the nodes that have no pod of their own and may not ask the others'.
func (k *walk) local(ctx context.Context, r *route) (*Link, error) {
	if r.svc.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return nil, nil
	}
	nodes, err := k.nodes(ctx)
	if err != nil {
		return nil, err
	}
	lonely := names(nodes)
	for _, s := range r.slices {
		for _, e := range s.Endpoints {
			if e.NodeName != nil && receives(e) {
				lonely = slices.DeleteFunc(lonely, func(n string) bool { return n == *e.NodeName })
			}
		}
	}
	if len(lonely) == 0 {
		k.holds("externalTrafficPolicy is Local, and every node has a ready pod")
		return nil, nil
	}
	look := fmt.Sprintf("kubectl -n %s get pods -o wide -l '%s'", r.svc.Namespace, selector(r.svc.Spec.Selector))
	return k.broken(r.object(), look, "%s has externalTrafficPolicy Local, and no ready pod of it is on %s",
		r.object(), many("node", lonely...)), nil
}

// fromNodes asks the policies of the pods: what comes through a node's port has the address of that node by then,
// unless the policy is Local, which keeps the client's.
func (k *walk) fromNodes(ctx context.Context, r *route) (*Link, error) {
	if r.svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal || len(r.pods) == 0 {
		return nil, nil
	}
	nodes, err := k.nodes(ctx)
	if err != nil {
		return nil, err
	}
	for i := range r.pods {
		pod := &r.pods[i]
		for _, n := range nodes {
			ip := internalIP(n)
			if !ip.IsValid() {
				continue
			}
			v, err := k.connection(ctx, Peer{IP: ip, Name: "node " + n.Name}, podPeer(pod), portOn(pod, *r.port), r.port.Protocol)
			if err != nil {
				return nil, err
			}
			if !v.Allowed {
				return &v.Link, nil
			}
		}
	}
	return nil, nil
}

func internalIP(n corev1.Node) netip.Addr {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			if ip, err := netip.ParseAddr(a.Address); err == nil {
				return ip
			}
		}
	}
	return netip.Addr{}
}
