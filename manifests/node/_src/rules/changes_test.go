package rules

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "shop", Labels: map[string]string{"app": "p"}},
		Spec:       corev1.PodSpec{NodeName: "here"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "10.89.0.2", PodIP: "10.244.0.2", PodIPs: []corev1.PodIP{{IP: "10.244.0.2"}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }
func in(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func starting(p *corev1.Pod) {
	p.Status.Phase, p.Status.PodIP, p.Status.PodIPs = corev1.PodPending, "", nil
}
func hosted(p *corev1.Pod)    { p.Spec.HostNetwork = true }
func relabeled(p *corev1.Pod) { p.Labels = map[string]string{"app": "q"} }
func ready(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}
func leaving(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }

func TestPodsAskForRulesWhereTheyHaveAny(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after *corev1.Pod // nil: it is new, or gone
		open, policed bool        // whether it asks without a policy, and with one
	}{
		{"is new, without an address", nil, pod(starting), false, false},
		{"gets its address", pod(starting), pod(), true, true},
		{"gets its address elsewhere", pod(starting, on("there")), pod(on("there")), false, true},
		{"gets the node's address", pod(starting, hosted), pod(hosted), false, false},
		{"is known from before", nil, pod(), true, true},
		{"becomes ready", pod(), pod(ready), false, false},
		{"is being deleted", pod(), pod(leaving), false, false},
		{"is relabeled", pod(), pod(relabeled), true, true},
		{"is relabeled elsewhere", pod(on("there")), pod(on("there"), relabeled), false, true},
		{"starts to run with an address", pod(in(corev1.PodPending)), pod(), false, false},
		{"ends", pod(), pod(in(corev1.PodSucceeded)), true, true},
		{"fails elsewhere", pod(on("there")), pod(in(corev1.PodFailed), on("there")), false, true},
		{"is gone", pod(), nil, true, true},
		{"is gone elsewhere", pod(on("there")), nil, false, true},
		{"is gone after its end", pod(in(corev1.PodSucceeded)), nil, false, false},
	} {
		for _, policed := range []bool{false, true} {
			asked := 0
			c := Changes{Node: "here", Policies: policies(t, policed), Request: func() { asked++ }}
			tell(c.Pods(), tt.before, tt.after)
			want := tt.open
			if policed {
				want = tt.policed
			}
			if (asked == 1) != want || asked > 1 {
				t.Errorf("a pod %s, policies: %t: asked %d times, want %t", tt.name, policed, asked, want)
			}
		}
	}
}

func TestAPodWhoseEndWasMissedAsks(t *testing.T) {
	asked := 0
	c := Changes{Node: "here", Policies: policies(t, false), Request: func() { asked++ }}
	c.Pods().OnDelete(cache.DeletedFinalStateUnknown{Key: "shop/p", Obj: pod()})
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
}

func TestNamespacesAskWhereAPolicyMaySelectThem(t *testing.T) {
	shop := func(labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: labels}}
	}
	plain, labeled := shop(nil), shop(map[string]string{"team": "a"})
	annotated := labeled.DeepCopy()
	annotated.Annotations = map[string]string{"by": "hand"}
	for _, tt := range []struct {
		name    string
		tell    func(cache.ResourceEventHandler)
		policed bool
		want    int
	}{
		{"new", func(h cache.ResourceEventHandler) { h.OnAdd(labeled, false) }, true, 1},
		{"new, no policy", func(h cache.ResourceEventHandler) { h.OnAdd(labeled, false) }, false, 0},
		{"relabeled", func(h cache.ResourceEventHandler) { h.OnUpdate(plain, labeled) }, true, 1},
		{"relabeled, no policy", func(h cache.ResourceEventHandler) { h.OnUpdate(plain, labeled) }, false, 0},
		{"annotated", func(h cache.ResourceEventHandler) { h.OnUpdate(labeled, annotated) }, true, 0},
		{"gone", func(h cache.ResourceEventHandler) { h.OnDelete(labeled) }, true, 1},
	} {
		asked := 0
		c := Changes{Policies: policies(t, tt.policed), Request: func() { asked++ }}
		tt.tell(c.Namespaces())
		if asked != tt.want {
			t.Errorf("%s: asked %d times, want %d", tt.name, asked, tt.want)
		}
	}
}

func tell(h cache.ResourceEventHandler, before, after *corev1.Pod) {
	switch {
	case before == nil:
		h.OnAdd(after, false)
	case after == nil:
		h.OnDelete(before)
	default:
		h.OnUpdate(before, after)
	}
}

func policies(t *testing.T, any bool) cache.Store {
	t.Helper()
	store := cache.NewStore(cache.MetaNamespaceKeyFunc)
	if !any {
		return store
	}
	if err := store.Add(&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "deny", Namespace: "shop"}}); err != nil {
		t.Fatal(err)
	}
	return store
}
