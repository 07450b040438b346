package check

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

const shopTable = `
reach:
  clients: {front: {pods: app=front}, guest: {pods: app=guest}}
  targets: {db: {pods: app=db, port: 5432}}
  expect: |
    from   db
    front  allow
    guest  deny`

// The pods of shopTable.
const frontIP, guestIP, dbIP = "10.0.0.1", "10.0.0.2", "10.0.0.3"

func shop() []runtime.Object {
	return []runtime.Object{pod("front-1", frontIP, "app=front"), pod("guest-1", guestIP, "app=guest"), pod("db-1", dbIP, "app=db")}
}

// by answers each pod's probes with a result.
func by(results map[string]dial.Result) func(probe.Job) probe.Outcome {
	return func(j probe.Job) probe.Outcome {
		return probe.Outcome{Result: results[j.PodIP], Detail: "from " + j.PodIP}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		results map[string]dial.Result
		want    verdict
		more    []string
	}{
		{"as expected, by refusing", map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Refused, dbIP: dial.OK}, verdict{}, nil},
		{"as expected, by silence", map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Timeout, dbIP: dial.OK}, verdict{}, nil},
		{"as expected, without a route", map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Unreachable, dbIP: dial.OK}, verdict{}, nil},
		{
			"open",
			map[string]dial.Result{frontIP: dial.OK, guestIP: dial.OK, dbIP: dial.OK},
			verdict{failure: "guest still reaches db"},
			[]string{"       db", "front  open", "guest  open, want closed", noPolicy("guest-1")},
		},
		{
			"closed",
			map[string]dial.Result{frontIP: dial.Timeout, guestIP: dial.Timeout, dbIP: dial.OK},
			verdict{failure: "front cannot reach db (timeout)"},
			[]string{"       db", "front  closed, want open", "guest  closed", noPolicy("front-1")},
		},
		{
			"the wrong way round",
			map[string]dial.Result{frontIP: dial.Refused, guestIP: dial.OK, dbIP: dial.OK},
			verdict{failure: "front cannot reach db (refused); guest still reaches db"},
			[]string{"       db", "front  closed, want open", "guest  open, want closed", noPolicy("front-1")},
		},
		{"nobody answers, not even itself", map[string]dial.Result{frontIP: dial.Refused, guestIP: dial.Refused, dbIP: dial.Refused}, verdict{unknown: "no positive control: pod db-1 does not answer even itself on port 5432 (refused"}, nil},
		{"denied without a positive control", map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Timeout, dbIP: dial.Error}, verdict{unknown: "no positive control"}, nil},
		{"trouble where a denial is wanted", map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Error, dbIP: dial.OK}, verdict{unknown: "probing from guest to db: from 10.0.0.2"}, nil},
		{"trouble where an answer is wanted", map[string]dial.Result{frontIP: dial.Error, guestIP: dial.Refused, dbIP: dial.OK}, verdict{unknown: "probing from front to db: from 10.0.0.1"}, nil},
		{"a result that nobody knows", map[string]dial.Result{frontIP: dial.OK, guestIP: "odd", dbIP: dial.OK}, verdict{unknown: "probing from guest to db"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, shopTable)
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(shop()...)
				c.Prober = &prober{answer: by(tt.results)}
				err := check.Run(t.Context(), c)
				tt.want.check(t, err)
				if f, ok := errors.AsType[*Failure](err); ok {
					if diff := cmp.Diff(tt.more, f.More); diff != "" || f.Look != "kubectl -n shop describe networkpolicies" {
						t.Error(f.Look, diff)
					}
				}
			})
		})
	}
}

// Every running pod of a client tries every running pod of a target: one that a
// policy forgot is found.
func TestReachTriesEveryPod(t *testing.T) {
	t.Parallel()
	const strayIP, leavingIP, pendingIP = "10.0.0.4", "10.0.0.5", ""
	check := mustCompile(t, shopTable)
	synctest.Test(t, func(t *testing.T) {
		stray, leaving, pending := pod("guest-2", strayIP, "app=guest"), pod("guest-3", leavingIP, "app=guest"), pod("guest-4", pendingIP, "app=guest")
		now := leaving.CreationTimestamp
		leaving.DeletionTimestamp, leaving.Finalizers = &now, []string{"kindlab.dev/test"}
		pending.Status.Phase = corev1.PodPending
		c, _, _ := clusterOf(append(shop(), stray, leaving, pending)...)
		p := &prober{answer: by(map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Refused, strayIP: dial.OK, dbIP: dial.OK})}
		c.Prober = p
		verdict{failure: "guest still reaches db"}.check(t, check.Run(t.Context(), c))
		for _, j := range p.asked {
			if j.PodIP == leavingIP || j.PodIP == pendingIP {
				t.Errorf("asked %+v, a pod that does not run", j)
			}
			if j.Host != dbIP || j.Port != 5432 || j.Proto != dial.TCP || j.Node != "n1" || j.Timeout <= 0 {
				t.Errorf("asked %+v", j)
			}
		}
	})
}

// A network follows the API after a while; a refusal is believed after two.
func TestReachWaitsForTheNetwork(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, shopTable)
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := clusterOf(append(shop(), onlyFront(time.Now()))...)
		start, asked := time.Now(), 0
		c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
			if j.PodIP == guestIP {
				if asked++; time.Since(start) >= time.Second {
					return probe.Outcome{Result: dial.Refused}
				}
			}
			return probe.Outcome{Result: dial.OK}
		}}
		verdict{}.check(t, check.Run(t.Context(), c))
		if want := int(time.Second/probe.Interval) + 2; asked != want {
			t.Errorf("asked the guest %d times, want %d", asked, want)
		}
	})
}

func TestReachLooksNamesUp(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, `
reach:
  clients: {front: {pods: app=front}}
  targets: {names: {lookup: db.shop.svc.cluster.local}}
  expect: |
    from   names
    front  allow`)
	dns := pod("coredns-1", "10.0.1.1", "k8s-app=kube-dns")
	dns.Namespace = "kube-system"
	for result, want := range map[dial.Result]verdict{
		dial.OK:         {},
		dial.DNSTimeout: {failure: "front cannot reach names (dns-timeout)"},
		dial.NXDomain:   {failure: "front cannot reach names (dns-nxdomain)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := clusterOf(append(shop(), dns)...)
			p := &prober{answer: func(j probe.Job) probe.Outcome {
				if j.Proto != dial.DNS || j.Host != "db.shop.svc.cluster.local" {
					t.Errorf("asked %+v", j)
				}
				if j.Server == dns.Status.PodIP { // the control
					return probe.Outcome{Result: dial.OK}
				}
				return probe.Outcome{Result: result}
			}}
			c.Prober = p
			want.check(t, check.Run(t.Context(), c))
		})
	}
}

func TestReachWithoutPods(t *testing.T) {
	t.Parallel()
	coming := pod("db-1", "", "app=db")
	coming.Status = corev1.PodStatus{Phase: corev1.PodPending}
	tests := []struct {
		name    string
		objects []runtime.Object
		want    verdict
	}{
		{"no client", shop()[1:], verdict{failure: "no pod with labels app=front is running in namespace shop"}},
		{"no target", shop()[:2], verdict{failure: "no pod with labels app=db is running in namespace shop"}},
		{"a target on its way", append(shop()[:2], coming), verdict{failure: "no pod with labels app=db is running", settling: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf(tt.objects...)
			c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
				t.Errorf("probed %+v", j)
				return probe.Outcome{}
			}}
			tt.want.check(t, mustCompile(t, shopTable).Run(t.Context(), c))
		})
	}
	c, kube, _ := clusterOf(shop()...)
	kube.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("boom") })
	verdict{unknown: "listing pods: boom"}.check(t, mustCompile(t, shopTable).Run(t.Context(), c))
}

func TestProblemsOfTargets(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"{pods: app=db}":                           "expected a port from 1 to 65535, found 0",
		"{pods: app=db, port: 70000}":              "expected a port from 1 to 65535, found 70000",
		"{pods: app=db, port: 1, protocol: sctp}":  `expected tcp or udp, found "sctp"`,
		"{pods: 'app in', port: 1}":                "expected a label selector such as app=web",
		"{lookup: db, port: 53}":                   "expected either lookup, or pods and port",
		"{pods: app=db, port: 1, namespaces: all}": `unknown key "namespaces"`,
	} {
		_, problems := compile(t, "reach:\n  clients: {front: {pods: app=front}}\n  targets: {db: "+target+"}\n  expect: |\n    from db\n    front deny")
		if len(problems) != 1 || !strings.HasPrefix(problems[0], "3:") || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q on line 3", target, problems, want)
		}
	}
}

// noPolicy is what explains a cell where no policy has a say.
func noPolicy(from string) string {
	return "no NetworkPolicy limits what comes into Pod db-1; no NetworkPolicy limits what comes out of Pod " + from
}
