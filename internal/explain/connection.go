package explain

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// A Verdict says what rules make of a request, and which of them does: its Link names the one that allows it, or what
// is missing for that.
type Verdict struct {
	Allowed bool
	Link
}

// Connection asks the NetworkPolicies: which of them, and which rule, lets one pod reach a port of another, or what
// isolates them. The port is that of the pod, not of a Service before it.
func (w Walker) Connection(ctx context.Context, from, to *corev1.Pod, port int, protocol corev1.Protocol) (*Verdict, error) {
	return w.walk().connection(ctx, podPeer(from), podPeer(to), port, protocol)
}

func podPeer(p *corev1.Pod) Peer {
	ip, _ := netip.ParseAddr(p.Status.PodIP) // a pod that has none yet is in no block
	return Peer{Pod: p, IP: ip}
}

func (p Peer) namespace() string {
	if p.Pod == nil {
		return ""
	}
	return p.Pod.Namespace
}

// words name a peer as seen from a namespace.
func (p Peer) words(namespace string) string {
	switch {
	case p.Pod == nil:
		return p.Name
	case p.Pod.Namespace == namespace:
		return "Pod " + p.Pod.Name
	}
	return fmt.Sprintf("Pod %s of namespace %s", p.Pod.Name, p.Pod.Namespace)
}

func (k *walk) connection(ctx context.Context, from, to Peer, port int, protocol corev1.Protocol) (*Verdict, error) {
	policies, namespaces, err := k.rules(ctx, from, to)
	if err != nil {
		return nil, err
	}
	egress, ingress, err := Judge(policies, namespaces, from, to, port, protocol)
	if err != nil {
		return nil, err
	}
	c := crossing{from, to, portName(int32(port), protocol), policies, to.namespace()}
	if to.Pod == nil {
		c.home = from.namespace()
	}
	switch {
	case !egress.Allowed():
		return k.verdict(false, from, c.denied(egress, from, to)), nil
	case !ingress.Allowed():
		k.holds("%s", c.allowed(egress, from))
		return k.verdict(false, to, c.denied(ingress, to, from)), nil
	}
	is := c.allowed(ingress, to)
	if from.Pod != nil {
		is += "; " + c.allowed(egress, from)
	}
	at := to
	if to.Pod == nil {
		at = from
	}
	return k.verdict(true, at, is), nil
}

// rules reads the policies of both ends, and what their selectors of namespaces are about.
func (k *walk) rules(ctx context.Context, from, to Peer) (policies []networkingv1.NetworkPolicy, namespaces []corev1.Namespace, err error) {
	for i, ns := range []string{from.namespace(), to.namespace()} {
		if ns == "" || i == 1 && ns == from.namespace() {
			continue
		}
		found, err := k.policies(ctx, ns)
		if err != nil {
			return nil, nil, err
		}
		policies = append(policies, found...)
	}
	if len(policies) == 0 {
		return nil, nil, nil
	}
	namespaces, err = k.namespaces(ctx)
	return policies, namespaces, err
}

func (k *walk) verdict(allowed bool, at Peer, is string) *Verdict {
	look := "kubectl get networkpolicies -A"
	if at.Pod != nil {
		look = fmt.Sprintf("kubectl -n %s describe networkpolicies", at.Pod.Namespace)
	}
	return &Verdict{allowed, *k.broken(at.words(at.namespace()), look, "%s", is).lasting()}
}

// crossing is a connection in words.
type crossing struct {
	from, to Peer
	port     string
	policies []networkingv1.NetworkPolicy
	home     string // the namespace that goes without saying
}

// allowed names the rules that let the connection through at one end.
func (c crossing) allowed(o Order, at Peer) string {
	if len(o.Isolating) == 0 {
		return c.free(o.Direction, at)
	}
	var parts []string
	for _, r := range o.By {
		part := fmt.Sprintf("NetworkPolicy %s, %s", r.Policy, r.String(o.Direction))
		if r.Peer < 0 {
			part += " (it names nobody, so it means everyone)"
		}
		parts = append(parts, part)
	}
	is := and(parts...) + " " + verb(len(parts), "allows", "allow")
	if o.Direction == networkingv1.PolicyTypeEgress {
		return fmt.Sprintf("%s %s out to %s on port %s", is, at.words(c.home), c.to.words(c.home), c.port)
	}
	return fmt.Sprintf("%s %s into %s on port %s", is, c.from.words(c.home), at.words(c.home), c.port)
}

// free is a pod that nothing isolates, and policies that come close to doing so.
func (c crossing) free(d networkingv1.PolicyType, at Peer) string {
	who := at.words(c.home)
	switch {
	case at.Pod == nil:
		return "no NetworkPolicy speaks about " + who
	case at.Pod.Spec.HostNetwork:
		return fmt.Sprintf("%s is on its node's network, where no NetworkPolicy holds", who)
	}
	var half []string
	for i := range c.policies {
		p := &c.policies[i]
		one, err := selectsPod(p, opposite(d), at.Pod)
		if both, _ := selectsPod(p, d, at.Pod); err == nil && one && !both {
			half = append(half, p.Name)
		}
	}
	way, other := "into", "out of it"
	if d == networkingv1.PolicyTypeEgress {
		way, other = "out of", "into it"
	}
	is := fmt.Sprintf("no NetworkPolicy limits what comes %s %s", way, who)
	if len(half) > 0 {
		is += fmt.Sprintf(" (%s only what comes %s)", and(half...), other)
	}
	return is
}

func opposite(d networkingv1.PolicyType) networkingv1.PolicyType {
	if d == networkingv1.PolicyTypeIngress {
		return networkingv1.PolicyTypeEgress
	}
	return networkingv1.PolicyTypeIngress
}

// denied names the policies that isolate the pod, and the one rule that comes nearest to allowing the connection.
func (c crossing) denied(o Order, at, other Peer) string {
	way := other.words(at.namespace()) + " in"
	if o.Direction == networkingv1.PolicyTypeEgress {
		way = "it out to " + other.words(at.namespace())
	}
	n := len(o.Isolating)
	is := fmt.Sprintf("%s %s %s (%s), and no rule of %s lets %s on port %s", policyNames(o.Isolating), verb(n, "isolates", "isolate"),
		at.words(at.namespace()), strings.ToLower(string(o.Direction)), verb(n, "it", "them"), way, c.port)
	return is + nearWords(o)
}

func policyNames(all []string) string {
	if len(all) == 1 {
		return "NetworkPolicy " + all[0]
	}
	return "NetworkPolicies " + and(all...)
}

func nearWords(o Order) string {
	for _, n := range o.Near {
		if len(n.Ports) > 0 {
			return fmt.Sprintf("; %s of %s does, on port %s only", n.String(o.Direction), n.Policy, and(n.Ports...))
		}
	}
	if len(o.Near) == 1 {
		return fmt.Sprintf("; %s of %s is about this port, but for other peers", o.Near[0].String(o.Direction), o.Near[0].Policy)
	}
	return ""
}
