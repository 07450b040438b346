package check

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// nameServer is the cluster's DNS.
func nameServer() *corev1.Pod {
	p := pod("coredns-1", "10.0.9.9", "k8s-app=kube-dns")
	p.Namespace = "kube-system"
	return p
}

func leads(addresses ...string) probe.Outcome {
	return probe.Outcome{Result: dial.OK, Addresses: addresses}
}

func ends(r dial.Result) probe.Outcome { return probe.Outcome{Result: r, Detail: "so it was"} }

func TestResolve(t *testing.T) {
	t.Parallel()
	const from = `resolve: {from: {pods: app=till}, name: bread, `
	nobody := pod("nobody-1", "10.0.0.9", "app=nobody")
	nobody.Status.Conditions[0].Status = corev1.ConditionFalse
	objects := append(bakers(), nameServer(), nobody, service("bread", "10.96.0.9", 80))
	headless := append(bakers(), nameServer(), service("bread", "None", 80), slice(true, 8080))
	tests := []struct {
		name    string
		text    string
		objects []runtime.Object
		bread   probe.Outcome // of the name that is asked for
		inside  probe.Outcome // of the name in the cluster's own domain
		control probe.Outcome // of kubernetes.default
		server  probe.Outcome // of the name server, asked by itself
		want    verdict
	}{
		{name: "a Service", text: from + "to: {service: bread}}", bread: leads("10.96.0.9")},
		{name: "a Service's old address", text: from + "to: {service: bread}}", bread: leads("10.96.0.1"), want: verdict{failure: "bread resolves to 10.96.0.1 in pod till-1, want 10.96.0.9 (service/bread)"}},
		{name: "a Service that is not there", text: from + "to: {service: shop/cake}}", bread: leads("10.96.0.1"), want: verdict{failure: "service/cake does not exist in namespace shop"}},
		{name: "a headless Service", text: from + "to: {service: bread}}", objects: headless, bread: leads("10.0.0.2")},
		{name: "a headless Service without pods", text: from + "to: {service: bread}}", objects: append(bakers(), service("bread", "None", 80)), want: verdict{failure: "headless service/bread has no ready endpoint"}},
		{name: "pods, in any order", text: from + "to: {pods: app=oven}}", bread: leads("10.0.0.3", "10.0.0.2")},
		{name: "one pod too few", text: from + "to: {pods: app=oven}}", bread: leads("10.0.0.3"), want: verdict{failure: "bread resolves to 10.0.0.3 in pod till-1, want 10.0.0.2, 10.0.0.3 (the pods with labels app=oven)"}},
		{name: "pods that are not ready", text: from + "to: {pods: app=nobody}}", want: verdict{failure: "no pod with labels app=nobody is ready", settling: true}},
		{name: "an address", text: from + "to: {address: 10.1.1.1}}", bread: leads("10.1.1.1")},
		{name: "another address", text: from + "to: {address: 10.1.1.1}}", bread: leads("10.1.1.2"), want: verdict{failure: "want 10.1.1.1"}},
		{name: "any address", text: from + "}", bread: leads("10.1.1.2")},
		{name: "an alias", text: from + "to: {cname: Bread.example.}}", bread: probe.Outcome{Result: dial.OK, CName: "bread.example"}},
		{name: "no alias", text: from + "to: {cname: bread.example}}", bread: ends(dial.NXDomain), control: leads("10.96.0.9"), want: verdict{failure: "bread resolves to 10.96.0.9 in pod till-1, and is no alias, want an alias of bread.example"}},
		{name: "nothing, and no alias", text: from + "to: {cname: bread.example}}", bread: ends(dial.NXDomain), control: ends(dial.NXDomain), want: verdict{failure: "bread does not resolve in pod till-1"}},
		{name: "another alias", text: from + "to: {cname: bread.example}}", bread: probe.Outcome{Result: dial.OK, CName: "cake.example"}, want: verdict{failure: "bread is an alias of cake.example in pod till-1, want an alias of bread.example"}},
		{name: "no such name", text: from + "to: {service: bread}}", bread: ends(dial.NXDomain), want: verdict{failure: "bread does not resolve in pod till-1 (dns-nxdomain)"}},
		{name: "no answer for the learner's reason", text: from + "to: {service: bread}}", bread: ends(dial.DNSTimeout), server: ends(dial.NXDomain), want: verdict{failure: "pod till-1 gets no answer when it looks bread up (dns-timeout)"}},
		{name: "no answer for anybody", text: from + "to: {service: bread}}", bread: ends(dial.DNSTimeout), server: ends(dial.DNSTimeout), want: verdict{unknown: "coredns-1 on node n1 does not answer even itself (dns-timeout"}},
		{name: "no name server", text: from + "to: {service: bread}}", objects: append(bakers(), service("bread", "10.96.0.9", 80)), bread: ends(dial.DNSRefused), want: verdict{unknown: "the cluster's DNS is down"}},
		{name: "trouble of the prober", text: from + "to: {service: bread}}", bread: ends(dial.Error), want: verdict{unknown: "looking bread up from pod till-1: so it was"}},

		{name: "absent", text: from + "absent: true}", bread: ends(dial.NXDomain), control: leads("10.96.0.1")},
		{name: "absent, as far as a laptop on a train can tell", text: from + "absent: true}", bread: ends(dial.DNSFailed), inside: ends(dial.NXDomain), control: leads("10.96.0.1")},
		{name: "not absent", text: from + "absent: true}", bread: leads("10.96.0.9"), control: leads("10.96.0.1"), want: verdict{failure: "bread resolves to 10.96.0.9 in pod till-1, want no such name"}},
		{name: "absent without a positive control", text: from + "absent: true}", bread: ends(dial.NXDomain), control: ends(dial.DNSTimeout), want: verdict{unknown: "no positive control: pod till-1 does not resolve kubernetes.default either (dns-timeout"}},
		{name: "no answer is not absent", text: from + "absent: true}", bread: ends(dial.DNSTimeout), inside: ends(dial.DNSTimeout), control: ends(dial.DNSTimeout), server: leads("10.96.0.1"), want: verdict{failure: "pod till-1 gets no answer when it looks bread up"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, tt.text)
			synctest.Test(t, func(t *testing.T) {
				if tt.objects == nil {
					tt.objects = objects
				}
				c, _, _ := clusterOf(tt.objects...)
				c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
					switch {
					case j.Proto != dial.DNS || j.Timeout <= 0:
						t.Errorf("asked %+v", j)
					case j.Server == "10.0.9.9" && j.PodIP == "10.0.9.9":
						return tt.server
					case j.PodIP != "10.0.0.1":
						t.Errorf("asked from %s", j.PodIP)
					case j.Host == "kubernetes.default":
						return tt.control
					case j.Inside && strings.Contains(tt.text, "absent"):
						return tt.inside
					case strings.Contains(tt.text, "cname") && j.Record == "":
						return tt.control
					case (j.Record == "CNAME") != strings.Contains(tt.text, "cname"):
						t.Errorf("asked for record %q", j.Record)
					}
					return tt.bread
				}}
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

func TestProblemsOfResolve(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]string{
		"{from: {pods: a}, name: b, to: {service: c, address: 10.0.0.1}}": "expected one of service, pods, address and cname",
		"{from: {pods: a}, name: b, to: {address: fe80::1}}":              `expected an IPv4 address, found "fe80::1"`,
		"{from: {pods: a}, name: b, to: {pods: 'a in'}}":                  "expected a label selector",
		"{from: {pods: a}, name: b, to: {service: c}, absent: true}":      "expected either to or absent: true",
		"{from: {pods: a}}": `missing key "name"`,
	} {
		if _, problems := compile(t, "resolve: "+params); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
	if deps := mustCompile(t, "resolve: {from: {pods: a}, name: b, to: {service: bank/c}}").Objects(); !slices.Contains(deps, Dependency{Resource: services, Namespace: "bank"}) {
		t.Errorf("reads %+v, and not the Services of the bank", deps)
	}
}
