package check

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// policyFor lets pods reach app=db from those with a label app, and from nobody else.
func policyFor(app string, changed time.Time) *networkingv1.NetworkPolicy {
	at := metav1.NewTime(changed)
	return &networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "db", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &at}},
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{
				PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			}}}},
		},
	}
}

func onlyFront(changed time.Time) *networkingv1.NetworkPolicy { return policyFor("front", changed) }

// The table is only believed where packets and policies agree.
func TestReachAsksThePoliciesWhenToBelieve(t *testing.T) {
	t.Parallel()
	right := map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Refused, dbIP: dial.OK}
	open := map[string]dial.Result{frontIP: dial.OK, guestIP: dial.OK, dbIP: dial.OK}
	shut := map[string]dial.Result{frontIP: dial.Timeout, guestIP: dial.Timeout, dbIP: dial.OK}
	long := -time.Hour
	for _, tt := range []struct {
		name    string
		app     string // whom the policy lets in; "" is no policy
		changed time.Duration
		packets map[string]dial.Result
		quick   bool
		want    verdict
		atOnce  bool
	}{
		{name: "both say yes", app: "front", changed: long, packets: right, want: verdict{}},
		{
			name: "a right policy that the network has not heard of", app: "front", packets: open,
			want: verdict{failure: "guest still reaches db, although the policies deny it: the network has not caught up", settling: true},
		},
		{
			name: "the same at a glance", app: "front", packets: open, quick: true, atOnce: true,
			want: verdict{failure: "guest still reaches db, although the policies deny it", settling: true},
		},
		{
			name: "a right policy that nobody enforces", app: "front", changed: long, packets: open,
			want: verdict{unknown: "the network does not do what the API says"},
		},
		{
			name: "a policy that closes too much, and has not done so yet", app: "nobody", packets: right,
			want: verdict{failure: "front still reaches db, although the policies deny it: the network has not caught up", settling: true},
		},
		{name: "a policy that closes too much", app: "nobody", packets: shut, atOnce: true, want: verdict{failure: "front cannot reach db (timeout)"}},
		{
			name: "one door is surely closed too much, and another is left open by the network", app: "nobody", changed: long,
			packets: map[string]dial.Result{frontIP: dial.Timeout, guestIP: dial.OK, dbIP: dial.OK},
			want:    verdict{failure: "front cannot reach db (timeout)"},
		},
		{name: "no policy", packets: open, atOnce: true, want: verdict{failure: "guest still reaches db"}},
		{
			name: "a policy was deleted a moment ago, at a glance", packets: right, quick: true, atOnce: true,
			want: verdict{failure: "guest does not reach db (refused), and no policy denies it", settling: true},
		},
		{name: "closed by something else", changed: long, packets: right, want: verdict{}},
		{name: "nothing answers, and no policy says so", changed: long, packets: shut, want: verdict{failure: "front cannot reach db (timeout)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, shopTable)
			synctest.Test(t, func(t *testing.T) {
				objects := shop()
				if tt.app != "" {
					objects = append(objects, runtime.Object(policyFor(tt.app, time.Now().Add(tt.changed))))
				}
				c, _, _ := clusterOf(objects...)
				c.Prober, c.Quick = &prober{answer: by(tt.packets)}, tt.quick
				start := time.Now()
				tt.want.check(t, check.Run(t.Context(), c))
				if took := time.Since(start); tt.atOnce && took > 0 {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// A policy that closes one door too many takes a moment: until then the door is open, and the doors that had to be
// closed are not. A table that is right in parts, at different moments, never was.
func TestReachSeesOneMoment(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, shopTable)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c, _, _ := clusterOf(append(shop(), policyFor("nobody", start))...)
		c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
			if j.PodIP != dbIP && time.Since(start) > 2*time.Second {
				return probe.Outcome{Result: dial.Refused}
			}
			return probe.Outcome{Result: dial.OK}
		}}
		err := check.Run(t.Context(), c)
		verdict{failure: "front cannot reach db (refused)"}.check(t, err)
		if f, _ := errors.AsType[*Failure](err); f != nil && f.Settling {
			t.Error("it is settling still")
		}
	})
}

// A policy was deleted, of which nothing is left to see, and the network takes its time. Until then everything is as it was
// meant to be, and is not any more.
func TestReachSeesThatAPolicyIsGone(t *testing.T) {
	t.Parallel()
	const late = 7 * time.Second
	check := mustCompile(t, shopTable)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c, _, _ := clusterOf(shop()...)
		c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
			if j.PodIP == guestIP && time.Since(start) < late {
				return probe.Outcome{Result: dial.Refused}
			}
			return probe.Outcome{Result: dial.OK}
		}}
		verdict{failure: "guest still reaches db"}.check(t, check.Run(t.Context(), c))
		if took := time.Since(start); took < late || took > late+probe.Interval {
			t.Errorf("told after %s", took)
		}
	})
}

// What no policy closes and stays closed is right after a while, and does not begin to settle again with each look.
func TestADenialThatLastsIsBelieved(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, shopTable)
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := clusterOf(shop()...)
		c.Quick = true
		c.Prober = &prober{answer: by(map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Refused, dbIP: dial.OK})}
		settling := verdict{failure: "guest does not reach db (refused), and no policy denies it", settling: true}
		settling.check(t, check.Run(t.Context(), c))
		time.Sleep(lag)
		settling.check(t, check.Run(t.Context(), c))
		time.Sleep(time.Second)
		for range 3 {
			verdict{}.check(t, check.Run(t.Context(), c))
		}
	})
}
