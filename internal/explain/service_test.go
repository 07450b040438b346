package explain

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func askService(name string, port int) step {
	return func(ctx context.Context, w Walker) (*Link, error) {
		return w.Through(ctx, somebody("bakery"), "bakery", name, port)
	}
}

// somebody is a pod that no policy speaks about.
func somebody(namespace string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "somebody"}, Status: corev1.PodStatus{PodIP: "10.0.9.9"}}
}

const bread = "clusterIP: 10.96.0.9, selector: {app: oven}, ports: [{port: 80, targetPort: 8080}]"

func TestService(t *testing.T) {
	t.Parallel()
	const (
		lookAll     = "kubectl -n bakery get services"
		lookService = "kubectl -n bakery get service/bread -o wide"
		lookLabels  = "kubectl -n bakery get pods --show-labels"
		lookSlices  = "kubectl -n bakery get endpointslices -l kubernetes.io/service-name=bread"
		lookPorts   = "kubectl -n bakery get service/bread pod/oven-1 -o yaml"
		lookPod     = "kubectl -n bakery describe pod oven-1"
	)
	pod := podDoc("oven-1", "app: oven", oven, up)
	whole := func(spec string, more ...string) string {
		return docs(append([]string{serviceDoc("bread", spec), pod, sliceDoc("bread", ""), nodesDoc}, more...)...)
	}
	runChain(t, []chainTest{
		{name: "whole", objects: whole(bread), walk: askService("bread", 80)},
		{
			name: "no Service, one of a like name", objects: whole(bread), walk: askService("bred", 80),
			object: "Service bred", is: "there is no Service bred in namespace bakery; there is bread", look: lookAll,
		},
		{
			name: "no Service, one elsewhere", objects: docs(namespaceDoc("bakery"), "{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: bread}}"), walk: askService("bread", 80),
			object: "Service bread", is: "there is no Service bread in namespace bakery; there is one in namespace shop", look: "kubectl get services -A",
		},
		{
			name: "no Service at all", objects: namespaceDoc("bakery"), walk: askService("bread", 80),
			object: "Service bread", is: "there is no Service bread in namespace bakery; there is none", look: lookAll,
		},
		{
			name: "no namespace", objects: namespaceDoc("bakeries"), walk: askService("bread", 80),
			object: "Namespace bakery", is: "there is no namespace bakery; there is bakeries", look: "kubectl get namespaces",
		},
		{
			name: "no port", objects: whole("selector: {app: oven}, ports: [{port: 8080}]"), walk: askService("bread", 80),
			object: "Service bread", is: "Service bread has no port 80: it has 8080", look: lookService,
		},
		{
			name: "port of another protocol", objects: whole("selector: {app: oven}, ports: [{port: 80, protocol: UDP}]"), walk: askService("bread", 80),
			object: "Service bread", is: "Service bread has no port 80 for TCP: it has 80/UDP", look: lookService,
		},
		{
			name: "external name", objects: serviceDoc("bread", "type: ExternalName, externalName: bread.example.com"), walk: askService("bread", 80),
			object: "Service bread", is: "Service bread is of type ExternalName: its name leads to bread.example.com, and no pod stands behind it", look: lookService,
		},
		{
			name: "selector with a typo", objects: whole("selector: {app: ovens}, ports: [{port: 80}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookLabels,
			is: "Service bread has no ready endpoint (selector app=ovens): no pod in namespace bakery has these labels; pods here have app=oven",
		},
		{
			name: "selector like nothing", objects: docs(serviceDoc("bread", "selector: {tier: web}, ports: [{port: 80}]"), podDoc("oven-1", "zone: north", oven, up)), walk: askService("bread", 80),
			object: "Service bread", look: lookLabels,
			is: "Service bread has no ready endpoint (selector tier=web): no pod in namespace bakery has these labels",
		},
		{
			name: "no pod", objects: serviceDoc("bread", bread), walk: askService("bread", 80),
			object: "Service bread", look: lookLabels,
			is: "Service bread has no ready endpoint (selector app=oven): there is no pod in namespace bakery",
		},
		{
			name: "its Deployment asks for none", walk: askService("bread", 80),
			objects: docs(serviceDoc("bread", bread), "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: bakery, name: oven}, spec: {replicas: 0, template: {metadata: {labels: {app: oven}}}}}"),
			object:  "Deployment oven", look: "kubectl -n bakery describe deployment oven",
			is: "Service bread has no ready endpoint (selector app=oven): Deployment oven asks for 0 replicas",
		},
		{
			name: "its pod has finished", walk: askService("bread", 80),
			objects: docs(serviceDoc("bread", bread), podDoc("oven-1", "app: oven", oven, "phase: Succeeded")),
			object:  "Pod oven-1", look: "kubectl -n bakery get pods -o wide",
			is: "Service bread has no ready endpoint (selector app=oven): Pod oven-1 has run to its end",
		},
		{
			name: "not ready", walk: askService("bread", 80),
			objects: docs(serviceDoc("bread", bread), podDoc("oven-1", "app: oven", oven, down), nodesDoc,
				eventDoc("Pod", "oven-1", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404", ", fieldPath: 'spec.containers{oven}'")),
			object: "Pod oven-1", look: lookPod,
			is: "Service bread has no ready endpoint (selector app=oven): container oven of Pod oven-1 runs and is not ready: Readiness probe failed: HTTP probe failed with statuscode: 404",
		},
		{
			name: "not ready, and published all the same", walk: askService("bread", 80),
			objects: docs(serviceDoc("bread", bread+", publishNotReadyAddresses: true"), podDoc("oven-1", "app: oven", oven, down), sliceDoc("bread", "")),
		},
		{
			name: "one of two is ready", objects: whole(bread, podDoc("oven-2", "app: oven", oven, down)), walk: askService("bread", 80),
		},
		{
			name: "named target port that no container has", objects: whole("selector: {app: oven}, ports: [{port: 80, targetPort: web}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookPorts,
			is: "Service bread sends to port web of its pods, and no container of Pod oven-1 has a port of that name: there is http (8080)",
		},
		{name: "named target port", objects: whole("selector: {app: oven}, ports: [{port: 80, targetPort: http}]"), walk: askService("bread", 80)},
		{
			name: "named target port of one of two pods", walk: askService("bread", 80),
			objects: whole("selector: {app: oven}, ports: [{port: 80, targetPort: http}]", podDoc("oven-2", "app: oven", "nodeName: one, containers: [{name: oven}]", up)),
		},
		{
			name: "named target port of a sidecar", walk: askService("bread", 80),
			objects: docs(serviceDoc("bread", "selector: {app: oven}, ports: [{port: 80, targetPort: http}]"), sliceDoc("bread", ""),
				podDoc("oven-1", "app: oven", "nodeName: one, containers: [{name: oven}], initContainers: [{name: proxy, restartPolicy: Always, ports: [{name: http, containerPort: 8080}]}]", up)),
		},
		{
			name: "wrong target port", objects: whole("selector: {app: oven}, ports: [{port: 80, targetPort: 32080}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookPorts,
			is: "Service bread sends to port 32080 of its pods, and Pod oven-1 declares http (8080)",
		},
		{
			name: "target port left out", objects: whole("selector: {app: oven}, ports: [{port: 80}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookPorts,
			is: "Service bread sends to port 80 of its pods, and Pod oven-1 declares http (8080)",
		},
		{
			name: "nothing declared", walk: askService("bread", 80),
			objects: docs(serviceDoc("bread", bread), podDoc("oven-1", "app: oven", "nodeName: one, containers: [{name: oven}]", up), sliceDoc("bread", "")),
			object:  "Service bread", look: lookPorts,
			is: "Service bread sends to port 8080 of its pods, and no container there declares a port",
		},
		{
			name: "headless", objects: whole("clusterIP: None, selector: {app: oven}, ports: [{port: 80, targetPort: 8080}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookPorts,
			is: "Service bread is headless: its name leads to the pods themselves, and no port is translated; port 80 is asked of them, and Pod oven-1 declares http (8080)",
		},
		{name: "headless, without ports", objects: whole("clusterIP: None, selector: {app: oven}"), walk: askService("bread", 8080)},
		{
			name: "headless, at a port of nobody", objects: whole("clusterIP: None, selector: {app: oven}, ports: [{port: 8080}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookPorts,
			is: "Service bread is headless: its name leads to the pods themselves, and no port is translated; port 80 is asked of them, and Pod oven-1 declares http (8080)",
		},
		{name: "headless, at the pods' own port", objects: whole("clusterIP: None, selector: {app: oven}, ports: [{port: 8080}]"), walk: askService("bread", 8080)},
		{
			name: "EndpointSlices lag behind", objects: docs(serviceDoc("bread", bread), pod), walk: askService("bread", 80),
			object: "Service bread", look: lookSlices, settling: true,
			is: "Service bread has no ready endpoint (selector app=oven) in its EndpointSlices, though Pod oven-1 is ready",
		},
		{
			name: "an EndpointSlice of another port", objects: whole("selector: {app: oven}, ports: [{name: https, port: 80, targetPort: 8080}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookSlices, settling: true,
			is: "Service bread has no ready endpoint (selector app=oven) in its EndpointSlices, though Pod oven-1 is ready",
		},
		{
			name: "no selector and nobody's EndpointSlice", objects: serviceDoc("bread", "ports: [{port: 80}]"), walk: askService("bread", 80),
			object: "Service bread", look: lookSlices,
			is: "Service bread has no ready endpoint: it has no selector, and no EndpointSlice gives it an address",
		},
		{name: "no selector and somebody's EndpointSlice", objects: docs(serviceDoc("bread", "ports: [{port: 80}]"), sliceDoc("bread", "")), walk: askService("bread", 80)},
	})
}

func TestNodePort(t *testing.T) {
	t.Parallel()
	ask := func(ctx context.Context, w Walker) (*Link, error) { return w.NodePort(ctx, "bakery", 32080) }
	gate := func(more string) string {
		return docs(serviceDoc("gate", "type: NodePort, selector: {app: oven}, ports: [{port: 80, targetPort: 8080, nodePort: 32080}]"+more),
			podDoc("oven-1", "app: oven", oven, up), sliceDoc("gate", ""), nodesDoc, node2Doc, namespaceDoc("bakery"))
	}
	policy := func(ingress string) string {
		return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: bakery, name: shut}, spec: {podSelector: {}, policyTypes: [Ingress], ingress: [" + ingress + "]}}"
	}
	runChain(t, []chainTest{
		{name: "whole", objects: gate(""), walk: ask},
		{
			name: "another port", objects: serviceDoc("gate", "type: NodePort, ports: [{port: 80, nodePort: 31999}]"), walk: ask,
			object: "Namespace bakery", is: "no Service in namespace bakery has node port 32080; Service gate has 31999", look: "kubectl -n bakery get services",
		},
		{
			name: "another type", objects: serviceDoc("gate", "type: ClusterIP, ports: [{port: 80}]"), walk: ask,
			object: "Namespace bakery", is: "no Service in namespace bakery has node port 32080; Service gate is of type ClusterIP", look: "kubectl -n bakery get services",
		},
		{
			name: "another namespace", objects: "{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: gate}, spec: {ports: [{port: 80, nodePort: 32080}]}}", walk: ask,
			object: "Service gate", is: "no Service in namespace bakery has node port 32080; Service gate in namespace shop has it", look: "kubectl get services -A",
		},
		{name: "nothing", walk: ask, object: "Namespace bakery", is: "no Service in namespace bakery has node port 32080", look: "kubectl -n bakery get services"},
		{
			name: "behind it", objects: serviceDoc("gate", "type: NodePort, selector: {app: oven}, ports: [{port: 80, nodePort: 32080}]"), walk: ask,
			object: "Service gate", is: "Service gate has no ready endpoint (selector app=oven): there is no pod in namespace bakery", look: "kubectl -n bakery get pods --show-labels",
		},
		{
			name: "local", objects: gate(", externalTrafficPolicy: Local"), walk: ask,
			object: "Service gate", is: "Service gate has externalTrafficPolicy Local, and no ready pod of it is on node two", look: "kubectl -n bakery get pods -o wide -l 'app=oven'",
		},
		{
			name: "local, with a pod on every node, not all ready", walk: ask,
			objects: docs(gate(", externalTrafficPolicy: Local"), "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {namespace: bakery, name: gate-y, labels: {kubernetes.io/service-name: gate}}, "+
				"ports: [{name: '', port: 8080, protocol: TCP}], endpoints: [{addresses: [10.244.1.7], nodeName: two, conditions: {ready: false}}]}"),
			object: "Service gate", is: "Service gate has externalTrafficPolicy Local, and no ready pod of it is on node two", look: "kubectl -n bakery get pods -o wide -l 'app=oven'",
		},
		{
			name: "local, with a pod on every node", walk: ask,
			objects: docs(gate(", externalTrafficPolicy: Local"), "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {namespace: bakery, name: gate-y, labels: {kubernetes.io/service-name: gate}}, "+
				"ports: [{name: '', port: 8080, protocol: TCP}], endpoints: [{addresses: [10.244.1.7], nodeName: two}]}"),
		},
		{
			name: "a policy that knows no nodes", objects: docs(gate(""), policy("{from: [{podSelector: {}}]}")), walk: ask,
			object: "Pod oven-1", look: "kubectl -n bakery describe networkpolicies",
			is: "NetworkPolicy shut isolates Pod oven-1 (ingress), and no rule of it lets node two in on port 8080; ingress[0] of shut is about this port, but for other peers",
		},
		{name: "a policy with the nodes' addresses", objects: docs(gate(""), policy("{from: [{ipBlock: {cidr: 172.18.0.0/16}}]}")), walk: ask},
		{
			name: "wrong target port", walk: ask,
			objects: docs(serviceDoc("gate", "type: NodePort, selector: {app: oven}, ports: [{port: 80, targetPort: 32080, nodePort: 32080}]"), podDoc("oven-1", "app: oven", oven, up), sliceDoc("gate", ""), nodesDoc, node2Doc),
			object:  "Service gate", is: "Service gate sends to port 32080 of its pods, and Pod oven-1 declares http (8080)", look: "kubectl -n bakery get service/gate pod/oven-1 -o yaml",
		},
	})
}
