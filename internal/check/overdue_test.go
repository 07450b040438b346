package check

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// idle is a pod that has run for a while and is not ready.
func idle(name, ip string, ran time.Duration, probe *corev1.Probe, labels ...string) *corev1.Pod {
	p := pod(name, ip, labels...)
	since, yes := metav1.NewTime(time.Now().Add(-ran)), true
	p.Spec.Containers = []corev1.Container{{Name: "main", ReadinessProbe: probe}}
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: since},
		{Type: corev1.ContainersReady, Status: corev1.ConditionFalse, LastTransitionTime: since},
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "main", Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}},
	}}
	return p
}

// restarted is a pod whose container has a startup probe of ten seconds going on. It began its last run at that time.
func restarted(began, ran time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].StartupProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 10}
		start := time.Now().Add(began)
		s := &p.Status.ContainerStatuses[0]
		s.Started = new(bool)
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(start), FinishedAt: metav1.NewTime(start.Add(ran))}
	}
}

// A pod that runs and is not ready is waited for as long as its probe takes, and no longer.
func TestPodsThatAreOverdue(t *testing.T) {
	t.Parallel()
	const waits = "container main of pod web runs and is not ready"
	slow := &corev1.Probe{InitialDelaySeconds: 30, PeriodSeconds: 5, SuccessThreshold: 2}
	for _, tt := range []struct {
		name   string
		ran    time.Duration
		probe  *corev1.Probe
		change func(*corev1.Pod)
		want   string
	}{
		{name: "for long", ran: time.Minute, want: waits},
		{name: "a moment", ran: 5 * time.Second},
		{name: "with a probe that takes its time", ran: 40 * time.Second, probe: slow},
		{name: "longer than its probe takes", ran: 51 * time.Second, probe: slow, want: waits},
		{name: "ready a moment ago", ran: time.Minute, change: func(p *corev1.Pod) { p.Status.Conditions[1].LastTransitionTime = metav1.Now() }},
		{name: "its startup probe goes on", ran: time.Minute, change: func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Started = new(bool) }},
		{name: "its startup probe never passed", ran: time.Minute, change: restarted(-50*time.Second, 10*time.Second), want: "container main of pod web was killed after 10s: its startup probe had not passed"},
		{name: "it crashed before its startup probe gave up", ran: time.Minute, change: restarted(-50*time.Second, 5*time.Second)},
		{name: "it was ready in its last run, and starts again", ran: time.Minute, change: restarted(-time.Hour, time.Hour-time.Minute)},
		{name: "it starts again", ran: time.Minute, change: func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State = corev1.ContainerState{} }},
		{name: "its containers are ready, a gate is not", ran: time.Minute, change: func(p *corev1.Pod) { p.Status.Conditions[1].Status = corev1.ConditionTrue }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := idle("web", "10.0.0.2", tt.ran, tt.probe)
			if tt.change != nil {
				tt.change(p)
			}
			if got := stuck(p, nil); got != tt.want {
				t.Errorf("stuck says %q, want %q", got, tt.want)
			}
		})
	}
}

// What is behind a Service and is not ready decides whether its silence is final.
func TestServicesWhosePodsAreOnTheirWay(t *testing.T) {
	t.Parallel()
	const plain = `http: {from: {pods: app=till}, url: "http://bread/hostname"}`
	for _, tt := range []struct {
		name, text string
		ran        time.Duration
		want       verdict
	}{
		{"on its way", plain, 5 * time.Second, verdict{failure: "does not answer from pod till-1", settling: true}},
		{"on its way, and broken elsewhere", `http: {from: {pods: app=till}, url: "http://bread:81/hostname"}`, 5 * time.Second, verdict{failure: "Service bread has no port 81"}},
		{"overdue", plain, time.Minute, verdict{failure: "does not answer from pod till-1"}},
		{"by pods on their way", bakery + "}", 5 * time.Second, verdict{failure: "no pod with labels app=oven is ready", settling: true}},
		{"by pods that are overdue", bakery + "}", time.Minute, verdict{failure: "no pod with labels app=oven is ready (container main of pod oven-1 runs and is not ready)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, tt.text)
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Hour) // the fake clock begins at a round moment
				c, _, _ := clusterOf(append(places(), pod("till-1", "10.0.0.1", "app=till"), idle("oven-1", "10.0.0.2", tt.ran, nil, "app=oven"), fromOvens("10.96.0.9"), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})...)
				c.Prober = &prober{answer: fixed(ends(dial.Refused))}
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

// A pod that gets ready while the chain to it is walked is no broken link.
func TestAPodThatArrivesWhileItIsLookedAt(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, `http: {from: {pods: app=till}, url: "http://bread/hostname"}`)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		starting := idle("oven-1", "10.0.0.2", 5*time.Second, nil, "app=oven")
		failed := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "oven-1.1"}, Reason: "Unhealthy", Message: "Readiness probe failed: refused",
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "oven-1", UID: starting.UID, FieldPath: "spec.containers{main}"}, LastTimestamp: metav1.Now(),
		}
		c, kube, _ := clusterOf(append(places(), pod("till-1", "10.0.0.1", "app=till"), starting, failed, fromOvens("10.96.0.9"), slice(false, 80),
			&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})...)
		walked := false
		kube.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
			selector := a.(clienttesting.ListAction).GetListRestrictions().Labels.String()
			walked = walked || selector == "" && a.GetNamespace() == "shop"
			if !walked || selector != "app=oven" {
				return false, nil, nil
			}
			return true, &corev1.PodList{Items: []corev1.Pod{*pod("oven-1", "10.0.0.2", "app=oven")}}, nil
		})
		c.Quick, c.Prober = true, &prober{answer: fixed(ends(dial.Refused))}
		verdict{failure: "does not answer from pod till-1", settling: true}.check(t, check.Run(t.Context(), c))
		if !walked {
			t.Error("nobody walked the chain")
		}
	})
}

// A pod that got ready when patience was about to end may be one that the answer did not know yet.
func TestAPodThatGotReadyAMomentAgo(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, `http: {from: {pods: app=till}, url: "http://bread/hostname"}`)
	for after, want := range map[time.Duration]verdict{
		maxPatience - time.Second: {failure: "does not answer from pod till-1", settling: true},
		-time.Minute:              {failure: "does not answer from pod till-1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour)
			oven := pod("oven-1", "10.0.0.2", "app=oven")
			oven.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Now().Add(after))
			c, _, _ := clusterOf(append(places(), pod("till-1", "10.0.0.1", "app=till"), oven, fromOvens("10.96.0.9"), slice(true, 80))...)
			c.Prober = &prober{answer: fixed(ends(dial.Refused))}
			began := time.Now()
			want.check(t, check.Run(t.Context(), c))
			if took := time.Since(began); took > maxPatience+time.Second {
				t.Errorf("told after %s", took)
			}
		})
	}
}

// What changes while patience lasts is waited for, too.
func TestAChangeWhileItIsAsked(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, `http: {from: {pods: app=till}, url: "http://bread/hostname"}`)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		began := time.Now()
		later, endpoints := metav1.NewTime(began.Add(maxPatience-calm/2)), slice(true, 80)
		endpoints.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", Time: &later}}
		c, _, _ := clusterOf(append(places(), pod("till-1", "10.0.0.1", "app=till"), pod("oven-1", "10.0.0.2", "app=oven"), fromOvens("10.96.0.9"), endpoints)...)
		c.Prober = &prober{answer: fixed(ends(dial.Timeout))}
		verdict{failure: "does not answer from pod till-1"}.check(t, check.Run(t.Context(), c))
		if took := time.Since(began); took < maxPatience+calm/2 || took > maxPatience+calm {
			t.Errorf("told after %s", took)
		}
	})
}
