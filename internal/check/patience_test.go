package check

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func TestPatience(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) *corev1.Pod {
		p := pod("web", "10.0.0.1", "app=web")
		at := metav1.NewTime(time.Now().Add(-d))
		p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &at}}
		p.Status.StartTime = &at
		return p
	}
	tests := []struct {
		name    string
		changed time.Duration
		result  probe.Result
		atMost  time.Duration
		slack   time.Duration // what the test itself may use up of it
	}{
		{"at rest", time.Hour, "ok", minPatience, 0},
		{"just changed", 0, "ok", maxPatience, 2 * time.Second},
		{"a new client refused", 0, "refused", youth, 2 * time.Second},
		{"an old client refused", time.Hour, "timeout", minPatience, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := ago(tt.changed)
			c, _, _ := clusterOf(p)
			deps := []Dependency{{Resource: pods, Namespace: "shop"}}
			got := c.patience(t.Context(), deps, []corev1.Pod{*p}, &past{}).of(probe.Outcome{Result: tt.result})
			if got > tt.atMost || got < tt.atMost-tt.slack {
				t.Errorf("waits %s, want %s", got, tt.atMost)
			}
		})
	}
}

// A quick look never waits. What turns wrong is settling until it would have been believed, and then wrong; what comes
// right is right at once.
func TestQuickLooks(t *testing.T) {
	t.Parallel()
	for text, answers := range map[string]struct{ right, wrong func(probe.Job) probe.Outcome }{
		bakery + "}": {body("oven-1"), body("mill-7")},
		"resolve: {from: {pods: app=till}, name: bread, to: {address: 10.1.1.1}}": {fixed(leads("10.1.1.1")), fixed(leads("10.1.1.2"))},
	} {
		check := mustCompile(t, text)
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := clusterOf(append(bakers(), shop()...)...)
			c.Quick = true
			look := func(answer func(probe.Job) probe.Outcome) string {
				c.Prober = &prober{answer: answer}
				start := time.Now()
				err := check.Run(t.Context(), c)
				if took := time.Since(start); took != 0 {
					t.Errorf("%s: waited %s", text, took)
				}
				f, no := errors.AsType[*Failure](err)
				switch {
				case err == nil:
					return "right"
				case !no:
					return err.Error()
				case f.Settling:
					return "settling"
				}
				return "wrong"
			}
			var got []string
			for _, step := range []struct {
				after  time.Duration
				answer func(probe.Job) probe.Outcome
			}{
				{0, answers.wrong},
				{minPatience, answers.wrong},
				{time.Millisecond, answers.wrong},
				{time.Hour, answers.wrong},
				{0, answers.right},
				{time.Hour, answers.wrong}, // something was deleted, and nothing shows it
				{minPatience + 1, answers.wrong},
			} {
				time.Sleep(step.after)
				got = append(got, look(step.answer))
			}
			if diff := cmp.Diff([]string{"settling", "settling", "wrong", "wrong", "right", "settling", "wrong"}, got); diff != "" {
				t.Errorf("%s:\n%s", text, diff)
			}
		})
	}
}

// clusterNames is the cluster's DNS, whole.
func clusterNames() []runtime.Object {
	dns := service("kube-dns", "10.96.0.10", 53)
	dns.Namespace, dns.Spec.Selector = metav1.NamespaceSystem, map[string]string{"k8s-app": "kube-dns"}
	s, server := slice(true, 53), nameServer()
	s.Namespace, s.Name, s.Labels[discoveryv1.LabelServiceName] = metav1.NamespaceSystem, "kube-dns-1", "kube-dns"
	s.Endpoints[0].Addresses = []string{server.Status.PodIP}
	return []runtime.Object{dns, s, server}
}

// Right pods answer, and a change was a moment ago: another pod may be on its way into the rules, unless the Service
// leads to none, and what the API denies by now may not be denied by the network yet.
func TestAQuickLookIsSureOfTheRightAnswer(t *testing.T) {
	t.Parallel()
	closed := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "closed"},
		Spec:       networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "oven"}}},
	}
	declared := []corev1.ContainerPort{{ContainerPort: 8080}}
	amoment := verdict{failure: "http://bread/hostname is answered as it should, and something changed a moment ago", settling: true}
	other := []corev1.ContainerPort{{ContainerPort: 9090}}
	const listened = `http: {from: {pods: app=till}, url: "http://bread/listened", by: {pods: app=oven}}`
	both := map[string]string{"sells": "bread"}
	mill := func(phase corev1.PodPhase) *corev1.Pod {
		p := pod("mill-1", "10.0.0.10", "sells=bread")
		p.Status.Phase = phase
		return p
	}
	cold := pod("oven-3", "10.0.0.11", "app=oven")
	cold.Labels["sells"], cold.Status.Conditions = "bread", nil
	for _, tt := range []struct {
		name, check string
		selector    map[string]string
		more        []runtime.Object
		ports       []corev1.ContainerPort
		want        verdict
		long        bool // whether it takes more than calm
	}{
		{"only right pods", bakery + "}", map[string]string{"app": "oven"}, nil, declared, verdict{}, false},
		{
			"another port is declared, and nobody listens where the Service leads", bakery + "}",
			map[string]string{"app": "oven"},
			nil,
			other,
			verdict{failure: "http://bread/hostname still answers from pod till-1: Service bread sends to port 8080 of its pods", settling: true},
			true,
		},
		{"another port is declared, and somebody listens", listened, map[string]string{"app": "oven"}, nil, other, verdict{}, false},
		{"any pod", bakery + "}", nil, nil, declared, amoment, false},
		{"a mill too, which no rule knows yet", bakery + "}", both, []runtime.Object{mill(corev1.PodRunning)}, declared, amoment, true},
		{"an oven too, which is not ready yet", bakery + "}", both, []runtime.Object{cold}, declared, amoment, false},
		{"a mill that ended", bakery + "}", both, []runtime.Object{mill(corev1.PodFailed)}, declared, amoment, false},
		{
			"a policy denies it", `http: {from: {pods: app=till}, url: "http://bread/"}`,
			map[string]string{"app": "oven"},
			[]runtime.Object{closed},
			declared,
			verdict{failure: "http://bread/ still answers from pod till-1: NetworkPolicy closed", settling: true},
			true,
		},
		{
			"a policy denies it, and what containers declare is no help", `http: {from: {pods: app=till}, url: "http://bread/"}`,
			map[string]string{"app": "oven"},
			[]runtime.Object{closed},
			nil,
			verdict{failure: "http://bread/ still answers from pod till-1: NetworkPolicy closed", settling: true},
			true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, tt.check)
			synctest.Test(t, func(t *testing.T) {
				bread := service("bread", "10.96.0.9", 80)
				bread.Spec.Ports[0].TargetPort = intstr.FromInt32(8080)
				bread.Spec.Selector = tt.selector
				at := metav1.Now()
				bread.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &at}}
				ovens := bakers()
				for _, o := range ovens[1:] {
					o.(*corev1.Pod).Spec.Containers = []corev1.Container{{Name: "oven", Ports: tt.ports}}
					o.(*corev1.Pod).Labels["sells"] = "bread"
				}
				c, _, _ := clusterOf(slices.Concat(places(), ovens, tt.more, clusterNames(), []runtime.Object{bread, slice(true, 8080)})...)
				c.Quick, c.Prober = true, &prober{answer: func(j probe.Job) probe.Outcome {
					if j.Proto == dial.TCP && tt.check != listened { // an oven asks itself
						return probe.Outcome{Result: dial.Refused}
					}
					return probe.Outcome{Result: dial.OK, Status: 200, Body: "oven-1"}
				}}
				tt.want.check(t, check.Run(t.Context(), c))
				time.Sleep(calm)
				if tt.long {
					tt.want.check(t, check.Run(t.Context(), c))
					time.Sleep(maxPatience - calm)
				}
				verdict{}.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

// A share that is wrong by the API is told at once. One that is not, or that the pods behind the Service do not explain,
// may be the network's lag.
func TestAShareThatFollowsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	const text = `http: {from: {pods: app=till}, url: "http://bread/", share: {of: {pods: app=oven}, between: [10, 30]}}`
	for _, tt := range []struct {
		name   string
		mills  int // behind the Service, beside one oven
		answer func(probe.Job) probe.Outcome
		atOnce bool
	}{
		{"one of two", 1, turns("oven-1", "mill-1"), true},
		{"one of two, and only one answers", 1, turns("oven-1"), false},
		{"one of two, and another one answers", 1, turns("oven-1", "mill-1", "mill-9"), false},
		{"one of four, and half of the answers", 3, turns("oven-1", "mill-1", "oven-1", "mill-2", "oven-1", "mill-3"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, text)
			synctest.Test(t, func(t *testing.T) {
				at := metav1.Now()
				bread := service("bread", "10.96.0.9", 80)
				bread.Spec.Ports[0].TargetPort = intstr.FromInt32(8080)
				bread.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &at}}
				bread.Spec.Selector = map[string]string{"sells": "bread"}
				endpoints := slice(true, 8080)
				seller := func(p *corev1.Pod) *corev1.Pod {
					p.Labels["sells"] = "bread"
					p.Spec.Containers = []corev1.Container{{Name: "main", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
					return p
				}
				oven := seller(pod("oven-1", "10.0.0.2", "app=oven"))
				objects := slices.Concat(places(), clusterNames(), []runtime.Object{bread, endpoints, bakers()[0], oven})
				for i := range tt.mills {
					mill := seller(pod(fmt.Sprintf("mill-%d", i+1), fmt.Sprintf("10.0.0.%d", i+10), "app=mill"))
					objects = append(objects, mill)
					endpoints.Endpoints = append(endpoints.Endpoints, discoveryv1.Endpoint{Addresses: []string{mill.Status.PodIP}})
				}
				c, _, _ := clusterOf(objects...)
				c.Prober = &prober{answer: tt.answer}
				began := time.Now()
				verdict{failure: "want 10 to 30 %"}.check(t, check.Run(t.Context(), c))
				if took := time.Since(began); tt.atOnce != (took < time.Second) {
					t.Errorf("told after %s", took)
				}
			})
		})
	}
}
