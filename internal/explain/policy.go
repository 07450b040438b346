package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// A Peer is one end of a connection: a pod, or an address outside of the cluster.
type Peer struct {
	Pod  *corev1.Pod // nil for an address
	IP   netip.Addr
	Name string // how an address is called
}

// An Order is what the policies say about one direction of a connection: it is what is allowed unless a policy
// isolates the pod, and then only what a rule allows.
type Order struct {
	Direction networkingv1.PolicyType
	Isolating []string // the names of the policies that isolate the pod in this direction
	By        []Rule   // the rules that allow the connection
	Near      []Near   // of a denial: the rules that would have allowed it but for one thing
}

// Allowed tells whether the connection may pass in this direction.
func (o Order) Allowed() bool { return len(o.Isolating) == 0 || len(o.By) > 0 }

// A Rule is one rule of a policy, and the peer of it that matched.
type Rule struct {
	Policy string
	Index  int
	Peer   int // -1 where the rule names no peer, and means everyone
}

// String writes the rule as its place in the policy: ingress[0].from[1].
func (r Rule) String(d networkingv1.PolicyType) string {
	side, list := "ingress", "from"
	if d == networkingv1.PolicyTypeEgress {
		side, list = "egress", "to"
	}
	if r.Peer < 0 {
		return fmt.Sprintf("%s[%d]", side, r.Index)
	}
	return fmt.Sprintf("%s[%d].%s[%d]", side, r.Index, list, r.Peer)
}

// A Near is a rule that fits the other end and not the port, or the port and not the other end.
type Near struct {
	Rule
	Ports []string // the ports it is about, where it fits the other end; empty where it fits the port alone
}

// Judge says what the policies make of a connection, on its way out of one end and into the other. It is a function of
// its arguments alone, and follows the API's words, with these where the API leaves it open: ipBlock matches the
// addresses of pods too; a pod on its node's network is its node; a node and its own pods always reach each other.
func Judge(policies []networkingv1.NetworkPolicy, namespaces []corev1.Namespace, from, to Peer, port int,
	protocol corev1.Protocol,
) (egress, ingress Order, err error) {
	j := judge{namespaces: map[string]labels.Set{}, target: to, port: int32(port), protocol: orTCP(protocol)}
	for _, ns := range namespaces {
		j.namespaces[ns.Name] = ns.Labels
	}
	sorted := slices.SortedFunc(slices.Values(policies), func(a, b networkingv1.NetworkPolicy) int { return strings.Compare(a.Name, b.Name) })
	if egress, err = j.order(sorted, networkingv1.PolicyTypeEgress, from, to); err != nil {
		return Order{}, Order{}, err
	}
	ingress, err = j.order(sorted, networkingv1.PolicyTypeIngress, to, from)
	return egress, ingress, err
}

type judge struct {
	namespaces map[string]labels.Set
	target     Peer // whose container ports a named port is looked up among, in both directions
	port       int32
	protocol   corev1.Protocol
}

// order judges one direction, at the end that a policy can isolate.
func (j judge) order(policies []networkingv1.NetworkPolicy, d networkingv1.PolicyType, subject, other Peer) (Order, error) {
	o := Order{Direction: d}
	if subject.Pod == nil || subject.Pod.Spec.HostNetwork || alwaysReach(subject, other) {
		return o, nil
	}
	for i := range policies {
		p := &policies[i]
		isolates, err := selectsPod(p, d, subject.Pod)
		if err != nil {
			return Order{}, err
		}
		if !isolates {
			continue
		}
		o.Isolating = append(o.Isolating, p.Name)
		for index, r := range rulesOf(p, d) {
			ports := j.ports(r.ports)
			peer, fits, err := j.peers(p, r.peers, other)
			if err != nil {
				return Order{}, err
			}
			switch rule := (Rule{p.Name, index, peer}); {
			case fits && ports:
				o.By = append(o.By, rule)
			case fits:
				o.Near = append(o.Near, Near{rule, j.portWords(r.ports)})
			case ports:
				rule.Peer = -1
				o.Near = append(o.Near, Near{Rule: rule})
			}
		}
	}
	return o, nil
}

// alwaysReach is a pod and itself, and a pod and its node.
func alwaysReach(a, b Peer) bool {
	if a.Pod == nil {
		return false
	}
	if b.Pod == nil {
		return a.Pod.Status.HostIP != "" && b.IP.IsValid() && b.IP.String() == a.Pod.Status.HostIP
	}
	same := a.Pod.Namespace == b.Pod.Namespace && a.Pod.Name == b.Pod.Name
	return same || b.Pod.Spec.HostNetwork && a.Pod.Spec.NodeName != "" && a.Pod.Spec.NodeName == b.Pod.Spec.NodeName
}

// selectsPod tells whether the policy isolates the pod in a direction.
func selectsPod(p *networkingv1.NetworkPolicy, d networkingv1.PolicyType, pod *corev1.Pod) (bool, error) {
	if p.Namespace != pod.Namespace || !slices.Contains(directions(p), d) {
		return false, nil
	}
	return matches(p, &p.Spec.PodSelector, pod.Labels)
}

// directions of a policy that does not tell them: always ingress, and egress when it has rules for it.
func directions(p *networkingv1.NetworkPolicy) []networkingv1.PolicyType {
	switch {
	case len(p.Spec.PolicyTypes) > 0:
		return p.Spec.PolicyTypes
	case len(p.Spec.Egress) > 0:
		return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	}
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
}

func matches(p *networkingv1.NetworkPolicy, s *metav1.LabelSelector, set labels.Set) (bool, error) {
	wanted, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return false, fmt.Errorf("reading a selector of NetworkPolicy %s: %w", p.Name, err)
	}
	return wanted.Matches(set), nil
}

// rule is what ingress and egress rules have in common.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rulesOf(p *networkingv1.NetworkPolicy, d networkingv1.PolicyType) []rule {
	var all []rule
	if d == networkingv1.PolicyTypeIngress {
		for _, r := range p.Spec.Ingress {
			all = append(all, rule{r.From, r.Ports})
		}
		return all
	}
	for _, r := range p.Spec.Egress {
		all = append(all, rule{r.To, r.Ports})
	}
	return all
}

// peers returns the first peer of the rule that the other end is; no peers at all mean everyone.
func (j judge) peers(p *networkingv1.NetworkPolicy, list []networkingv1.NetworkPolicyPeer, other Peer) (index int, fits bool, err error) {
	if len(list) == 0 {
		return -1, true, nil
	}
	for i, peer := range list {
		fits, err := j.peer(p, peer, other)
		if fits || err != nil {
			return i, fits, err
		}
	}
	return -1, false, nil
}

func (j judge) peer(p *networkingv1.NetworkPolicy, peer networkingv1.NetworkPolicyPeer, other Peer) (bool, error) {
	switch {
	case peer.IPBlock != nil:
		return inBlock(p, peer.IPBlock, other.IP)
	case other.Pod == nil, other.Pod.Spec.HostNetwork:
		return false, nil // it has an address, and no labels that count
	case peer.NamespaceSelector == nil && peer.PodSelector == nil:
		return false, nil
	case peer.NamespaceSelector == nil && other.Pod.Namespace != p.Namespace:
		return false, nil
	}
	if s := peer.NamespaceSelector; s != nil {
		if fits, err := matches(p, s, j.namespace(other.Pod.Namespace)); !fits || err != nil {
			return false, err
		}
	}
	if peer.PodSelector == nil {
		return true, nil
	}
	return matches(p, peer.PodSelector, other.Pod.Labels)
}

// namespace returns the labels of a namespace. All have their name as a label, whatever else is known of them.
func (j judge) namespace(name string) labels.Set {
	if set, ok := j.namespaces[name]; ok {
		return set
	}
	return labels.Set{corev1.LabelMetadataName: name}
}

func inBlock(p *networkingv1.NetworkPolicy, b *networkingv1.IPBlock, ip netip.Addr) (bool, error) {
	for i, text := range slices.Concat([]string{b.CIDR}, b.Except) {
		block, err := netip.ParsePrefix(text)
		if err != nil {
			return false, fmt.Errorf("reading an ipBlock of NetworkPolicy %s: %w", p.Name, err)
		}
		// The block has to hold the address, and none of the exceptions may.
		if block.Contains(ip.Unmap()) != (i == 0) {
			return false, nil
		}
	}
	return true, nil
}

// ports tells whether the rule is about the connection's port; no ports at all mean every port of every protocol.
func (j judge) ports(list []networkingv1.NetworkPolicyPort) bool {
	return len(list) == 0 || slices.ContainsFunc(list, j.isPort)
}

func (j judge) isPort(p networkingv1.NetworkPolicyPort) bool {
	if protocolOf(p) != j.protocol {
		return false
	}
	if p.Port == nil {
		return true
	}
	if name := p.Port.StrVal; name != "" {
		return j.target.Pod != nil && int32(namedPort(j.target.Pod, name, j.protocol)) == j.port
	}
	if p.EndPort != nil {
		return p.Port.IntVal <= j.port && j.port <= *p.EndPort
	}
	return p.Port.IntVal == j.port
}

func protocolOf(p networkingv1.NetworkPolicyPort) corev1.Protocol {
	if p.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return orTCP(*p.Protocol)
}

// portWords writes a rule's ports as a learner would: "80", "53/UDP", "8000-8010", "http (8080)".
func (j judge) portWords(list []networkingv1.NetworkPolicyPort) []string {
	all := make([]string, len(list))
	for i, p := range list {
		switch {
		case p.Port == nil:
			all[i] = "any/" + string(protocolOf(p))
			continue
		case p.Port.StrVal != "":
			all[i] = p.Port.StrVal
			if n := j.named(p); n != 0 {
				all[i] += fmt.Sprintf(" (%d)", n)
			}
			continue
		case p.EndPort != nil:
			all[i] = fmt.Sprintf("%d-%s", p.Port.IntVal, portName(*p.EndPort, protocolOf(p)))
			continue
		}
		all[i] = portName(p.Port.IntVal, protocolOf(p))
	}
	return all
}

func (j judge) named(p networkingv1.NetworkPolicyPort) int {
	if j.target.Pod == nil {
		return 0
	}
	return namedPort(j.target.Pod, p.Port.StrVal, protocolOf(p))
}
