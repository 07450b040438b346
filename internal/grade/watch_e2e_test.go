//go:build e2e

package grade_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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

// until waits for a task to stand as wanted.
func (s *sights) until(task string, verdicts ...report.Verdict) {
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
				return
			}
			break
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
	s.t.Fatalf("task %s is %s, want %v", task, s.now[task], verdicts)
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
