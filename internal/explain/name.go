package explain

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/nearest"
)

// domain is what the names of a cluster end in unless it was made with another.
const domain = "cluster.local"

// Name follows a name from a pod to the Service or pod that it means: the pod's DNS settings → the cluster's DNS and
// the policies before it → the name's form → namespace → Service → the address behind it.
func (w Walker) Name(ctx context.Context, from *corev1.Pod, host string) (*Link, error) {
	k := w.walk()
	_, link, err := k.name(ctx, from, host)
	return link, err
}

// Path follows a connection all the way: Name, then the Service's port to its pods, then the policies between the pod
// and each of them. The port is the one that the name is asked at.
func (w Walker) Path(ctx context.Context, from *corev1.Pod, host string, port int) (*Link, error) {
	k := w.walk()
	n, link, err := k.name(ctx, from, host)
	if link != nil || err != nil || n.service == "" {
		return link, err
	}
	return k.through(ctx, from, n, port)
}

// Through follows a connection whose name was found: the Service's port to its pods, then the policies between the pod
// and each of them.
func (w Walker) Through(ctx context.Context, from *corev1.Pod, namespace, service string, port int) (*Link, error) {
	return w.walk().through(ctx, from, dnsName{service: service, namespace: namespace}, port)
}

func (k *walk) through(ctx context.Context, from *corev1.Pod, n dnsName, port int) (*Link, error) {
	r, link, err := k.service(ctx, n.namespace, n.service, port)
	if link != nil || err != nil {
		return link, err
	}
	if n.replica != "" {
		r.pods = slices.DeleteFunc(r.pods, func(p corev1.Pod) bool { return p.Spec.Hostname != n.replica })
	}
	if link := k.nodeOnly(r, from); link != nil {
		return link, nil
	}
	for i := range r.pods {
		at := port
		if !r.headless() && n.replica == "" {
			at = portOn(&r.pods[i], *r.port)
		}
		v, err := k.connection(ctx, podPeer(from), podPeer(&r.pods[i]), at, corev1.ProtocolTCP)
		if err != nil {
			return nil, err
		}
		if !v.Allowed {
			return &v.Link, nil
		}
	}
	return k.listening(r), nil
}

// nodeOnly is a Service whose traffic stays on the node it begins on.
func (k *walk) nodeOnly(r *route, from *corev1.Pod) *Link {
	if p := r.svc.Spec.InternalTrafficPolicy; p == nil || *p != corev1.ServiceInternalTrafficPolicyLocal || r.headless() {
		return nil
	}
	for _, s := range r.slices {
		for _, e := range s.Endpoints {
			if receives(e) && e.NodeName != nil && *e.NodeName == from.Spec.NodeName {
				return nil
			}
		}
	}
	return k.broken(r.object(), r.look("pods"),
		"%s has internalTrafficPolicy Local, and no ready pod of it is on node %s, where Pod %s runs",
		r.object(), from.Spec.NodeName, from.Name)
}

// A dnsName is what a name means in a cluster; service is "" when it means something outside.
type dnsName struct{ replica, service, namespace string }

func (k *walk) name(ctx context.Context, from *corev1.Pod, host string) (dnsName, *Link, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return dnsName{}, nil, nil
	}
	n, wrong, err := k.parse(ctx, from, strings.ToLower(host))
	if err != nil {
		return dnsName{}, nil, err
	}
	outside := wrong == nil && n.service == ""
	if outside && from.Spec.DNSPolicy == corev1.DNSDefault {
		return n, nil, nil
	}
	if link, err := k.dns(ctx, from); link != nil || err != nil {
		return dnsName{}, link, err
	}
	if wrong != nil {
		wrong.Chain = slices.Clone(k.chain)
	}
	if wrong != nil || outside {
		return n, wrong, nil
	}
	link, err := k.resolves(ctx, host, n)
	return n, link, err
}

// dns asks whether the pod's questions reach the cluster's DNS.
func (k *walk) dns(ctx context.Context, from *corev1.Pod) (*Link, error) {
	const system, kubeDNS = metav1.NamespaceSystem, "kube-dns"
	object, look := "Pod "+from.Name, fmt.Sprintf("kubectl -n %s get pod %s -o yaml", from.Namespace, from.Name)
	policy := from.Spec.DNSPolicy
	switch {
	case policy == corev1.DNSDefault:
		return k.broken(object, look,
			"Pod %s has dnsPolicy Default: it asks what its node asks, where no Service has a name", from.Name), nil
	case policy == corev1.DNSClusterFirst && from.Spec.HostNetwork:
		return k.broken(object, look,
			"Pod %s is on its node's network with dnsPolicy ClusterFirst, which means Default there: it asks what its node asks, where no Service has a name", from.Name), nil
	}
	before := len(k.chain)
	r, link, err := k.service(ctx, system, kubeDNS, 53)
	if link != nil || err != nil {
		return link.because("the cluster's DNS does not answer"), err
	}
	k.chain = k.chain[:before] // the learner did not ask how it works
	k.holds("the cluster's DNS is up")
	if c := from.Spec.DNSConfig; policy == corev1.DNSNone && c != nil && !slices.Contains(c.Nameservers, r.svc.Spec.ClusterIP) {
		return k.broken(object, look, "Pod %s has dnsPolicy None and asks %s, which is not the cluster's DNS (%s)",
			from.Name, and(c.Nameservers...), r.svc.Spec.ClusterIP), nil
	}
	for i := range r.pods {
		v, err := k.connection(ctx, podPeer(from), podPeer(&r.pods[i]), portOn(&r.pods[i], *r.port), corev1.ProtocolUDP)
		if err != nil {
			return nil, err
		}
		if !v.Allowed {
			return v.because("Pod %s cannot ask the cluster's DNS", from.Name), nil
		}
	}
	k.holds("the policies let Pod %s ask it", from.Name)
	return nil, nil
}

// parse reads a name as a pod's search domains do.
func (k *walk) parse(ctx context.Context, from *corev1.Pod, host string) (dnsName, *Link, error) {
	look := fmt.Sprintf("kubectl -n %s get services; kubectl get namespaces", from.Namespace)
	wrong := func(format string, args ...any) (dnsName, *Link, error) {
		return dnsName{}, k.broken("name "+host, look, "the name %s %s", host, fmt.Sprintf(format, args...)), nil
	}
	whole := strings.HasSuffix(host, ".")
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	if i := slices.Index(parts, "svc"); i >= 0 {
		switch rest := strings.Join(parts[i+1:], "."); {
		case rest != "" && rest != domain:
			return wrong("ends in %s; the names of this cluster end in %s", rest, domain)
		case rest == "" && whole:
			return wrong("ends in a dot: nothing is added to it, and it lacks %s", domain)
		case i < 2:
			return wrong("has no namespace between the Service and svc")
		}
		n := dnsName{service: parts[i-2], namespace: parts[i-1]}
		if i > 2 {
			n.replica = parts[i-3]
		}
		return n, nil, nil
	}
	switch {
	case strings.HasSuffix(strings.TrimSuffix(host, "."), ".pod."+domain):
		return dnsName{}, nil, nil // it holds its address
	case strings.HasSuffix(strings.TrimSuffix(host, "."), "."+domain):
		return wrong("has no svc before %s", domain)
	case whole && len(parts) < 3:
		return wrong("ends in a dot: nothing is added to it, and it lacks its namespace and svc.%s", domain)
	case whole, len(parts) > 3:
		return dnsName{}, nil, nil
	case len(parts) == 1:
		return dnsName{service: host, namespace: from.Namespace}, nil, nil
	}
	return k.ambiguous(ctx, from, host, parts)
}

// ambiguous reads a.b, which is Service a of namespace b, or pod a of Service b; and a.b.c, pod a of Service b in c.
// The pod's own namespace is searched first.
func (k *walk) ambiguous(ctx context.Context, from *corev1.Pod, host string, parts []string) (dnsName, *Link, error) {
	all, err := k.namespaces(ctx)
	if err != nil {
		return dnsName{}, nil, err
	}
	last := len(parts) - 1
	inNamespace := dnsName{service: parts[last-1], namespace: parts[last]}
	if last == 2 {
		inNamespace.replica = parts[0]
	}
	var here []corev1.Service
	if last == 1 {
		if here, err = k.services(ctx, from.Namespace); err != nil {
			return dnsName{}, nil, err
		}
		if named(here, parts[1]) != nil {
			return dnsName{replica: parts[0], service: parts[1], namespace: from.Namespace}, nil, nil
		}
	}
	if named(all, inNamespace.namespace) != nil {
		return inNamespace, nil, nil
	}
	is := fmt.Sprintf("the name %s leads nowhere: there is no namespace %s", host, inNamespace.namespace)
	look := "kubectl get namespaces"
	switch near, nearService := nearest.Of(inNamespace.namespace, names(all)), nearest.Of(parts[last], names(here)); {
	case near != "":
		is += "; there is " + near
	case nearService != "":
		is += fmt.Sprintf(", and no Service %s in namespace %s; there is %s", parts[last], from.Namespace, nearService)
		look = fmt.Sprintf("kubectl -n %s get services", from.Namespace)
	case last == 1:
		is += fmt.Sprintf(", and no Service %s in namespace %s", parts[last], from.Namespace)
	}
	return dnsName{}, k.broken("name "+host, look, "%s", is), nil
}

// resolves asks whether the cluster's DNS has an address for the name.
func (k *walk) resolves(ctx context.Context, host string, n dnsName) (*Link, error) {
	list, err := k.services(ctx, n.namespace)
	if err != nil {
		return nil, err
	}
	svc := named(list, n.service)
	switch {
	case svc == nil:
		return k.noService(ctx, n.namespace, n.service, list)
	case n.replica != "":
		return k.replica(ctx, svc, n)
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		_, link, err := k.behind(ctx, svc, 0)
		return link, err
	case svc.Spec.ClusterIP != "":
		k.holds("%s is the name of Service %s, at %s", host, svc.Name, svc.Spec.ClusterIP)
	}
	return nil, nil
}

// replica asks whether a Service gives a pod a name of its own. It does for pods that name it as their subdomain.
func (k *walk) replica(ctx context.Context, svc *corev1.Service, n dnsName) (*Link, error) {
	found, err := k.endpointSlices(ctx, n.namespace, n.service)
	if err != nil {
		return nil, err
	}
	for _, s := range found {
		for _, e := range s.Endpoints {
			if e.Hostname != nil && *e.Hostname == n.replica && receives(e) {
				k.holds("Service %s gives a name to %s", svc.Name, n.replica)
				return nil, nil
			}
		}
	}
	is := fmt.Sprintf("Service %s gives no name to %s", n.service, n.replica)
	all, err := k.pods(ctx, n.namespace)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(p corev1.Pod) bool { return p.Name == n.replica || p.Spec.Hostname == n.replica })
	look := fmt.Sprintf("kubectl -n %s get pods -o custom-columns=NAME:.metadata.name,HOSTNAME:.spec.hostname,SUBDOMAIN:.spec.subdomain", n.namespace)
	if i < 0 {
		return k.broken("Service "+n.service, look,
			"%s: there is no pod of that name%s", is, instead(n.replica, names(all))), nil
	}
	pod := &all[i]
	switch {
	case pod.Spec.Subdomain == "":
		return k.broken("Pod "+pod.Name, look, "%s: Pod %s has no subdomain", is, pod.Name), nil
	case pod.Spec.Subdomain != n.service:
		return k.broken("Pod "+pod.Name, look, "%s: Pod %s has the subdomain %s", is, pod.Name, pod.Spec.Subdomain), nil
	case pod.Spec.Hostname != n.replica:
		return k.broken("Pod "+pod.Name, look, "%s: Pod %s has the host name %q", is, pod.Name, pod.Spec.Hostname), nil
	}
	if link, err := k.pod(ctx, pod); link != nil || err != nil {
		return link.because("%s", is), err
	}
	_, link, err := k.behind(ctx, svc, 0)
	return link.because("%s", is), err
}
