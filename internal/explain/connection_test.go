package explain

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

func TestConnection(t *testing.T) {
	t.Parallel()
	const deny = "{podSelector: {}, policyTypes: [Ingress, Egress]}"
	tests := []struct {
		name     string
		policies map[string]string
		from, to string
		allowed  bool
		object   string
		is       string
		look     string
	}{
		{
			name: "nothing isolates", from: "shop/front", to: "shop/db", allowed: true, object: "Pod db",
			is: "no NetworkPolicy limits what comes into Pod db; no NetworkPolicy limits what comes out of Pod front",
		},
		{
			name: "the other direction only", policies: map[string]string{"closed": "{podSelector: {}, policyTypes: [Egress], egress: [{}]}"}, from: "shop/front", to: "shop/db", allowed: true, object: "Pod db",
			is: "no NetworkPolicy limits what comes into Pod db (closed only what comes out of it); NetworkPolicy closed, egress[0] (it names nobody, so it means everyone) allows Pod front out to Pod db on port 5432",
		},
		{
			name: "a rule", policies: map[string]string{"db": "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}, {podSelector: {matchLabels: {app: batch}}}]}]}"}, from: "shop/batch", to: "shop/db", allowed: true, object: "Pod db",
			is: "NetworkPolicy db, ingress[0].from[1] allows Pod batch into Pod db on port 5432; no NetworkPolicy limits what comes out of Pod batch",
		},
		{
			name: "two rules", policies: map[string]string{"a": "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", "b": "{podSelector: {}, ingress: [{ports: [{port: sql}]}]}"}, from: "shop/batch", to: "shop/db", allowed: true, object: "Pod db",
			is: "NetworkPolicy a, ingress[0].from[0] and NetworkPolicy b, ingress[0] (it names nobody, so it means everyone) allow Pod batch into Pod db on port 5432; no NetworkPolicy limits what comes out of Pod batch (a and b only what comes into it)",
		},
		{
			name: "from its node", from: "bank/host", to: "shop/db", allowed: true, object: "Pod db",
			is: "no NetworkPolicy limits what comes into Pod db; Pod host of namespace bank is on its node's network, where no NetworkPolicy holds",
		},
		{
			name: "no way out", policies: map[string]string{"closed": deny}, from: "shop/front", to: "bank/till", object: "Pod front",
			is: "NetworkPolicy closed isolates Pod front (egress), and no rule of it lets it out to Pod till of namespace bank on port 5432", look: "kubectl -n shop describe networkpolicies",
		},
		{
			name: "no way in", policies: map[string]string{"closed": deny, "db": "{podSelector: {matchLabels: {app: db}}}"}, from: "bank/till", to: "shop/db", object: "Pod db",
			is: "NetworkPolicies closed and db isolate Pod db (ingress), and no rule of them lets Pod till of namespace bank in on port 5432",
		},
		{
			name: "the port is not among the rule's", policies: map[string]string{"db": "{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}, {port: 53, protocol: UDP}, {port: 7000, endPort: 7010}, {port: web}, {port: dns, protocol: UDP}, {protocol: SCTP}]}]}"}, from: "shop/front", to: "shop/db", object: "Pod db",
			is: "NetworkPolicy db isolates Pod db (ingress), and no rule of it lets Pod front in on port 5432; ingress[0].from[0] of db does, on port 80, 53/UDP, 7000-7010 and 3 more only",
		},
		{
			name: "a named port of another number", policies: map[string]string{"db": "{podSelector: {}, ingress: [{ports: [{port: dns, protocol: UDP}, {port: web}]}]}"}, from: "shop/front", to: "shop/db", object: "Pod db",
			is: "NetworkPolicy db isolates Pod db (ingress), and no rule of it lets Pod front in on port 5432; ingress[0] of db does, on port dns (53) and web only",
		},
		{
			name: "the port is, the peer is not", policies: map[string]string{"db": "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: frnt}}}], ports: [{port: 5432}]}]}"}, from: "shop/front", to: "shop/db", object: "Pod db",
			is: "NetworkPolicy db isolates Pod db (ingress), and no rule of it lets Pod front in on port 5432; ingress[0] of db is about this port, but for other peers",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			namespaces, pods := town()
			var all []runtime.Object
			for i := range namespaces {
				all = append(all, &namespaces[i])
			}
			for name, spec := range tt.policies {
				p := policyOf(t, spec)
				p.Name = name
				all = append(all, &p)
			}
			// A policy of a third namespace is none of its business.
			all = append(all, &networkingv1.NetworkPolicy{})
			client := fake.NewClientset(all...)
			v, err := Walker{Kube: client}.Connection(t.Context(), pods[tt.from], pods[tt.to], 5432, corev1.ProtocolTCP)
			if err != nil {
				t.Fatal(err)
			}
			if v.Allowed != tt.allowed || v.Object != tt.object || v.Is != tt.is {
				t.Errorf("got  %v %s: %s\nwant %v %s: %s", v.Allowed, v.Object, v.Is, tt.allowed, tt.object, tt.is)
			}
			if !strings.HasPrefix(v.Look, tt.look) || !strings.HasSuffix(v.Look, "describe networkpolicies") {
				t.Errorf("look: %s", v.Look)
			}
			if n := len(client.Actions()); n > 3 {
				t.Errorf("%d calls", n)
			}
			checkStyle(t, v.Is)
		})
	}
}
