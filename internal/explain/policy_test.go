package explain

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// town is what the policies of the table are about: two namespaces and a few pods.
func town() (namespaces []corev1.Namespace, pods map[string]*corev1.Pod) {
	for name, team := range map[string]string{"shop": "sales", "bank": "money"} {
		namespaces = append(namespaces, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{corev1.LabelMetadataName: name, "team": team},
		}})
	}
	pods = map[string]*corev1.Pod{}
	for i, name := range []string{"shop/front", "shop/batch", "shop/db", "bank/till", "bank/front"} {
		ns, app, _ := strings.Cut(name, "/")
		pods[name] = &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: app, Labels: map[string]string{"app": app}},
			Spec: corev1.PodSpec{NodeName: "one", Containers: []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{
				{Name: "sql", ContainerPort: 5432}, {Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP},
			}}}},
			Status: corev1.PodStatus{PodIP: netip.AddrFrom4([4]byte{10, 244, 0, byte(i + 1)}).String(), HostIP: "172.18.0.2"},
		}
	}
	host := pods["bank/till"].DeepCopy()
	host.Name, host.Labels["app"], host.Spec.HostNetwork, host.Spec.NodeName = "host", "host", true, "two"
	host.Status.PodIP, host.Status.HostIP = "172.18.0.3", "172.18.0.3"
	pods["bank/host"] = host
	neighbour := host.DeepCopy()
	neighbour.Name, neighbour.Spec.NodeName, neighbour.Status.PodIP, neighbour.Status.HostIP = "neighbour", "one", "172.18.0.2", "172.18.0.2"
	pods["bank/neighbour"] = neighbour
	return namespaces, pods
}

// A policy of the table is named p, and stands in namespace shop unless it says another.
func policyOf(t *testing.T, spec string) networkingv1.NetworkPolicy {
	t.Helper()
	p := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "shop"}}
	if ns, rest, ok := strings.Cut(spec, "|"); ok {
		p.Namespace, spec = ns, rest
	}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return p
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const open, closed = "open", "closed" // not isolated; isolated, and no rule allows
	tests := []struct {
		name     string
		policies []string
		from, to string // a pod, or an address
		port     int
		protocol corev1.Protocol
		egress   string // open, closed, or the rule that allows
		ingress  string
	}{
		// Who is isolated.
		{"no policy", nil, "shop/front", "shop/db", 5432, "", open, open},
		{"empty selector isolates all of its namespace", []string{"{podSelector: {}, policyTypes: [Ingress]}"}, "bank/till", "shop/db", 5432, "", open, closed},
		{"and nothing of another", []string{"{podSelector: {}, policyTypes: [Ingress, Egress]}"}, "bank/till", "bank/front", 5432, "", open, open},
		{"selector of other pods", []string{"{podSelector: {matchLabels: {app: batch}}}"}, "shop/front", "shop/db", 5432, "", open, open},
		{"expression", []string{"{podSelector: {matchExpressions: [{key: app, operator: In, values: [db, cache]}]}}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"expression that excludes", []string{"{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}"}, "shop/front", "shop/db", 5432, "", open, open},

		// Directions that are told, and those that are not.
		{"no types: ingress alone", []string{"{podSelector: {}}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"no types, empty egress: ingress alone", []string{"{podSelector: {}, egress: []}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"no types, with egress: both", []string{"{podSelector: {}, egress: [{}]}"}, "shop/front", "shop/db", 5432, "", "egress[0]", closed},
		{"egress alone leaves ingress open", []string{"{podSelector: {}, policyTypes: [Egress]}"}, "shop/front", "shop/db", 5432, "", closed, open},
		{"ingress alone leaves egress open, whatever rules it has", []string{"{podSelector: {}, policyTypes: [Ingress], ingress: [{}], egress: [{ports: [{port: 1}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[0]"},
		{"answers need no rule", []string{"{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress]}"}, "shop/front", "shop/db", 5432, "", open, open},

		// Rules that name nobody or no port.
		{"no rule", []string{"{podSelector: {}, ingress: []}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"empty rule", []string{"{podSelector: {}, ingress: [{}]}"}, "bank/till", "shop/db", 1, corev1.ProtocolSCTP, open, "ingress[0]"},
		{"empty from means everyone", []string{"{podSelector: {}, ingress: [{from: [], ports: [{port: 5432}]}]}"}, "203.0.113.9", "shop/db", 5432, "", open, "ingress[0]"},
		{"empty ports mean every port", []string{"{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: []}]}"}, "shop/front", "shop/db", 9, "", open, "ingress[0].from[0]"},
		{"an empty peer means nobody", []string{"{podSelector: {}, ingress: [{from: [{}]}]}"}, "shop/front", "shop/db", 5432, "", open, closed},

		// Pod and namespace selectors.
		{"pod selector: of the policy's namespace", []string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"and not of another", []string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}]}"}, "bank/front", "shop/db", 5432, "", open, closed},
		{"empty pod selector is not everyone", []string{"{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"}, "bank/till", "shop/db", 5432, "", open, closed},
		{"empty namespace selector: every namespace", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"}, "bank/till", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"and no address outside", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"}, "203.0.113.9", "shop/db", 5432, "", open, closed},
		{"namespace by label", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}}]}]}"}, "bank/till", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"namespace by name", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}}]}]}"}, "bank/till", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"its own namespace is not meant", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}}]}]}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"one peer with both: and", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {app: front}}}]}]}"}, "bank/till", "shop/db", 5432, "", open, closed},
		{"one peer with both: holds", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}, podSelector: {matchLabels: {app: front}}}]}]}"}, "bank/front", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"two peers: or", []string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}, {namespaceSelector: {matchLabels: {team: money}}}]}]}"}, "bank/till", "shop/db", 5432, "", open, "ingress[0].from[1]"},
		{"second rule", []string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: nobody}}}]}, {from: [{podSelector: {matchLabels: {app: front}}}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[1].from[0]"},

		// Addresses.
		{"block holds an outsider", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"}, "203.0.113.9", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"block with exception", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.8/30]}}]}]}"}, "203.0.113.9", "shop/db", 5432, "", open, closed},
		{"beside the exception", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.0/29]}}]}]}"}, "203.0.113.9", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"block holds a pod's address", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16}}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"the whole internet but the cluster", []string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}"}, "shop/front", "shop/db", 5432, "", closed, open},
		{"block of the other family", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]}"}, "203.0.113.9", "shop/db", 5432, "", open, closed},
		{"a mapped address is its own", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"}, "::ffff:203.0.113.9", "shop/db", 5432, "", open, "ingress[0].from[0]"},

		// Ports.
		{"port", []string{"{podSelector: {}, ingress: [{ports: [{port: 5432}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[0]"},
		{"another port", []string{"{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"protocol is TCP unless told", []string{"{podSelector: {}, ingress: [{ports: [{port: 53}]}]}"}, "shop/front", "shop/db", 53, corev1.ProtocolUDP, open, closed},
		{"UDP", []string{"{podSelector: {}, ingress: [{ports: [{port: 53, protocol: UDP}]}]}"}, "shop/front", "shop/db", 53, corev1.ProtocolUDP, open, "ingress[0]"},
		{"UDP is not TCP", []string{"{podSelector: {}, ingress: [{ports: [{port: 53, protocol: UDP}]}]}"}, "shop/front", "shop/db", 53, "", open, closed},
		{"protocol without a port", []string{"{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"}, "shop/front", "shop/db", 7, corev1.ProtocolUDP, open, "ingress[0]"},
		{"range", []string{"{podSelector: {}, ingress: [{ports: [{port: 5000, endPort: 5432}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[0]"},
		{"before the range", []string{"{podSelector: {}, ingress: [{ports: [{port: 5433, endPort: 6000}]}]}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"behind the range", []string{"{podSelector: {}, ingress: [{ports: [{port: 5000, endPort: 5431}]}]}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"named port of the target, into it", []string{"{podSelector: {}, ingress: [{ports: [{port: sql}]}]}"}, "bank/till", "shop/db", 5432, "", open, "ingress[0]"},
		{"named port of the target, out to it", []string{"{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: sql}]}]}"}, "shop/front", "bank/till", 5432, "", "egress[0]", open},
		{"named port that is another number", []string{"{podSelector: {}, ingress: [{ports: [{port: sql}]}]}"}, "shop/front", "shop/db", 80, "", open, closed},
		{"named port of another protocol", []string{"{podSelector: {}, ingress: [{ports: [{port: dns}]}]}"}, "shop/front", "shop/db", 53, "", open, closed},
		{"named UDP port", []string{"{podSelector: {}, ingress: [{ports: [{port: dns, protocol: UDP}]}]}"}, "shop/front", "shop/db", 53, corev1.ProtocolUDP, open, "ingress[0]"},
		{"named port that nobody has", []string{"{podSelector: {}, ingress: [{ports: [{port: web}]}]}"}, "shop/front", "shop/db", 5432, "", open, closed},
		{"an address has no named ports", []string{"{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: sql}]}]}"}, "shop/front", "203.0.113.9", 5432, "", closed, open},

		// Both ends, and several policies.
		{"the way out is not the way in", []string{"{podSelector: {matchLabels: {app: front}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}", "{podSelector: {matchLabels: {app: db}}}"}, "shop/front", "shop/db", 5432, "", "egress[0].to[0]", closed},
		{"policies add up", []string{"{podSelector: {}}", "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}]}"}, "shop/front", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"across namespaces, both ends", []string{"bank|{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: sales}}}]}]}", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: money}}}]}]}"}, "bank/till", "shop/db", 5432, "", "egress[0].to[0]", "ingress[0].from[0]"},

		// Who is never asked.
		{"a pod reaches itself", []string{"{podSelector: {}, policyTypes: [Ingress, Egress]}"}, "shop/db", "shop/db", 5432, "", open, open},
		{"a pod on its node's network is not isolated", []string{"bank|{podSelector: {}, policyTypes: [Ingress, Egress]}"}, "bank/host", "shop/db", 5432, "", open, open},
		{"and no selector finds it", []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"}, "bank/host", "shop/db", 5432, "", open, closed},
		{"but its node's address does", []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 172.18.0.0/16}}]}]}"}, "bank/host", "shop/db", 5432, "", open, "ingress[0].from[0]"},
		{"a node reaches its pods", []string{"{podSelector: {}}"}, "bank/neighbour", "shop/db", 5432, "", open, open},
		{"by its address, too", []string{"{podSelector: {}}"}, "172.18.0.2", "shop/db", 5432, "", open, open},
		{"a pod reaches its node", []string{"{podSelector: {}, policyTypes: [Egress]}"}, "shop/db", "bank/neighbour", 5432, "", open, open},
		{"another node does not", []string{"{podSelector: {}}"}, "172.18.0.3", "shop/db", 5432, "", open, closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			namespaces, pods := town()
			var policies []networkingv1.NetworkPolicy
			for _, text := range tt.policies {
				policies = append(policies, policyOf(t, text))
			}
			end := func(name string) Peer {
				if pod := pods[name]; pod != nil {
					return podPeer(pod)
				}
				return Peer{IP: netip.MustParseAddr(name), Name: name}
			}
			egress, ingress, err := Judge(policies, namespaces, end(tt.from), end(tt.to), tt.port, tt.protocol)
			if err != nil {
				t.Fatal(err)
			}
			words := func(o Order) string {
				switch {
				case len(o.Isolating) == 0:
					return open
				case len(o.By) == 0:
					return closed
				}
				return o.By[0].String(o.Direction)
			}
			if diff := cmp.Diff([]string{tt.egress, tt.ingress}, []string{words(egress), words(ingress)}); diff != "" {
				t.Errorf("egress and ingress (-want +got):\n%s", diff)
			}
		})
	}
}

// What cannot be read is no verdict.
func TestJudgeBadPolicy(t *testing.T) {
	t.Parallel()
	namespaces, pods := town()
	for _, spec := range []string{
		"{podSelector: {matchExpressions: [{key: app, operator: Maybe}]}}",
		"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: nowhere}}]}]}",
		"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [nowhere]}}]}]}",
		"{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: Maybe}]}}]}]}",
	} {
		_, _, err := Judge([]networkingv1.NetworkPolicy{policyOf(t, spec)}, namespaces, podPeer(pods["shop/front"]), podPeer(pods["shop/db"]), 5432, "")
		if err == nil || !strings.Contains(err.Error(), "NetworkPolicy p") {
			t.Errorf("%s: got %v, want an error that names the policy", spec, err)
		}
	}
}
