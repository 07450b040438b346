package check

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

const bakery = `http: {from: {pods: app=till}, url: "http://bread/hostname", by: {pods: app=oven}`

// places are the namespaces of the tests.
func places() []runtime.Object {
	var all []runtime.Object
	for _, name := range []string{"shop", "bank", "kube-system"} {
		all = append(all, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return all
}

// fromOvens is a Service whose pods are the ovens.
func fromOvens(clusterIP string) *corev1.Service {
	s := service("bread", clusterIP, 80)
	s.Spec.Selector = map[string]string{"app": "oven"}
	return s
}

// bakers are a till and two ovens.
func bakers() []runtime.Object {
	return []runtime.Object{pod("till-1", "10.0.0.1", "app=till"), pod("oven-1", "10.0.0.2", "app=oven"), pod("oven-2", "10.0.0.3", "app=oven")}
}

// slice is of the Service bread.
func slice(ready bool, port int32) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bread-1", Labels: map[string]string{discoveryv1.LabelServiceName: "bread"}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:      []discoveryv1.EndpointPort{{Port: &port}},
	}
}

// turns answers with the bodies in turn.
func turns(bodies ...string) func(probe.Job) probe.Outcome {
	var n atomic.Int64
	return func(probe.Job) probe.Outcome {
		return probe.Outcome{Result: dial.OK, Status: 200, Body: bodies[int(n.Add(1))%len(bodies)]}
	}
}

func fixed(o probe.Outcome) func(probe.Job) probe.Outcome {
	return func(probe.Job) probe.Outcome { return o }
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	refused := fixed(probe.Outcome{Result: dial.Refused, Detail: "connection refused"})
	unready := pod("oven-1", "10.0.0.2", "app=oven")
	unready.Status.Conditions[0].Status = corev1.ConditionFalse
	bread := service("bread", "10.96.0.9", 80)
	tests := []struct {
		name    string
		text    string
		objects []runtime.Object
		answer  func(probe.Job) probe.Outcome
		want    verdict
	}{
		{"by one of them", bakery + "}", bakers(), turns("oven-1"), verdict{}},
		{"by every one", bakery + ", every: true}", bakers(), turns("oven-1", "oven-2"), verdict{}},
		{"one never answers", bakery + ", every: true}", bakers(), turns("oven-2"), verdict{failure: "pod oven-1 never answers at http://bread/hostname, want an answer from each of oven-1, oven-2"}},
		{"by the wrong pod", bakery + "}", bakers(), turns("mill-7"), verdict{failure: "http://bread/hostname is answered by mill-7, want only pods with labels app=oven"}},
		{"by the wrong pod now and then", bakery + "}", bakers(), turns("oven-1", "oven-2", "oven-1", "mill-7"), verdict{failure: "is answered by mill-7"}},
		{"by anyone", `http: {from: {pods: app=till}, url: "http://bread/hostname"}`, bakers(), turns("mill-7"), verdict{}},
		{"another status", bakery + "}", bakers(), fixed(probe.Outcome{Result: dial.OK, Status: 503, Body: "oven-1"}), verdict{failure: "http://bread/hostname answers from pod till-1 with status 503, want status 200"}},
		{"the status that is wanted", bakery + ", status: 503}", bakers(), fixed(probe.Outcome{Result: dial.OK, Status: 503, Body: "oven-1"}), verdict{}},
		{"trouble of the prober", bakery + "}", bakers(), fixed(probe.Outcome{Result: dial.Error, Detail: "no agent"}), verdict{unknown: "asking http://bread/hostname from pod till-1: no agent"}},
		{"no client", bakery + "}", bakers()[1:], refused, verdict{failure: "no pod with labels app=till is running"}},
		{"nobody ready to answer", bakery + "}", []runtime.Object{bakers()[0], unready}, refused, verdict{failure: "no pod with labels app=oven is ready", settling: true}},

		{"no Service", bakery + "}", bakers(), refused, verdict{failure: "http://bread/hostname does not answer from pod till-1 (refused): there is no Service bread in namespace shop"}},
		{"no such port", `http: {from: {pods: app=till}, url: "http://bread:81/"}`, append(bakers(), bread), refused, verdict{failure: "Service bread has no port 81"}},
		{"no endpoint", bakery + "}", append(bakers(), bread), refused, verdict{failure: "Service bread has no ready endpoint (selector app=bread)"}},
		{"no ready endpoint", bakery + "}", append(bakers(), fromOvens("10.96.0.9"), slice(false, 8080)), refused, verdict{failure: "Service bread has no ready endpoint"}},
		{"the wrong target port", bakery + "}", append(bakers(), fromOvens("10.96.0.9"), slice(true, 8081)), refused, verdict{failure: "Service bread sends to port 80 of its pods, and no container there declares a port"}},
		{"a headless Service", bakery + "}", append(bakers(), fromOvens("None"), slice(true, 8080)), refused, verdict{failure: "Service bread is headless"}},
		{"another namespace", `http: {from: {pods: app=till}, url: "http://safe.bank/"}`, bakers(), refused, verdict{failure: "there is no Service safe in namespace bank"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, tt.text)
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(append(places(), tt.objects...)...)
				p := &prober{answer: tt.answer}
				c.Prober = p
				tt.want.check(t, check.Run(t.Context(), c))
				for _, j := range p.asked {
					if j.PodIP == j.Host {
						continue // a pod that asks itself, to find out whether it listens
					}
					if j.Proto != dial.HTTP || j.PodIP != "10.0.0.1" || j.Node != "n1" || j.Port == 0 || j.Path == "" || j.Timeout <= 0 {
						t.Fatalf("asked %+v", j)
					}
				}
			})
		})
	}
}

// Who becomes ready between the list of pods and the request is a right pod too.
func TestHTTPKnowsWhoHasJustBecomeReady(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, bakery+"}")
	synctest.Test(t, func(t *testing.T) {
		c, kube, _ := clusterOf(bakers()...)
		c.Quick = true // at a glance, with no second look
		late := pod("oven-3", "10.0.0.9", "app=oven")
		c.Prober = &prober{answer: func(probe.Job) probe.Outcome {
			_ = kube.Tracker().Add(late)
			return probe.Outcome{Result: dial.OK, Status: 200, Body: late.Name}
		}}
		verdict{}.check(t, check.Run(t.Context(), c))
	})
}

// Rules follow the API after a while, so a wrong answer is asked for again.
func TestHTTPWaitsForTheRightAnswer(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, bakery+"}")
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := clusterOf(bakers()...)
		asked := 0
		c.Prober = &prober{answer: func(probe.Job) probe.Outcome {
			if asked++; asked < 100 {
				return probe.Outcome{Result: dial.OK, Status: 200, Body: "mill-7"}
			}
			return probe.Outcome{Result: dial.OK, Status: 200, Body: "oven-1"}
		}}
		verdict{}.check(t, check.Run(t.Context(), c))
		if asked < 100 {
			t.Errorf("passed after %d answers of the wrong pod", asked)
		}
	})
}

func TestHTTPFromOutside(t *testing.T) {
	t.Parallel()
	door := service("bread", "10.96.0.9", 80)
	door.Spec.Ports[0].NodePort = 30080
	outside := func(route bool, open ...string) func(probe.Job) probe.Outcome {
		return func(j probe.Job) probe.Outcome {
			switch {
			case j.Port == kubeletPort && j.Proto == dial.TCP && !route && j.Node == "":
				return probe.Outcome{Result: dial.Timeout}
			case j.Port == kubeletPort && j.Proto == dial.TCP:
				return probe.Outcome{Result: dial.OK}
			case route != (j.Node == ""), j.PodIP != "", j.Port != 30080:
				return probe.Outcome{Result: dial.Error, Detail: fmt.Sprintf("asked %+v", j)}
			case slices.Contains(open, j.Host) && (j.Node == "" || j.Node != nodeOf(j.Host)):
				return probe.Outcome{Result: dial.OK, Status: 200}
			}
			return probe.Outcome{Result: dial.Refused}
		}
	}
	tests := []struct {
		name    string
		nodes   []runtime.Object
		objects []runtime.Object
		answer  func(probe.Job) probe.Outcome
		want    verdict
	}{
		{"through every node", twoNodes(), nil, outside(true, "172.18.0.2", "172.18.0.3"), verdict{}},
		{"not through one", twoNodes(), []runtime.Object{door, slice(true, 8080)}, outside(true, "172.18.0.2"), verdict{failure: "does not answer through node n2 (refused): Service bread has no ready endpoint"}},
		{"no such node port", twoNodes(), []runtime.Object{service("bread", "10.96.0.9", 80)}, outside(true), verdict{failure: "does not answer through node n1 (refused): no Service in namespace shop has node port 30080"}},
		{"neighbours ask where the host has no route", twoNodes(), nil, outside(false, "172.18.0.2", "172.18.0.3"), verdict{}},
		{"no route and no neighbour", twoNodes()[:1], nil, outside(false), verdict{unknown: "this host has no route to node n1 (172.18.0.2), and there is no second node to ask from"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, `http: {outside: true, url: "http://{node}:30080/hostname"}`)
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(slices.Concat(places(), tt.nodes, tt.objects)...)
				c.Prober = &prober{answer: tt.answer}
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

// nodeOf is the name of one of twoNodes.
func nodeOf(ip string) string { return map[string]string{"172.18.0.2": "n1", "172.18.0.3": "n2"}[ip] }

// Where the objects that a request is about cannot be read, nothing can be said. What was seen stands without the
// evidence behind it.
func TestHTTPWithABrokenAPI(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{"pods": "listing pods: boom", "daemonsets": "listing the network's DaemonSets: boom", "nodes": "listing nodes: boom"} {
		synctest.Test(t, func(t *testing.T) {
			c, kube, _ := clusterOf(append(bakers(), service("bread", "10.96.0.9", 80))...)
			kube.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("boom") })
			c.Prober = &prober{answer: fixed(probe.Outcome{Result: dial.Refused})}
			verdict{unknown: want}.check(t, mustCompile(t, bakery+"}").Run(t.Context(), c))
		})
	}
}
