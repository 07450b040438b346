package check

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func body(text string) func(probe.Job) probe.Outcome {
	return fixed(probe.Outcome{Result: dial.OK, Status: 200, Body: text})
}

func TestHTTPBodies(t *testing.T) {
	t.Parallel()
	const asked = `http: {from: {pods: app=till}, url: "http://bread/", body: `
	for _, tt := range []struct {
		name, text string
		answer     func(probe.Job) probe.Outcome
		want       verdict
	}{
		{"contains", asked + "{contains: rye}}", body("rye and wheat"), verdict{}},
		{"does not contain", asked + "{contains: rye}}", body("wheat\x1b[1m"), verdict{failure: `http://bread/ answers from pod till-1 with "wheat[1m", want a body that contains "rye"`}},
		{"equals", asked + "{equals: rye}}", body(" rye\n"), verdict{}},
		{"matches", asked + "{matches: '^r.e$'}}", body("rye"), verdict{}},
		{"does not match", asked + "{matches: '^r.e$'}}", body("barley"), verdict{failure: "want a body that matches ^r.e$"}},
		{"is not HTTP", asked + "{equals: rye}}", fixed(probe.Outcome{Result: dial.NotHTTP, Detail: "SSH-2"}), verdict{failure: "what answers at http://bread/ from pod till-1 does not speak HTTP: there is no Service bread"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, tt.text)
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(append(places(), bakers()...)...)
				c.Prober = &prober{answer: tt.answer}
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

// A name that nobody answers is the learner's work only while the cluster's DNS answers itself.
func TestHTTPWhereNamesAreNotAnswered(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, bakery+"}")
	for server, want := range map[dial.Result]verdict{
		dial.OK:      {failure: "http://bread/hostname does not answer from pod till-1 (dns-timeout)"},
		dial.Refused: {unknown: "coredns-1 on node n1 does not answer even itself"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := clusterOf(append(bakers(), nameServer())...)
			c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
				if j.Server != "" {
					return ends(server)
				}
				return ends(dial.DNSTimeout)
			}}
			want.check(t, check.Run(t.Context(), c))
		})
	}
}

func TestHTTPDenied(t *testing.T) {
	t.Parallel()
	const inside = `http: {from: {pods: app=till}, url: "http://bread/", deny: true, by: {pods: app=oven}}`
	const outside = `http: {outside: true, url: "http://{node}:30080/", deny: true, by: {pods: app=oven}}`
	unready := pod("oven-1", "10.0.0.2", "app=oven")
	unready.Status.Conditions[0].Status = corev1.ConditionFalse
	// way answers at the kubelet's port, and later otherwise.
	way := func(first, later, web dial.Result) func(probe.Job) probe.Outcome {
		var n atomic.Int32
		return func(j probe.Job) probe.Outcome {
			switch {
			case j.Port != kubeletPort:
				return ends(web)
			case n.Add(1) <= 2:
				return ends(first)
			}
			return ends(later)
		}
	}
	for _, tt := range []struct {
		name, text string
		objects    []runtime.Object
		answer     func(probe.Job) probe.Outcome
		want       verdict
	}{
		{"refused", inside, bakers(), fixed(ends(dial.Refused)), verdict{}},
		{"silence", inside, bakers(), fixed(ends(dial.Timeout)), verdict{}},
		{"no such name", inside, bakers(), fixed(ends(dial.NXDomain)), verdict{}},
		{"answered", inside, bakers(), body("bread"), verdict{failure: "http://bread/ still answers from pod till-1, want no answer"}},
		{"answered in another language", inside, bakers(), fixed(ends(dial.NotHTTP)), verdict{failure: "still answers"}},
		{"nobody who would answer", inside, []runtime.Object{bakers()[0], unready}, fixed(ends(dial.Refused)), verdict{failure: "no pod with labels app=oven is ready", settling: true}},
		{"a name that was not looked up", inside, bakers(), fixed(ends(dial.DNSTimeout)), verdict{unknown: "the name was not looked up (dns-timeout"}},
		{"trouble", inside, bakers(), fixed(ends(dial.Error)), verdict{unknown: "asking http://bread/ from pod till-1: so it was"}},
		{"outside", outside, bakers(), way(dial.OK, dial.OK, dial.Refused), verdict{}},
		{"outside, and open", outside, bakers(), way(dial.OK, dial.OK, dial.OK), verdict{failure: "still answers through node n1"}},
		{"outside, and the way to the nodes is lost", outside, bakers(), way(dial.OK, dial.Timeout, dial.Timeout), verdict{unknown: "neither this host nor node n2 reaches node n1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, tt.text)
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(slices.Concat(tt.objects, twoNodes())...)
				c.Prober = &prober{answer: tt.answer}
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

func TestHTTPFromNodes(t *testing.T) {
	t.Parallel()
	bread := service("bread", "10.96.0.9", 80)
	for _, tt := range []struct {
		text  string
		asked map[string]bool // node and host
		want  verdict
	}{
		{`{from: {node: any}, url: "http://bread/"}`, map[string]bool{"n1 10.96.0.9": true}, verdict{}},
		{`{from: {node: all}, url: "http://bread/"}`, map[string]bool{"n1 10.96.0.9": true, "n2 10.96.0.9": true}, verdict{}},
		{`{from: {node: n2}, url: "http://10.1.1.1/"}`, map[string]bool{"n2 10.1.1.1": true}, verdict{}},
		{`{from: {node: n1}, url: "http://{node}:30080/"}`, map[string]bool{"n1 172.18.0.2": true, "n1 172.18.0.3": true}, verdict{}},
		{`{from: {node: n3}, url: "http://bread/"}`, nil, verdict{unknown: "the cluster has no node n3"}},
		{`{from: {node: any}, url: "http://cake/"}`, nil, verdict{failure: "there is no Service cake with a cluster IP"}},
	} {
		c, _, _ := clusterOf(append(twoNodes(), bread)...)
		var mu sync.Mutex
		seen := map[string]bool{}
		c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
			mu.Lock()
			defer mu.Unlock()
			seen[j.Node+" "+j.Host] = j.PodIP == ""
			return probe.Outcome{Result: dial.OK, Status: 200}
		}}
		tt.want.check(t, mustCompile(t, "http: "+tt.text).Run(t.Context(), c))
		for place := range tt.asked {
			if !seen[place] || len(seen) != len(tt.asked) {
				t.Errorf("%s: asked %v, want %v", tt.text, seen, tt.asked)
			}
		}
	}
}

func TestSharesTakeEnoughRequests(t *testing.T) {
	t.Parallel()
	for band, want := range map[[2]int]int{{10, 30}: 256, {40, 60}: 400, {0, 100}: 16, {0, 10}: 304} {
		s := share{Between: band[:]}
		if got := s.requests(); got != want {
			t.Errorf("%v takes %d requests, want %d", band, got, want)
		}
	}
}

// Whatever the dice say, a share well within the band passes and one well outside fails.
func TestShares(t *testing.T) {
	t.Parallel()
	const text = `http: {from: {pods: app=till}, url: "http://bread/", share: {of: {pods: app=oven}, between: [10, 30]}}`
	for _, tt := range []struct {
		share float64
		want  verdict
	}{
		{0.12, verdict{}},
		{0.2, verdict{}},
		{0.27, verdict{}},
		{0, verdict{failure: "0 of 256 answers at http://bread/ (0 %) come from pods with labels app=oven, want 10 to 30 %"}},
		{0.06, verdict{failure: "want 10 to 30 %"}},
		{0.36, verdict{failure: "want 10 to 30 %"}},
		{1, verdict{failure: "256 of 256 answers"}},
	} {
		for seed := range uint64(5) {
			check := mustCompile(t, text)
			synctest.Test(t, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(seed, 1))
				c, _, _ := clusterOf(bakers()...)
				p := &prober{answer: func(probe.Job) probe.Outcome {
					o := probe.Outcome{Result: dial.OK, Status: 200, Body: "mill-7"}
					if dice.Float64() < tt.share {
						o.Body = "oven-1"
					}
					return o
				}}
				c.Prober, c.Quick = p, true
				err := check.Run(t.Context(), c)
				if f, no := errors.AsType[*Failure](err); no {
					f.Settling = false
				}
				tt.want.check(t, err)
				if len(p.asked) > mostRequests {
					t.Errorf("asked %d times", len(p.asked))
				}
			})
		}
	}
}

func TestProblemsOfHTTP(t *testing.T) {
	t.Parallel()
	const from = "{from: {pods: a}, url: 'http://web/', "
	for params, want := range map[string]string{
		"{from: {pods: a, node: any}, url: 'http://web/'}":                                   "expected either pods or node",
		"{from: {}, url: 'http://web/'}":                                                     "expected either pods or node",
		from + "deny: true}":                                                                 "expected by: without pods that would answer",
		from + "deny: true, by: {pods: b}, status: 404}":                                     "expected no status, body, every, share or during",
		from + "body: {}}":                                                                   "expected one of contains, equals and matches",
		from + "share: {of: {pods: b}, between: [30, 10]}}":                                  "expected two percentages",
		from + "share: {of: {pods: b}, between: [10]}}":                                      "expected two percentages",
		from + "share: {of: {pods: b}, between: [50, 52]}}":                                  "expected a wider band: it would take 39984 requests",
		from + "share: {of: {pods: b}, between: [10, 30]}, during: {restart: deployment/x}}": "expected either share or during",
		from + "during: {}}":                                                                 "expected either restart or delete",
		from + "during: {restart: pod/x}}":                                                   `expected a deployment, statefulset or daemonset, found "pod/x"`,
		from + "during: {delete: deployment/x}}":                                             `expected a pod such as pod/web-0, found "deployment/x"`,
	} {
		if _, problems := compile(t, "http: "+params); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
}

// A restart that takes two seconds. What the prober answers meanwhile is the test's.
func TestHTTPDuringARestart(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, `http: {from: {pods: app=till}, url: "http://bread/hostname", by: {pods: app=oven}, during: {restart: deployment/oven}}`)
	if !check.Changes() {
		t.Error("a restart changes the cluster")
	}
	gap := func(o probe.Outcome) func(since time.Duration) probe.Outcome {
		return func(since time.Duration) probe.Outcome {
			if since > time.Second && since < 1100*time.Millisecond {
				return o
			}
			return probe.Outcome{Result: dial.OK, Status: 200, Body: "oven-1"}
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(since time.Duration) probe.Outcome
		moves  bool // whether the rollout ends
		want   verdict
	}{
		{"some are refused, and the restart does not end", gap(ends(dial.Refused)), false, verdict{failure: "failed while deployment/oven was restarted; the first after 1.0 s"}},
		{"nothing is lost", gap(probe.Outcome{Result: dial.OK, Status: 200, Body: "oven-2"}), true, verdict{}},
		{"some are refused", gap(ends(dial.Refused)), true, verdict{failure: "requests to http://bread/hostname failed while deployment/oven was restarted; the first after 1.0 s, from pod till-1: refused, want an answer to each"}},
		{"some get another status", gap(probe.Outcome{Result: dial.OK, Status: 503, Body: "oven-1"}), true, verdict{failure: "from pod till-1: status 503"}},
		{"another pod answers some", gap(probe.Outcome{Result: dial.OK, Status: 200, Body: "mill-7"}), true, verdict{failure: `answered with "mill-7"`}},
		{"trouble of the prober", gap(ends(dial.Error)), true, verdict{unknown: "asking http://bread/hostname from pod till-1: so it was"}},
		{"the restart does not end", gap(probe.Outcome{Result: dial.OK, Status: 200, Body: "oven-1"}), false, verdict{failure: "deployment/oven had not arrived 45s after deployment/oven was restarted"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one := int32(1)
				d := &appsv1.Deployment{
					TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "oven", Generation: 1},
					Spec:       appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "oven"}}},
					Status:     appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1},
				}
				c, kube, dyn := clusterOf(append(bakers(), d)...)
				start := time.Now()
				var restarted atomic.Int64
				dyn.PrependReactor("patch", "deployments", func(a clienttesting.Action) (bool, runtime.Object, error) {
					if patch := string(a.(clienttesting.PatchAction).GetPatch()); !strings.Contains(patch, `"kubectl.kubernetes.io/restartedAt":"`) {
						t.Errorf("patched with %s", patch)
					}
					restarted.Store(int64(time.Since(start)) + 1)
					return true, &unstructured.Unstructured{}, nil
				})
				kube.PrependReactor("get", "deployments", func(clienttesting.Action) (bool, runtime.Object, error) {
					now := d.DeepCopy()
					if at := restarted.Load(); at > 0 && (!tt.moves || time.Since(start)-time.Duration(at) < 2*time.Second) {
						now.Generation = 2
					}
					return true, now, nil
				})
				p := &prober{answer: func(probe.Job) probe.Outcome {
					if at := restarted.Load(); at > 0 {
						return tt.answer(time.Since(start) - time.Duration(at))
					}
					return probe.Outcome{Result: dial.OK, Status: 200, Body: "oven-1"}
				}}
				c.Prober = p
				tt.want.check(t, check.Run(t.Context(), c))
				if n := len(p.asked); n < 140 { // for three seconds at least
					t.Errorf("asked %d times, want about 50 a second", n)
				}
			})
		})
	}
}

// A cluster whose network is not whole proves nothing, neither this way nor that.
func TestAnUnsoundNetworkIsNoVerdict(t *testing.T) {
	t.Parallel()
	agents := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kindnet"},
		Status:     appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, NumberReady: 2},
	}
	down := machine("n1")
	down.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}
	elsewhere := down.DeepCopy()
	elsewhere.Name = "n2"
	open := map[string]dial.Result{frontIP: dial.OK, guestIP: dial.OK, dbIP: dial.OK}
	right := map[string]dial.Result{frontIP: dial.OK, guestIP: dial.Refused, dbIP: dial.OK}
	for _, tt := range []struct {
		name    string
		object  runtime.Object
		results map[string]dial.Result
		want    verdict
	}{
		{"an agent is down, and a policy seems not to work", agents, open, verdict{unknown: "daemonset/kindnet in kube-system has 2 of 3 pods ready"}},
		{"an agent is down, and a policy seems to work", agents, right, verdict{unknown: "daemonset/kindnet in kube-system has 2 of 3 pods ready"}},
		{"a node is down", down, open, verdict{unknown: "node n1 is not ready"}},
		{"a node is down where nobody asks", elsewhere, open, verdict{failure: "guest still reaches db"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, shopTable)
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := clusterOf(append(shop(), tt.object)...)
				c.Prober = &prober{answer: by(tt.results)}
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := clusterOf(append(bakers(), agents)...)
		c.Prober = &prober{answer: fixed(ends(dial.Refused))}
		verdict{unknown: "daemonset/kindnet"}.check(t, mustCompile(t, bakery+"}").Run(t.Context(), c))
	})
}
