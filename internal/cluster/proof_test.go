package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// network answers dials the way a cluster would: wrong is asked first and can break one connection.
type network struct {
	mu    sync.Mutex
	dials int
	wrong func(dial int, from, host string) error
}

func (n *network) dial(_ context.Context, from, host string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	return host, n.wrong(n.dials, from, host)
}

func TestReachAll(t *testing.T) {
	t.Parallel()
	pods := map[string]string{"guarded": "10.0.0.1", "open-0": "10.0.0.2", "open-1": "10.0.1.2"}
	for name, tc := range map[string]struct {
		wrong func(int, string, string) error
		want  string
	}{
		"all well":    {wrong: func(int, string, string) error { return nil }},
		"late routes": {wrong: func(dial int, _, _ string) error { return ifTrue(dial < 6, "no route to host") }},
		"one way broken": {wrong: func(_ int, from, host string) error {
			return ifTrue(from == "open-1" && host == "10.0.0.2", "no route to host")
		}, want: "a pod on n1 reaches pod open-0: no route"},
		"no DNS": {wrong: func(_ int, _, host string) error { return ifTrue(host == "proof", "no such host") }, want: "reaches a Service by its name: no such host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			n := &network{wrong: tc.wrong}
			p := &prover{nodes: []string{"n0", "n1"}, dial: n.dial}
			check(t, p.reachAll(ctx, pods), tc.want)
			if tc.want == "" && n.dials < 8 {
				t.Errorf("only %d of 8 connections were tried", n.dials)
			}
		})
	}
}

func TestDenies(t *testing.T) {
	t.Parallel()
	pods := map[string]string{"guarded": "10.0.0.1", "open-0": "10.0.0.2"}
	denied := func(host string) error { return ifTrue(host == "10.0.0.1", "refused") }
	for name, tc := range map[string]struct {
		wrong func(int, string, string) error
		want  string
	}{
		"denied":            {wrong: func(_ int, _, host string) error { return denied(host) }},
		"denied a bit late": {wrong: func(dial int, _, host string) error { return ifTrue(dial > 3 && host == "10.0.0.1", "refused") }},
		"not enforced":      {wrong: func(int, string, string) error { return nil }, want: "let through"},
		"everything broken": {wrong: func(int, string, string) error { return errors.New("timeout") }, want: "the allowed connection failed too"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p := &prover{kube: fake.NewClientset(), ns: "proof", nodes: []string{"n0"}, dial: (&network{wrong: tc.wrong}).dial}
			check(t, p.denies(ctx, pods), tc.want)
		})
	}
}

func TestNodesReady(t *testing.T) {
	t.Parallel()
	node := func(name string, status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}},
		}}
	}
	kube := fake.NewClientset(node("n0", corev1.ConditionTrue), node("n1", corev1.ConditionUnknown))
	for nodes, want := range map[string]string{"n0": "", "n0 n1": "node n1 is not Ready", "n0 n2": "node n2 has not joined"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		check(t, (&prover{kube: kube, nodes: strings.Fields(nodes)}).nodesReady(ctx), want)
		cancel()
	}
}

func TestAgentsReady(t *testing.T) {
	t.Parallel()
	agent := func(name string, generation int64, updated, ready int32) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceSystem, Generation: generation},
			Status:     appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 3, UpdatedNumberScheduled: updated, NumberReady: ready},
		}
	}
	dns := func(replicas, updated, ready int32) *appsv1.Deployment {
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "coredns", Namespace: metav1.NamespaceSystem, Labels: map[string]string{"k8s-app": "kube-dns"}, Generation: 2},
			Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: replicas, UpdatedReplicas: updated, ReadyReplicas: ready},
		}
	}
	for name, tc := range map[string]struct {
		agent *appsv1.DaemonSet
		dns   *appsv1.Deployment
		want  string
	}{
		"all there":                 {agent("kube-proxy", 2, 3, 3), dns(2, 2, 2), ""},
		"a change nobody has seen":  {agent("kube-proxy", 3, 3, 3), dns(2, 2, 2), "daemonset/kube-proxy"},
		"an agent being replaced":   {agent("kube-proxy", 2, 2, 3), dns(2, 2, 2), "2 of 3 pods up to date"},
		"an agent that is starting": {agent("kube-proxy", 2, 3, 2), dns(2, 2, 2), "and 2 ready"},
		"an old name server left":   {agent("kube-proxy", 2, 3, 3), dns(3, 2, 3), "deployment/coredns has 2 of 3"},
		"a name server starting":    {agent("kube-proxy", 2, 3, 3), dns(2, 2, 1), "and 1 ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			check(t, (&prover{kube: fake.NewClientset(tc.agent, tc.dns)}).agentsReady(ctx), tc.want)
		})
	}
}

func TestCleanUpTakesOldProofsToo(t *testing.T) {
	t.Parallel()
	space := func(name string, labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	mark := map[string]string{proofLabel: "true"}
	kube := fake.NewClientset(space("kindlab-proof-new", mark), space("kindlab-proof-killed", mark), space("default", nil))
	if err := (&prover{kube: kube, ns: "kindlab-proof-new"}).cleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 1 || left.Items[0].Name != "default" {
		t.Errorf("left are %v, %v", left.Items, err)
	}
}

func TestParseDial(t *testing.T) {
	t.Parallel()
	if host, err := parseDial([]byte(`{"responses":["open-0"]}`)); err != nil || host != "open-0" {
		t.Errorf("an answer: %q, %v", host, err)
	}
	for body, want := range map[string]string{`{"errors":["connection refused"]}`: "connection refused", `{}`: "no answer", `<html>`: "<html>"} {
		_, err := parseDial([]byte(body))
		check(t, err, want)
	}
}

func TestUntilEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	err := until(ctx, "something comes true", func() error { cancel(); return errors.New("not yet") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func ifTrue(yes bool, text string) error {
	if yes {
		return errors.New(text)
	}
	return nil
}

// check compares an error with the text it must have; "" wants none.
func check(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
