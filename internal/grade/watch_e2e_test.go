//go:build e2e

package grade_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	netv1 "k8s.io/api/networking/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

const (
	rounds    = 50
	namespace = "watch-bench"
)

// The lab to watch: a menu for an object check, a door for a traffic check, and a shop that rolls.
const benchLab = `
apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: shop, topic: watch}
spec:
  title: A shop to watch
  level: beginner
  minutes: 5
  namespaces: [watch-bench]
  setup: {apply: setup/, ready: [deployment/web, deployment/door, deployment/till]}
  tasks:
  - name: menu
    title: Soup is on the menu
    checks:
    - object: {kind: ConfigMap, name: menu, expect: ["object.data.dish == 'soup'"]}
  - name: closed
    title: The till does not get through the door
    checks:
    - reach:
        clients: {till: {pods: app=till}}
        targets: {door: {pods: app=door, port: 8080}}
        expect: |
          from  door
          till  deny
  - name: web
    title: The shop is there
    checks:
    - rollout: {of: deployment/web, replicas: 2}
  - name: sells
    title: The shop sells
    checks:
    - http: {from: {pods: app=till}, url: "http://web/hostname", by: {pods: app=web}}
  solutions:
  - {title: One, apply: mistakes/one.yaml}
  - {title: Two, apply: mistakes/one.yaml}
  mistakes:
  - {title: One, apply: mistakes/one.yaml, fails: [menu], says: a}
  - {title: Two, apply: mistakes/one.yaml, fails: [web], says: a}
  - {title: Three, apply: mistakes/one.yaml, fails: [sells], says: a}
`

const benchSetup = `
apiVersion: v1
kind: ConfigMap
metadata: {name: menu}
data: {dish: stew}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`

const benchServer = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: NAME}}
  strategy: {rollingUpdate: {maxUnavailable: 0}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: NAME
        image: registry.k8s.io/e2e-test-images/agnhost:2.66.1
        args: [netexec, --http-port=8080]
        lifecycle: {preStop: {sleep: {seconds: 3}}}
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
`

func watchedLab(t *testing.T) *lab.Lab {
	t.Helper()
	setup := benchSetup
	for name, replicas := range map[string]string{"web": "2", "door": "1", "till": "1"} {
		setup += strings.NewReplacer("NAME", name, "REPLICAS", replicas).Replace(benchServer)
	}
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		"lab.yaml": benchLab, "setup/all.yaml": setup, "mistakes/one.yaml": benchSetup, "README.md": "A shop.", "debrief.md": "A shop.",
		"hints/menu.md": "a\n---\nb\n---\nc", "hints/closed.md": "a\n---\nb\n---\nc", "hints/web.md": "a\n---\nb\n---\nc", "hints/sells.md": "a\n---\nb\n---\nc",
	} {
		files["watch/shop/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	l, err := lab.Load(files, "watch/shop", check.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sights is what a watch tells, by task, with the time at which it did.
type sights struct {
	t   *testing.T
	mu  sync.Mutex
	all []sight
	now map[string]report.Verdict
}

type sight struct {
	task    string
	verdict report.Verdict
	at      time.Time
	text    string
}

func (s *sights) see(c report.Change) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range c.Events() {
		if e.Task == nil {
			continue
		}
		text := fmt.Sprintf("%s %s", e.Task.ID, e.Task.Verdict)
		for _, f := range e.Task.Findings {
			text += ": " + f.Is
		}
		s.all = append(s.all, sight{e.Task.ID, e.Task.Verdict, time.Now(), text})
		s.now[e.Task.ID] = e.Task.Verdict
	}
	return true
}

// until waits for a task to stand as wanted, and returns since when it does.
func (s *sights) until(task string, verdicts ...report.Verdict) time.Time {
	s.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for time.Now().Before(deadline) {
		s.mu.Lock()
		for _, last := range slices.Backward(s.all) {
			if last.task != task {
				continue
			}
			if slices.Contains(verdicts, last.verdict) {
				s.mu.Unlock()
				return last.at
			}
			break
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
	s.t.Fatalf("task %s is %s, want %v", task, s.now[task], verdicts)
	return time.Time{}
}

func (s *sights) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

// watched starts the lab and watches it until the test ends.
func watched(t *testing.T, tasks ...string) (*check.Cluster, *sights) {
	t.Helper()
	open, _ := sitetest.Open(t)
	c, l := open.Cluster, watchedLab(t)
	if err := stage.Start(t.Context(), c, l, open.Options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	if err := stage.Reset(t.Context(), c, l, open.Options(nil, nil)); err != nil {
		t.Fatal(err)
	}
	g := grade.Grader{Kinds: check.Builtin(), Cluster: c}
	plan, err := g.Compile(l)
	if err != nil {
		t.Fatal(err)
	}
	s := &sights{t: t, now: map[string]report.Verdict{}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Watch(ctx, plan, s.see, tasks...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := stage.Stop(context.Background(), c, l, open.Options(nil, nil)); err != nil {
			t.Error(err)
		}
	})
	return c, s
}

func dish(t *testing.T, c *check.Cluster, what string) (accepted time.Time) {
	t.Helper()
	patch := fmt.Sprintf(`{"data":{"dish":%q}}`, what)
	_, err := c.Owner.Kube.CoreV1().ConfigMaps(namespace).Patch(t.Context(), "menu", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

func TestWatchBenchObject(t *testing.T) {
	c, s := watched(t, "menu")
	var took []time.Duration
	for range rounds {
		s.until("menu", report.Failed)
		accepted := dish(t, c, "soup")
		took = append(took, s.until("menu", report.Passed).Sub(accepted))
		dish(t, c, "stew")
	}
	p50, p95 := percentiles(took)
	t.Logf("bench watch-object p50=%d ms p95=%d ms (%d rounds)", p50.Milliseconds(), p95.Milliseconds(), rounds)
	if p50 > 150*time.Millisecond || p95 > 400*time.Millisecond {
		t.Error("slower than p50 150 ms, p95 400 ms")
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("bench watch-memory rss=%d MB heap=%d MB", resident(t), m.HeapAlloc>>20)
	if rss := resident(t); rss > 120 {
		t.Errorf("%d MB resident, want less than 120", rss)
	}
}

func TestWatchBenchTraffic(t *testing.T) {
	c, s := watched(t, "closed")
	policies := c.Owner.Kube.NetworkingV1().NetworkPolicies(namespace)
	deny := &netv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "deny"},
		Spec: netv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "door"}},
			PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress},
		},
	}
	var took []time.Duration
	for range rounds {
		s.until("closed", report.Failed)
		if _, err := policies.Create(t.Context(), deny, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		accepted := time.Now()
		took = append(took, s.until("closed", report.Passed).Sub(accepted))
		if err := policies.Delete(t.Context(), "deny", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p50, p95 := percentiles(took)
	t.Logf("bench watch-traffic p50=%d ms p95=%d ms (%d rounds)", p50.Milliseconds(), p95.Milliseconds(), rounds)
	if p95 > 1500*time.Millisecond {
		t.Errorf("slower than p95 1500 ms: %v", took)
	}
}

// A restart of what has passed is no failure at any time.
func TestNoFlashOfRed(t *testing.T) {
	c, s := watched(t, "web", "sells")
	s.until("web", report.Passed)
	s.until("sells", report.Passed)
	s.forget()
	for i := range 20 {
		patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}}}}}`, i)
		_, err := c.Owner.Kube.AppsV1().Deployments(namespace).Patch(t.Context(), "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.until("web", report.Settling, report.Failed)
		s.until("web", report.Passed)
		s.until("sells", report.Passed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[report.Verdict]int{}
	for _, x := range s.all {
		count[x.verdict]++
		if x.verdict == report.Failed || x.verdict == report.Unknown {
			t.Error(x.text)
		}
	}
	t.Logf("20 rollouts: %v", count)
}

func percentiles(all []time.Duration) (p50, p95 time.Duration) {
	slices.Sort(all)
	return all[len(all)/2], all[len(all)*95/100]
}

// resident is the memory of this process, in MB.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb >> 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
