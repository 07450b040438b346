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

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func TestAtRest(t *testing.T) {
	t.Parallel()
	in := func(generation int64) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: generation}
	}
	owned := func(kind string) metav1.ObjectMeta {
		m, yes := in(0), true
		m.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "web", UID: "gone", Controller: &yes}}
		return m
	}
	two := int32(2)
	byHand := appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	for name, tt := range map[string]struct {
		object runtime.Object
		want   bool
	}{
		"nothing":                {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, true},
		"elsewhere":              {&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "web", Generation: 1}}, true},
		"new deployment":         {&appsv1.Deployment{ObjectMeta: in(1)}, false},
		"scaling deployment":     {&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &two}, Status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1}, ObjectMeta: in(0)}, false},
		"rolling deployment":     {&appsv1.Deployment{ObjectMeta: in(1), Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1}}, false},
		"deployment, not ready":  {&appsv1.Deployment{ObjectMeta: in(1), Status: appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1}}, true},
		"replica set":            {&appsv1.ReplicaSet{ObjectMeta: in(1), Spec: appsv1.ReplicaSetSpec{Replicas: &two}, Status: appsv1.ReplicaSetStatus{ObservedGeneration: 1, Replicas: 1}}, false},
		"stateful set":           {&appsv1.StatefulSet{ObjectMeta: in(1), Status: appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, CurrentRevision: "1", UpdateRevision: "2"}}, false},
		"stateful set, by hand":  {&appsv1.StatefulSet{ObjectMeta: in(1), Spec: appsv1.StatefulSetSpec{UpdateStrategy: byHand}, Status: appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, CurrentRevision: "1", UpdateRevision: "2"}}, true},
		"daemon set":             {&appsv1.DaemonSet{ObjectMeta: in(1), Status: appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 2, CurrentNumberScheduled: 1}}, false},
		"a deleted deployment's": {&appsv1.ReplicaSet{ObjectMeta: owned("Deployment")}, false},
		"a deleted set's pod":    {&corev1.Pod{ObjectMeta: owned("StatefulSet")}, false},
		"an operator's pod":      {&corev1.Pod{ObjectMeta: owned("Database")}, true},
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
	cake, toCake, cakes := pod("cake-1", "10.0.0.4", "app=cake"), fromOvens("10.96.0.9"), slice(true, 80)
	toCake.Spec.Selector = map[string]string{"app": "cake"}
	cakes.Endpoints[0].Addresses = []string{"10.0.0.4"}
	alias := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bread"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "cakes.shop.svc.cluster.local"}}
	aliased := fromOvens("10.96.0.8")
	aliased.Name, aliased.Spec.Selector = "cakes", map[string]string{"app": "cake"}
	theirs := slice(true, 80)
	theirs.Labels, theirs.Endpoints[0].Addresses = map[string]string{"kubernetes.io/service-name": "cakes"}, []string{"10.0.0.4"}
	away := alias.DeepCopy()
	away.Spec.ExternalName = "bread.example"
	young := pod("oven-3", "10.0.0.5", "app=oven")
	young.Spec.Containers = []corev1.Container{{Name: "oven"}}
	young.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "oven", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}}}
	none := fromOvens("None")
	// Each pod but the till's, and the till when it asks them.
	says := func(toItself string) func(probe.Job) probe.Outcome {
		return func(j probe.Job) probe.Outcome {
			if j.PodIP != "10.0.0.1" {
				return probe.Outcome{Result: dial.OK, Status: 200, Body: toItself}
			}
			return probe.Outcome{Result: dial.OK, Status: 200, Body: "rye"}
		}
	}
	wrong := fixed(probe.Outcome{Result: dial.OK, Status: 200, Body: "cake-1"})
	for _, tt := range []struct {
		name, check, want string
		objects           []runtime.Object
		answer            func(probe.Job) probe.Outcome
		patient           bool
	}{
		{"no pod is selected", "http", "no pod", []runtime.Object{lonely}, fixed(ends(dial.Refused)), false},
		{"no pod is selected yet", "http", "no pod", []runtime.Object{lonely, coming}, fixed(ends(dial.Refused)), true},
		{"no such Service", "http", "there is no Service bread", nil, fixed(ends(dial.NXDomain)), false},
		{"no such Service, and name servers are on their way", "http", "there is no Service bread", []runtime.Object{servers}, fixed(ends(dial.NXDomain)), true},
		{"no such name", "resolve", "there is no Service bread", nil, fixed(ends(dial.NXDomain)), false},
		{"nobody listens", "http", "nobody listens on port 80 there", []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, inside(dial.Refused), false},
		{"somebody listens", "http", "does not answer from pod till-1 (refused), want", []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, inside(dial.OK), true},
		{"the pod does not answer itself in time", "http", "no container there declares a port, want", []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, inside(dial.Timeout), true},
		{"the wrong pod answers, as the API has it", "by", "is answered by cake-1", []runtime.Object{toCake, cakes, cake}, wrong, false},
		{"the wrong pod answers, and is no endpoint any more", "by", "is answered by cake-1", []runtime.Object{toCake, slice(true, 80), cake}, wrong, true},
		{"the wrong pod answers behind an alias", "by", "is answered by cake-1", []runtime.Object{alias, aliased, theirs, cake}, wrong, false},
		{"the wrong pod answers, and the alias leads away", "by", "is answered by cake-1", []runtime.Object{away, aliased, theirs, cake}, wrong, true},
		{"an alias of what is not there", "http", "its name leads to bread.example", []runtime.Object{away}, fixed(ends(dial.NXDomain)), false},
		{"the wrong body, whoever is asked", "body", `with "rye"`, []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, says("rye"), false},
		{"the wrong body, and no pod has it any more", "body", `with "rye"`, []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, says("barley"), true},
		{"the wrong body, from pods that may be warming up", "body", `with "rye"`, []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80), young}, says("rye"), true},
		{"the wrong body, and a pod has the right one", "body", `with "rye"`, []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)}, says("wheat"), true},
		{"the address that the name has", "address", "resolves to 10.96.0.9", []runtime.Object{fromOvens("10.96.0.9")}, fixed(leads("10.96.0.9")), false},
		{"an address that the name has no more", "address", "resolves to 10.96.0.8", []runtime.Object{fromOvens("10.96.0.9")}, fixed(leads("10.96.0.8")), true},
		{"the addresses behind the name", "address", "resolves to 10.0.0.2", []runtime.Object{none, slice(true, 80)}, fixed(leads("10.0.0.2")), false},
		{"the alias that the name is", "cname", "is an alias of bread.example", []runtime.Object{away}, fixed(probe.Outcome{Result: dial.OK, CName: "bread.example"}), false},
		{"an alias that the name was", "cname", "is an alias of rye.example", []runtime.Object{away}, fixed(probe.Outcome{Result: dial.OK, CName: "rye.example"}), true},
		{"the wrong pod answers, and is not selected any more", "by", "is answered by cake-1", []runtime.Object{fromOvens("10.96.0.9"), cakes, cake}, wrong, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, map[string]string{
				"http":    `http: {from: {pods: app=till}, url: "http://bread/"}`,
				"by":      `http: {from: {pods: app=till}, url: "http://bread/", by: {pods: app=oven}}`,
				"body":    `http: {from: {pods: app=till}, url: "http://bread/", body: {equals: wheat}}`,
				"resolve": `resolve: {from: {pods: app=till}, name: bread}`,
				"address": `resolve: {from: {pods: app=till}, name: bread, to: {address: 10.1.1.1}}`,
				"cname":   `resolve: {from: {pods: app=till}, name: bread, to: {cname: cake.example}}`,
			}[tt.check])
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(slices.Concat(places(), bakers(), clusterNames(), tt.objects)...)
				c.Prober = &prober{answer: tt.answer}
				start := time.Now()
				verdict{failure: tt.want}.check(t, check.Run(t.Context(), c))
				if patient := time.Since(start) >= minPatience; patient != tt.patient {
					t.Errorf("it took %s", time.Since(start))
				}
			})
		})
	}
}

// inside refuses, and answers a pod that asks itself.
func inside(own dial.Result) func(probe.Job) probe.Outcome {
	return func(j probe.Job) probe.Outcome {
		if j.PodIP == j.Host {
			return ends(own)
		}
		return ends(dial.Refused)
	}
}

func TestAProgramMayBeAboutToListen(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, `http: {from: {pods: app=till}, url: "http://bread/"}`)
	synctest.Test(t, func(t *testing.T) {
		ovens := bakers()
		for _, o := range ovens {
			running := &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
			o.(*corev1.Pod).Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: running}}}
		}
		c, _, _ := clusterOf(slices.Concat(places(), ovens, clusterNames(), []runtime.Object{fromOvens("10.96.0.9"), slice(true, 80)})...)
		born, late := time.Now(), time.Second
		c.Prober = &prober{answer: func(probe.Job) probe.Outcome {
			if time.Since(born) < late {
				return ends(dial.Refused)
			}
			return probe.Outcome{Result: dial.OK, Status: 200}
		}}
		verdict{}.check(t, check.Run(t.Context(), c))
	})
}
