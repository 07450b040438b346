package explain

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

// noon is when all walks of the tests take place.
func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// objects decodes YAML documents.
func objects(t *testing.T, text string) []runtime.Object {
	t.Helper()
	var all []runtime.Object
	for doc := range strings.SplitSeq(text, "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		raw, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		o, _, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		all = append(all, o)
	}
	return all
}

// docs joins documents.
func docs(all ...string) string { return strings.Join(all, "\n---\n") }

func namespaceDoc(names ...string) string {
	var all []string
	for _, n := range names {
		all = append(all, "{apiVersion: v1, kind: Namespace, metadata: {name: "+n+", labels: {kubernetes.io/metadata.name: "+n+"}}}")
	}
	return docs(all...)
}

// podDoc is a pod of namespace bakery; more is what its spec and status say beyond that.
func podDoc(name, labels, spec, status string) string {
	return "{apiVersion: v1, kind: Pod, metadata: {namespace: bakery, name: " + name + ", uid: " + name + ", labels: {" + labels + "}, creationTimestamp: '2026-05-01T11:00:00Z'}, spec: {" + spec + "}, status: {" + status + "}}"
}

const (
	oven     = "nodeName: one, containers: [{name: oven, image: 'oven:1', ports: [{name: http, containerPort: 8080}]}]"
	up       = "phase: Running, podIP: 10.244.0.7, hostIP: 172.18.0.2, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: oven, ready: true, state: {running: {}}}]"
	down     = "phase: Running, podIP: 10.244.0.7, conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: oven, ready: false, state: {running: {}}}]"
	nodesDoc = "{apiVersion: v1, kind: Node, metadata: {name: one}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}], conditions: [{type: Ready, status: 'True'}]}}"
	node2Doc = "{apiVersion: v1, kind: Node, metadata: {name: two}, status: {addresses: [{type: InternalIP, address: 172.18.0.3}], conditions: [{type: Ready, status: 'True'}]}}"
)

func serviceDoc(name, spec string) string {
	return "{apiVersion: v1, kind: Service, metadata: {namespace: bakery, name: " + name + "}, spec: {" + spec + "}}"
}

// sliceDoc lists pod oven-1 of node one under the Service.
func sliceDoc(service, more string) string {
	return "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {namespace: bakery, name: " + service + "-x, labels: {kubernetes.io/service-name: " + service + "}}, " +
		"ports: [{name: '', port: 8080, protocol: TCP}], endpoints: [{addresses: [10.244.0.7], nodeName: one, conditions: {ready: true}, targetRef: {kind: Pod, name: oven-1}" + more + "}]}"
}

func eventDoc(kind, name, reason, message, more string) string {
	return "{apiVersion: v1, kind: Event, metadata: {namespace: bakery, name: " + strings.ToLower(name+"."+reason) + "}, reason: " + reason + ", message: '" + strings.ReplaceAll(message, "'", "''") + "', " +
		"lastTimestamp: '2026-05-01T11:59:00Z', involvedObject: {kind: " + kind + ", namespace: bakery, name: " + name + ", uid: " + name + more + "}}"
}

type step func(context.Context, Walker) (*Link, error)

// chainTest is one row of a chain's table. An empty is means that nothing is broken.
type chainTest struct {
	name     string
	objects  string
	walk     step
	object   string
	is       string
	look     string
	settling bool
}

func runChain(t *testing.T, tests []chainTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(objects(t, tt.objects)...)
			link, err := tt.walk(t.Context(), Walker{Kube: client, Now: noon})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d calls", len(client.Actions()))
			if n := len(client.Actions()); n > 10 {
				t.Errorf("%d calls are more than a handful: %v", n, client.Actions())
			}
			got := Link{}
			if link != nil {
				got = Link{Object: link.Object, Is: link.Is, Look: link.Look, Settling: link.Settling}
			}
			if diff := cmp.Diff(Link{Object: tt.object, Is: tt.is, Look: tt.look, Settling: tt.settling}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkStyle(t, got.Is)
			refusesToGuess(t, tt)
		})
	}
}

// refusesToGuess lets each of the walk's calls fail in turn: trouble with the API is an error that says so, and never a
// link. The log alone may be missing.
func refusesToGuess(t *testing.T, tt chainTest) {
	t.Helper()
	broken, calls, failed := 0, 0, false
	client := fake.NewClientset(objects(t, tt.objects)...)
	client.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		calls++
		if calls-1 != broken || a.GetSubresource() == "log" {
			return false, nil, nil
		}
		failed = true
		return true, nil, errors.New("the API server is away")
	})
	for ; broken == 0 || broken < calls; broken++ {
		calls, failed = 0, false
		link, err := tt.walk(t.Context(), Walker{Kube: client, Now: noon})
		if failed && (link != nil || err == nil || !strings.Contains(err.Error(), "is away")) {
			t.Errorf("call %d failed: got link %v and error %v, want an error", broken, link, err)
		}
	}
}

// A chain tells what holds before the break, one line each.
func TestChain(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(objects(t, docs(serviceDoc("bread", "clusterIP: 10.96.0.9, selector: {app: oven}, ports: [{port: 80, targetPort: 9090}]"),
		podDoc("oven-1", "app: oven", oven, up), sliceDoc("bread", "")))...)
	link, err := Walker{Kube: client}.Through(t.Context(), somebody("bakery"), "bakery", "bread", 80)
	if err != nil || link == nil {
		t.Fatalf("got %v, %v", link, err)
	}
	want := []string{
		"Service bread is in namespace bakery",
		"Service bread has port 80, for port 9090 of its pods",
		"Pod oven-1 has the labels app=oven",
		"Pod oven-1 is ready",
		"its EndpointSlices list 1 address that may get traffic",
	}
	if diff := cmp.Diff(want, link.Chain); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{and(), "none"},
		{and("a"), "a"},
		{and("a", "b", "c"), "a, b and c"},
		{and("a", "b", "c", "d", "e", "f"), "a, b, c and 3 more"},
		{many("Pod", "a"), "Pod a"},
		{many("NetworkPolicy", "a", "b"), "NetworkPolicies a and b"},
		{short("first\nsecond\x1b[31m line.\n"), "first second[31m line"},
		{short(strings.Repeat("x", 500)), strings.Repeat("x", longest-1) + "…"},
		{instead("bred", []string{"bread", "cakes"}), "; there is bread"},
		{instead("soup", []string{"bread", "cakes"}), "; there are bread and cakes"},
		{instead("soup", nil), "; there is none"},
		{instead("soup", []string{"bread", "cakes", "rolls", "tarts", "buns!"}), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestUnlike(t *testing.T) {
	t.Parallel()
	pods := func(sets ...map[string]string) (all []corev1.Pod) {
		for _, s := range sets {
			p := corev1.Pod{}
			p.Labels = s
			all = append(all, p)
		}
		return all
	}
	type set = map[string]string
	for _, tt := range []struct {
		name string
		want set
		pods []corev1.Pod
		near []string
	}{
		{"a typo", set{"app": "ovens"}, pods(set{"app": "till"}, set{"app": "oven"}), []string{"app=oven"}},
		{"one of two labels", set{"app": "oven", "batch": "fresh"}, pods(set{"app": "oven", "batch": "old"}, set{"app": "till"}), []string{"batch=old"}},
		{"another key", set{"app": "oven"}, pods(set{"run": "oven"}), []string{"run=oven"}},
		{"a key with a typo", set{"app": "oven"}, pods(set{"apps": "stove"}), []string{"apps=stove"}},
		{"two that are as near", set{"app": "oven"}, pods(set{"app": "ovem"}, set{"app": "ovel"}), []string{"app=ovel", "app=ovem"}},
		{"nothing alike", set{"app": "oven"}, pods(set{"zone": "north"}), nil},
		{"no labels", set{"app": "oven"}, pods(nil), nil},
	} {
		if diff := cmp.Diff(tt.near, unlike(tt.want, tt.pods)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A sentence never ends in a full stop, and never tells anybody what to do.
func checkStyle(t *testing.T, is string) {
	t.Helper()
	if regexp.MustCompile(`\.$|(?i)\b(you should|please|try to|add a|change the|must be set)\b`).MatchString(is) {
		t.Errorf("style: %q", is)
	}
}
