package check

import (
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// serverAt is a pod of the cluster's DNS.
func serverAt(name, ip string) runtime.Object {
	p := pod(name, ip, "k8s-app=kube-dns")
	p.Namespace = "kube-system"
	return p
}

// Names that nobody answers: elsewhere that is trouble of the cluster's, in a lab about DNS it is the learner's to find.
func TestTroubleThatTheLabIsAbout(t *testing.T) {
	t.Parallel()
	about := []lab.Ref{{Namespace: "kube-system", Kind: "deployment", Name: "coredns"}}
	const (
		lookup = "resolve: {from: {pods: app=till}, name: bread, to: {service: bread}}"
		ask    = "http: {from: {pods: app=till}, url: 'http://bread/'}"
		table  = "reach:\n  clients: {till: {pods: app=till}}\n  targets: {names: {lookup: bread}}\n  expect: |\n    from  names\n    till  allow\n"
	)
	for _, tt := range []struct {
		name, text    string
		touches       []lab.Ref
		servers       []runtime.Object
		silent        string // the address of the name server that does not answer itself
		failure, lost string
	}{
		{
			name: "one of two is silent", text: lookup, servers: []runtime.Object{serverAt("a", "10.0.9.1"), serverAt("b", "10.0.9.2")}, silent: "10.0.9.2",
			lost: "name server b on node n1 does not answer even itself",
		},
		{
			name: "one of two is silent, by http", text: ask, servers: []runtime.Object{serverAt("a", "10.0.9.1"), serverAt("b", "10.0.9.2")}, silent: "10.0.9.2",
			lost: "name server b on node n1 does not answer even itself",
		},
		{name: "none, in a lab about it", text: lookup, touches: about, failure: "pod till-1 gets no answer"},
		{name: "none, in a lab about it, by http", text: ask, touches: about, failure: "http://bread/ does not answer from pod till-1 (dns-timeout)"},
		{name: "none, in a lab about it, in a table", text: table, touches: about, failure: "no pod with labels k8s-app=kube-dns is running in namespace kube-system"},
		{name: "none, in a table", text: table, lost: "the cluster's DNS is down"},
		{
			name: "a silent one, in a lab about it, in a table", text: table, touches: about, servers: []runtime.Object{serverAt("a", "10.0.9.1")}, silent: "10.0.9.1",
			failure: "name server a does not answer even itself",
		},
		{
			name: "a silent one, in a table", text: table, servers: []runtime.Object{serverAt("a", "10.0.9.1")}, silent: "10.0.9.1",
			lost: "no positive control: pod a does not answer even itself",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check, problems := compileAbout(t, tt.touches, tt.text)
			if problems != nil {
				t.Fatal(problems)
			}
			synctest.Test(t, func(t *testing.T) {
				objects := append(append(bakers(), service("bread", "10.96.0.9", 80)), tt.servers...)
				c, _, _ := clusterOf(objects...)
				c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
					if j.Server != "" && j.Server != tt.silent {
						return probe.Outcome{Result: dial.NXDomain}
					}
					return ends(dial.DNSTimeout)
				}}
				verdict{failure: tt.failure, unknown: tt.lost}.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

// A lab that touches the network's own agents is not kept from judging packets while they are down.
func TestFocus(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		touches lab.Ref
		want    focus
	}{
		{lab.Ref{Namespace: "kube-system", Kind: "deployment", Name: "coredns"}, focus{dns: true}},
		{lab.Ref{Namespace: "kube-system", Kind: "service", Name: "kube-dns"}, focus{dns: true}},
		{lab.Ref{Namespace: "kube-system", Kind: "daemonset", Name: "kube-proxy"}, focus{network: true}},
		{lab.Ref{Namespace: "kube-system", Kind: "configmap", Name: "kube-proxy"}, focus{network: true}},
		{lab.Ref{Kind: "node", Name: "worker"}, focus{network: true}},
		{lab.Ref{Namespace: "shop", Kind: "deployment", Name: "coredns"}, focus{}},
	} {
		if got := focusOf([]lab.Ref{tt.touches}); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.touches, got, tt.want)
		}
	}
}
