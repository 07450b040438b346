package check

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func TestAtRest(t *testing.T) {
	t.Parallel()
	in := func(generation int64) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: generation}
	}
	two := int32(2)
	byHand := appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	for name, tt := range map[string]struct {
		object runtime.Object
		want   bool
	}{
		"nothing":               {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, true},
		"elsewhere":             {&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "web", Generation: 1}}, true},
		"new deployment":        {&appsv1.Deployment{ObjectMeta: in(1)}, false},
		"scaling deployment":    {&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &two}, Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1}, ObjectMeta: in(0)}, false},
		"rolling deployment":    {&appsv1.Deployment{ObjectMeta: in(1), Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1}}, false},
		"deployment, not ready": {&appsv1.Deployment{ObjectMeta: in(1), Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1}}, true},
		"replica set":           {&appsv1.ReplicaSet{ObjectMeta: in(1), Spec: appsv1.ReplicaSetSpec{Replicas: &two}, Status: appsv1.ReplicaSetStatus{ObservedGeneration: 1, Replicas: 1}}, false},
		"stateful set":          {&appsv1.StatefulSet{ObjectMeta: in(1), Status: appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, CurrentRevision: "1", UpdateRevision: "2"}}, false},
		"stateful set, by hand": {&appsv1.StatefulSet{ObjectMeta: in(1), Spec: appsv1.StatefulSetSpec{UpdateStrategy: byHand}, Status: appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, CurrentRevision: "1", UpdateRevision: "2"}}, true},
		"daemon set":            {&appsv1.DaemonSet{ObjectMeta: in(1), Status: appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 2, CurrentNumberScheduled: 1}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf(tt.object)
			if got := c.atRest(t.Context(), "shop"); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// What follows from the API's objects is said at once. What might come right by itself is waited for: pods that a
// controller has yet to make, those of the cluster's name servers too, and ports that containers do not declare.
func TestWhatIsCertainIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	lonely := fromOvens("10.96.0.9")
	lonely.Spec.Selector = map[string]string{"app": "overn"}
	servers := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "coredns", Generation: 1}}
	coming := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "overn", Generation: 1}}
	for _, tt := range []struct {
		name, check, want string
		objects           []runtime.Object
		answer            dial.Result
		patient           bool
	}{
		{"no pod is selected", "http", "no pod", []runtime.Object{lonely}, dial.Refused, false},
		{"no pod is selected yet", "http", "no pod", []runtime.Object{lonely, coming}, dial.Refused, true},
		{"no such Service", "http", "there is no Service bread", nil, dial.NXDomain, false},
		{"no such Service, and name servers are on their way", "http", "there is no Service bread", []runtime.Object{servers}, dial.NXDomain, true},
		{"no such name", "resolve", "there is no Service bread", nil, dial.NXDomain, false},
		{"nobody listens", "http", "no container there declares a port", []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, dial.Refused, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, map[string]string{
				"http":    `http: {from: {pods: app=till}, url: "http://bread/"}`,
				"resolve": `resolve: {from: {pods: app=till}, name: bread}`,
			}[tt.check])
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(slices.Concat(places(), bakers(), clusterNames(), tt.objects)...)
				c.Prober = &prober{answer: fixed(ends(tt.answer))}
				start := time.Now()
				verdict{failure: tt.want}.check(t, check.Run(t.Context(), c))
				if patient := time.Since(start) >= minPatience; patient != tt.patient {
					t.Errorf("it took %s", time.Since(start))
				}
			})
		})
	}
}
