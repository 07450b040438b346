package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
)

// head is a lab up to its only check, which begins on the line below.
const head = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: One
  level: beginner
  minutes: 5
  namespaces: [shop, bank]
  setup: {apply: setup}
  solutions: []
  mistakes: []
  tasks:
  - name: first
    title: First
    checks:
`

// compile compiles a check as a lab writes it. Lines of problems count from the
// check's first, and its text is indented by six.
func compile(t *testing.T, text string) (Check, []string) {
	t.Helper()
	return compileAbout(t, nil, text)
}

// compileAbout compiles a check of a lab that touches objects outside its namespaces.
func compileAbout(t *testing.T, touches []lab.Ref, text string) (Check, []string) {
	t.Helper()
	yaml := head + "    - " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
	labs, err := lab.Catalogue(fstest.MapFS{"basics/one/lab.yaml": {Data: []byte(yaml)}})
	if err != nil {
		t.Fatalf("reading the lab around the check: %v", err)
	}
	kinds := Builtin()
	labs[0].Touches = touches
	s := ScopeOf(labs[0])
	s.Task = labs[0].Tasks[0].ID
	c, problems := kinds.Compile(s, labs[0].Tasks[0].Checks[0])
	if again := kinds.Validate(labs[0], labs[0].Tasks[0].Checks[0]); len(again) != len(problems) {
		t.Errorf("validating finds %v, compiling %v", again, problems)
	}
	if problems == nil {
		return c, nil
	}
	lines := make([]string, 0, len(problems))
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%d:%d: %s", p.Line-strings.Count(head, "\n"), p.Column, p.Text))
	}
	return c, lines
}

func mustCompile(t *testing.T, text string) Check {
	t.Helper()
	c, problems := compile(t, text)
	if problems != nil {
		t.Fatalf("compiling:\n%s", strings.Join(problems, "\n"))
	}
	return c
}

// resettable lets a fixed mapper stand for one that discovers.
type resettable struct{ meta.RESTMapper }

func (resettable) Reset() {}

// clusterOf is a cluster with these objects, in both clients.
func clusterOf(objects ...runtime.Object) (*Cluster, *kubefake.Clientset, *dynamicfake.FakeDynamicClient) {
	kube, dyn := kubefake.NewClientset(objects...), dynamicfake.NewSimpleDynamicClient(scheme.Scheme, objects...)
	clients := Clients{Kube: kube, Dynamic: dyn}
	return &Cluster{Clients: clients, Owner: clients, Mapper: resettable{testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme)}}, kube, dyn
}

// pod is one that runs and is ready.
func pod(name, ip string, labels ...string) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Labels: map[string]string{}},
		Spec:       corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		p.Labels[key] = value
	}
	return p
}

// prober answers by the job, and remembers what it was asked.
type prober struct {
	answer func(probe.Job) probe.Outcome

	mu    sync.Mutex
	asked []probe.Job
}

func (p *prober) Probe(_ context.Context, jobs []probe.Job) []probe.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]probe.Outcome, len(jobs))
	for i, j := range jobs {
		out[i] = p.answer(j)
		out[i].ID = j.ID
	}
	p.asked = append(p.asked, jobs...)
	return out
}

// verdict is what a check should say, in words that the learner reads; the zero
// value is a pass.
type verdict struct {
	failure  string // what is, and what was wanted
	settling bool
	unknown  string // could not tell
}

func (v verdict) check(t *testing.T, err error) {
	t.Helper()
	f, no := errors.AsType[*Failure](err)
	switch {
	case v.unknown != "":
		if err == nil || no || !strings.Contains(err.Error(), v.unknown) {
			t.Errorf("got %v (a failure: %t), want it unknown: %s", err, no, v.unknown)
		}
	case v.failure != "":
		if !no || !strings.Contains(err.Error(), v.failure) {
			t.Errorf("got %v, want the failure %s", err, v.failure)
			return
		}
		if f.Settling != v.settling || !strings.HasPrefix(f.Look, "kubectl ") && !strings.HasPrefix(f.Look, "kindlab answer ") {
			t.Errorf("%v: settling is %t and it looks with %q, want %t and a kubectl command", err, f.Settling, f.Look, v.settling)
		}
	case err != nil:
		t.Errorf("got %v, want a pass", err)
	}
}

func TestUnknownKinds(t *testing.T) {
	t.Parallel()
	_, problems := compile(t, "pings: {from: web}")
	want := `unknown kind of check "pings", expected one of ` + strings.Join(sortedKeys(Builtin()), ", ")
	if len(problems) != 1 || !strings.HasSuffix(problems[0], want) {
		t.Errorf("got %q, want %q", problems, want)
	}
}

func TestChecksThatChangeTheClusterSaySo(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"object: {kind: Pod, name: web}":                                                                  false,
		"rollout: {of: deployment/web}":                                                                   false,
		"http: {outside: true, url: 'http://{node}:30080/'}":                                              false,
		"survives: {delete: pod/db-0, folder: /data}":                                                     true,
		"reach: {clients: {a: {pods: x}}, targets: {b: {pods: y, port: 1}}, expect: \"from b\\na deny\"}": false,
	}
	for text, want := range tests {
		c := mustCompile(t, text)
		if c.Changes() != want {
			t.Errorf("%s: changes is %t", text, c.Changes())
		}
		for _, d := range c.Objects() {
			if d.Resource.Resource == "" || d.Namespace == "" && d.Name == "" {
				t.Errorf("%s: reads %+v, want a resource and a namespace, or a name", text, d)
			}
		}
	}
}

// A lab's author mends these before a learner meets them.
func TestProblemsOfParameters(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"object: {kind: Pod}", "1:15: expected a name, a selector or any: true"},
		{"object: {kind: Pod, name: a, any: true}", "1:15: expected either name, or selector and any"},
		{"object: {kind: Pod, selector: 'a in'}", "1:37: expected a label selector such as app=web"},
		{"object: {kind: Pod, absent: true, expect: ['true']}", "1:49: expected nothing of an object that must be absent"},
		{"object: {kind: Pod, apiVersion: a/b/c, name: a}", "1:39: expected a version such as apps/v1"},
		{"object: {kind: Pod, name: a, expect: ['object.spec =']}", "1:45: expected a CEL expression that is true or false: Syntax error"},
		{"object: {kind: Pod, name: a, expect: ['1 + 1']}", "1:45: expected a CEL expression that is true or false: it is of type int"},
		{"object: {kind: Pod, name: a, expect: [{cel: 'nope', says: x}]}", "1:51: expected a CEL expression that is true or false: undeclared reference to 'nope'"},
		{"object: {kind: Pod, name: a, expect: [[a]]}", "1:45: expected a CEL expression, or a map with cel and says"},
		{"object: {kind: Pod, name: a, replicas: 1}", `1:36: unknown key "replicas"`},
		{"rollout: {of: service/x}", `1:21: expected a deployment, statefulset, daemonset, job or pod, found "service"`},
		{"rollout: {of: job/x, replicas: 1}", "1:38: a job has no number of replicas to ask for"},
		{"rollout: {of: deployment/x, replicas: -1}", "1:45: expected 0 or more, found -1"},
		{"http: {url: http://web/}", "1:13: expected either from or outside: true"},
		{"http: {outside: true, url: http://web/}", "1:34: expected {node} in the URL exactly when it is asked from outside or from a node"},
		{"http: {from: {pods: a}, url: 'https://web/'}", `1:36: expected a URL such as http://web/hostname, found "https://web/"`},
		{"http: {from: {pods: a}, url: 'http://web:99999/'}", "1:36: expected a port from 1 to 65535, found 99999"},
		{"http: {from: {pods: a}, url: 'http://web/', every: true}", "1:58: expected by: every one of which pods?"},
		{"http: {from: {pods: 'a in'}, url: 'http://web/'}", "1:27: expected a label selector such as app=web"},
		{"survives: {delete: deployment/web, folder: /data}", `1:26: expected a pod such as pod/web-0, found "deployment/web"`},
		{"survives: {delete: pod/web-0, folder: data}", `1:45: expected an absolute path, found "data"`},
		{"survives: {delete: pod/web-0, folder: /data, then: [{rollout: {of: service/x}}]}", `1:74: expected a deployment`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			if _, problems := compile(t, tt.text); len(problems) != 1 || !strings.HasPrefix(problems[0], tt.want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(problems, "\n"), tt.want)
			}
		})
	}
}
