package explain

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// The cluster's DNS, as kubeadm makes it.
const (
	kubeDNS = "{apiVersion: v1, kind: Service, metadata: {namespace: kube-system, name: kube-dns}, spec: {clusterIP: 10.96.0.10, selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]}}"
	coreDNS = "{apiVersion: v1, kind: Pod, metadata: {namespace: kube-system, name: coredns-1, labels: {k8s-app: kube-dns}}, spec: {nodeName: one, containers: [{name: coredns}]}, status: {podIP: 10.244.0.2, conditions: [{type: Ready, status: 'True'}]}}"
	dnsEnds = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {namespace: kube-system, name: kube-dns-x, labels: {kubernetes.io/service-name: kube-dns}}, " +
		"ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}], endpoints: [{addresses: [10.244.0.2]}]}"
)

func dnsDocs() string {
	return docs(kubeDNS, coreDNS, dnsEnds, namespaceDoc("bakery", "shop", "kube-system"), nodesDoc)
}

// till is the pod of namespace shop that asks.
func till(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{}
	p.Namespace, p.Name, p.Labels = "shop", "till", map[string]string{"app": "till"}
	p.Spec.NodeName, p.Spec.DNSPolicy = "two", corev1.DNSClusterFirst
	p.Status.PodIP = "10.244.1.9"
	if change != nil {
		change(p)
	}
	return p
}

func TestName(t *testing.T) {
	t.Parallel()
	ask := func(host string, change func(*corev1.Pod)) step {
		return func(ctx context.Context, w Walker) (*Link, error) { return w.Name(ctx, till(change), host) }
	}
	const (
		lookNamespaces = "kubectl get namespaces"
		lookBoth       = "kubectl -n shop get services; kubectl get namespaces"
		lookTill       = "kubectl -n shop get pod till -o yaml"
		lookHosts      = "kubectl -n bakery get pods -o custom-columns=NAME:.metadata.name,HOSTNAME:.spec.hostname,SUBDOMAIN:.spec.subdomain"
	)
	whole := docs(dnsDocs(), serviceDoc("bread", bread), podDoc("oven-1", "app: oven", oven, up), sliceDoc("bread", ""))
	ledger := func(spec string, more ...string) string {
		return docs(append([]string{dnsDocs(), serviceDoc("ledger", "clusterIP: None, selector: {app: oven}, ports: [{port: 8080}]"), podDoc("ledger-0", "app: oven", oven+spec, up)}, more...)...)
	}
	shut := func(egress string) string {
		return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: shop, name: shut}, spec: {podSelector: {}, policyTypes: [Egress], egress: [" + egress + "]}}"
	}
	runChain(t, []chainTest{
		// Forms that are right.
		{name: "with its namespace", objects: whole, walk: ask("bread.bakery", nil)},
		{name: "with svc", objects: whole, walk: ask("bread.bakery.svc", nil)},
		{name: "in full", objects: whole, walk: ask("bread.bakery.svc.cluster.local", nil)},
		{name: "in full with a dot", objects: whole, walk: ask("Bread.Bakery.svc.cluster.local.", nil)},
		{name: "short, from its own namespace", objects: whole, walk: ask("bread", func(p *corev1.Pod) { p.Namespace = "bakery" })},
		{name: "an address", walk: ask("10.96.0.9", nil)},
		{name: "outside", objects: whole, walk: ask("a.b.example.com", nil)},
		{name: "outside, by the node's DNS", walk: ask("a.b.example.com", func(p *corev1.Pod) { p.Spec.DNSPolicy = corev1.DNSDefault })},
		{name: "a pod's address as a name", objects: whole, walk: ask("10-244-0-7.bakery.pod.cluster.local", nil)},

		// Forms that are wrong.
		{
			name: "no namespace", objects: whole, walk: ask("bread", nil),
			object: "Service bread", is: "there is no Service bread in namespace shop; there is one in namespace bakery", look: "kubectl get services -A",
		},
		{
			name: "namespace with a typo", objects: whole, walk: ask("bread.bakry", nil),
			object: "name bread.bakry", is: "the name bread.bakry leads nowhere: there is no namespace bakry; there is bakery", look: lookNamespaces,
		},
		{
			name: "Service with a typo", objects: whole, walk: ask("bred.bakery", nil),
			object: "Service bred", is: "there is no Service bred in namespace bakery; there is bread", look: "kubectl -n bakery get services",
		},
		{
			name: "neither", objects: whole, walk: ask("example.com", nil),
			object: "name example.com", is: "the name example.com leads nowhere: there is no namespace com, and no Service com in namespace shop", look: lookNamespaces,
		},
		{
			name: "pod of a Service with a typo", objects: whole, walk: ask("oven-1.bred", func(p *corev1.Pod) { p.Namespace = "bakery" }),
			object: "name oven-1.bred", is: "the name oven-1.bred leads nowhere: there is no namespace bred, and no Service bred in namespace bakery; there is bread", look: "kubectl -n bakery get services",
		},
		{
			name: "svc without a namespace", objects: whole, walk: ask("bread.svc.cluster.local", nil),
			object: "name bread.svc.cluster.local", is: "the name bread.svc.cluster.local has no namespace between the Service and svc", look: lookBoth,
		},
		{
			name: "another domain", objects: whole, walk: ask("bread.bakery.svc.cluster.locl", nil),
			object: "name bread.bakery.svc.cluster.locl", is: "the name bread.bakery.svc.cluster.locl ends in cluster.locl; the names of this cluster end in cluster.local", look: lookBoth,
		},
		{
			name: "no svc", objects: whole, walk: ask("bread.bakery.cluster.local", nil),
			object: "name bread.bakery.cluster.local", is: "the name bread.bakery.cluster.local has no svc before cluster.local", look: lookBoth,
		},
		{
			name: "a dot too early", objects: whole, walk: ask("bread.bakery.", nil),
			object: "name bread.bakery.", is: "the name bread.bakery. ends in a dot: nothing is added to it, and it lacks its namespace and svc.cluster.local", look: lookBoth,
		},

		// The way to the cluster's DNS.
		{
			name: "the node's DNS", objects: whole, walk: ask("bread.bakery", func(p *corev1.Pod) { p.Spec.DNSPolicy = corev1.DNSDefault }),
			object: "Pod till", is: "Pod till has dnsPolicy Default: it asks what its node asks, where no Service has a name", look: lookTill,
		},
		{
			name: "the node's network", objects: whole, walk: ask("bread.bakery", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
			object: "Pod till", is: "Pod till is on its node's network with dnsPolicy ClusterFirst, which means Default there: it asks what its node asks, where no Service has a name", look: lookTill,
		},
		{
			name: "somebody else's DNS", objects: whole, look: lookTill, object: "Pod till",
			walk: ask("bread.bakery", func(p *corev1.Pod) {
				p.Spec.DNSPolicy, p.Spec.DNSConfig = corev1.DNSNone, &corev1.PodDNSConfig{Nameservers: []string{"1.1.1.1"}}
			}),
			is: "Pod till has dnsPolicy None and asks 1.1.1.1, which is not the cluster's DNS (10.96.0.10)",
		},
		{
			name: "DNS asks for no replicas", walk: ask("bread.bakery", nil),
			objects: docs(kubeDNS, namespaceDoc("bakery", "shop"), "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: kube-system, name: coredns}, spec: {replicas: 0, template: {metadata: {labels: {k8s-app: kube-dns}}}}}"),
			object:  "Deployment coredns", look: "kubectl -n kube-system describe deployment coredns",
			is: "the cluster's DNS does not answer: Service kube-dns has no ready endpoint (selector k8s-app=kube-dns): Deployment coredns asks for 0 replicas",
		},
		{
			name: "no way out", objects: docs(whole, shut("")), walk: ask("bread.bakery", nil),
			object: "Pod till", look: "kubectl -n shop describe networkpolicies",
			is: "Pod till cannot ask the cluster's DNS: NetworkPolicy shut isolates Pod till (egress), and no rule of it lets it out to Pod coredns-1 of namespace kube-system on port 53/UDP",
		},
		{
			name: "TCP alone", objects: docs(whole, shut("{ports: [{port: 53}]}")), walk: ask("bread.bakery", nil),
			object: "Pod till", look: "kubectl -n shop describe networkpolicies",
			is: "Pod till cannot ask the cluster's DNS: NetworkPolicy shut isolates Pod till (egress), and no rule of it lets it out to Pod coredns-1 of namespace kube-system on port 53/UDP; egress[0] of shut does, on port 53 only",
		},
		{name: "port 53 is open", objects: docs(whole, shut("{ports: [{port: 53, protocol: UDP}]}")), walk: ask("bread.bakery", nil)},

		// Headless Services, and names of single pods.
		{
			name: "headless, nothing behind it", objects: docs(dnsDocs(), serviceDoc("ledger", "clusterIP: None, selector: {app: oven}")), walk: ask("ledger.bakery", nil),
			object: "Service ledger", is: "Service ledger has no ready endpoint (selector app=oven): there is no pod in namespace bakery", look: "kubectl -n bakery get pods --show-labels",
		},
		{name: "a pod's own name", objects: ledger(", hostname: ledger-0, subdomain: ledger", sliceDoc("ledger", ", hostname: ledger-0")), walk: ask("ledger-0.ledger.bakery", nil)},
		{name: "a pod's own name, from its namespace", objects: ledger(", hostname: ledger-0, subdomain: ledger", sliceDoc("ledger", ", hostname: ledger-0")), walk: ask("ledger-0.ledger", func(p *corev1.Pod) { p.Namespace = "bakery" })},
		{
			name: "another subdomain", objects: ledger(", hostname: ledger-0, subdomain: book", sliceDoc("ledger", "")), walk: ask("ledger-0.ledger.bakery", nil),
			object: "Pod ledger-0", is: "Service ledger gives no name to ledger-0: Pod ledger-0 has the subdomain book", look: lookHosts,
		},
		{
			name: "no subdomain", objects: ledger(", hostname: ledger-0", sliceDoc("ledger", "")), walk: ask("ledger-0.ledger.bakery", nil),
			object: "Pod ledger-0", is: "Service ledger gives no name to ledger-0: Pod ledger-0 has no subdomain", look: lookHosts,
		},
		{
			name: "another host name", objects: ledger(", hostname: led, subdomain: ledger", sliceDoc("ledger", ", hostname: led")), walk: ask("ledger-0.ledger.bakery", nil),
			object: "Pod ledger-0", is: `Service ledger gives no name to ledger-0: Pod ledger-0 has the host name "led"`, look: lookHosts,
		},
		{
			name: "no such pod", objects: ledger(", hostname: ledger-0, subdomain: ledger", sliceDoc("ledger", "")), walk: ask("ledger-1.ledger.bakery", nil),
			object: "Service ledger", is: "Service ledger gives no name to ledger-1: there is no pod of that name; there is ledger-0", look: lookHosts,
		},
		{
			name: "the pod is not ready", walk: ask("ledger-0.ledger.bakery", nil), settling: true,
			objects: docs(dnsDocs(), serviceDoc("ledger", "clusterIP: None, selector: {app: oven}"), podDoc("ledger-0", "app: oven", oven+", hostname: ledger-0, subdomain: ledger", down)),
			object:  "Pod ledger-0", is: "Service ledger gives no name to ledger-0: container oven of Pod ledger-0 runs and is not ready yet", look: "kubectl -n bakery describe pod ledger-0",
		},
	})
}

func TestPath(t *testing.T) {
	t.Parallel()
	ask := func(host string, port int) step {
		return func(ctx context.Context, w Walker) (*Link, error) { return w.Path(ctx, till(nil), host, port) }
	}
	behind := func(spec string, more ...string) string {
		return docs(append([]string{dnsDocs(), serviceDoc("bread", spec), podDoc("oven-1", "app: oven", oven, up), sliceDoc("bread", "")}, more...)...)
	}
	shut := func(ingress string) string {
		return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: bakery, name: shut}, spec: {podSelector: {matchLabels: {app: oven}}, policyTypes: [Ingress], ingress: [" + ingress + "]}}"
	}
	runChain(t, []chainTest{
		{name: "whole", objects: behind(bread), walk: ask("bread.bakery", 80)},
		{
			name: "no name", objects: behind(bread), walk: ask("bred.bakery", 80),
			object: "Service bred", is: "there is no Service bred in namespace bakery; there is bread", look: "kubectl -n bakery get services",
		},
		{
			name: "no port", objects: behind(bread), walk: ask("bread.bakery", 8080),
			object: "Service bread", is: "Service bread has no port 8080: it has 80", look: "kubectl -n bakery get service/bread -o wide",
		},
		{
			name: "a policy before the pod, judged at the pod's port", objects: behind(bread, shut("{ports: [{port: 80}]}")), walk: ask("bread.bakery", 80),
			object: "Pod oven-1", look: "kubectl -n bakery describe networkpolicies",
			is: "NetworkPolicy shut isolates Pod oven-1 (ingress), and no rule of it lets Pod till of namespace shop in on port 8080; ingress[0] of shut does, on port 80 only",
		},
		{name: "a policy that allows", objects: behind(bread, shut("{ports: [{port: 8080}]}")), walk: ask("bread.bakery", 80)},
		{
			name: "traffic that stays on the node", objects: behind(bread + ", internalTrafficPolicy: Local"), walk: ask("bread.bakery", 80),
			object: "Service bread", look: "kubectl -n bakery get pods -o wide",
			is: "Service bread has internalTrafficPolicy Local, and no ready pod of it is on node two, where Pod till runs",
		},
		{
			name: "target port last", objects: behind("clusterIP: 10.96.0.9, selector: {app: oven}, ports: [{port: 80, targetPort: 9090}]"), walk: ask("bread.bakery", 80),
			object: "Service bread", is: "Service bread sends to port 9090 of its pods, and Pod oven-1 declares http (8080)", look: "kubectl -n bakery get service/bread pod/oven-1 -o yaml",
		},
	})
}
