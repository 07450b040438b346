package grade

import (
	"context"
	"fmt"
	gomaps "maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	widgets    = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "widgets"}
	podsV1     = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	nodesV1    = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	slicesV1   = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	policiesV1 = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}
)

// eye is a kind of check, and its only check, that counts how often it was asked.
type eye struct {
	fake
	objects []check.Dependency
	probing bool

	mu      sync.Mutex
	asked   []time.Duration // since the scene began
	begin   time.Time
	at      int // how many runs are under way
	crowded bool
}

func (e *eye) Compile(check.Scope, lab.Node) (check.Check, lab.Problems) { return e, nil }
func (e *eye) Objects() []check.Dependency                               { return e.objects }
func (e *eye) Probes() bool                                              { return e.probing }

func (e *eye) Run(ctx context.Context, c *check.Cluster) error {
	e.mu.Lock()
	e.asked = append(e.asked, time.Since(e.begin))
	e.at++
	e.crowded = e.crowded || e.at > 1
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.at--
		e.mu.Unlock()
	}()
	return e.run(ctx, c)
}

// times returns when it was asked, and forgets it.
func (e *eye) times() []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.asked
	e.asked = nil
	return all
}

// truth is what a check says; a test changes it as a learner changes a cluster.
type truth struct {
	mu  sync.Mutex
	err error
}

func (a *truth) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *truth) get(context.Context, *check.Cluster) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// sees is a check that says what is true of some objects.
func sees(name string, a *truth, objects ...check.Dependency) *eye {
	return &eye{fake: fake{name: name, run: a.get}, objects: objects}
}

func maps(name string) check.Dependency {
	return check.Dependency{Resource: configMaps, Namespace: "shop", Name: name}
}

// scene is a watched cluster that exists in memory, in the time of a synctest bubble.
type scene struct {
	t      *testing.T
	grader *Grader
	dyn    *dynamicfake.FakeDynamicClient
	kube   *kubefake.Clientset
	mapper *kinds
	begin  time.Time

	mu   sync.Mutex
	news []string // "1.04 a passed"
	last report.Report
	done []time.Duration
}

// kinds is a mapper to which resources may be added.
type kinds struct {
	*meta.DefaultRESTMapper
	mu     sync.Mutex
	hidden map[string]bool // as it is known
	hide   map[string]bool // as it is, and known after a Reset
}

func (k *kinds) Reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hidden = gomaps.Clone(k.hide)
}

func (k *kinds) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hidden[r.Resource] {
		return r, &meta.NoResourceMatchError{PartialResource: r}
	}
	return k.DefaultRESTMapper.ResourceFor(r)
}

// exists tells whether a resource does, to those who ask anew.
func (k *kinds) exists(resource string, exists bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hide[resource] = !exists
}

func newScene(t *testing.T, eyes ...*eye) *scene {
	t.Helper()
	lists := map[schema.GroupVersionResource]string{
		configMaps: "ConfigMapList", widgets: "WidgetList", podsV1: "PodList", nodesV1: "NodeList",
		slicesV1: "EndpointSliceList", policiesV1: "NetworkPolicyList",
	}
	mapper := &kinds{DefaultRESTMapper: meta.NewDefaultRESTMapper(nil), hide: map[string]bool{}}
	for r, list := range lists {
		scope := meta.RESTScopeNamespace
		if r == nodesV1 {
			scope = meta.RESTScopeRoot
		}
		mapper.Add(r.GroupVersion().WithKind(strings.TrimSuffix(list, "List")), scope)
	}
	s := &scene{
		t: t, dyn: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists),
		kube: kubefake.NewClientset(), mapper: mapper, begin: time.Now(),
	}
	registered := check.Registry{}
	for _, e := range eyes {
		e.begin = s.begin
		registered.Add(e)
	}
	s.grader = &Grader{Kinds: registered, Cluster: &check.Cluster{
		Clients: check.Clients{Kube: s.kube, Dynamic: s.dyn}, Mapper: mapper,
	}}
	return s
}

// watch begins to watch, and comes back when everything was looked at. What it returns ends the watch.
func (s *scene) watch(l *lab.Lab, keep bool) (end func() error) {
	s.t.Helper()
	p, err := s.grader.Compile(l)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.grader.Watch(ctx, p, func(c report.Change) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.last = c.Report
			for _, e := range c.Events() {
				if e.Done {
					s.done = append(s.done, time.Since(s.begin))
					continue
				}
				s.news = append(s.news, fmt.Sprintf("%.2f %s %s", time.Since(s.begin).Seconds(), e.Task.ID, e.Task.Verdict))
			}
			return keep || !c.Done
		})
	}()
	synctest.Wait()
	end = func() error {
		cancel()
		err := <-ended
		synctest.Wait()
		return err
	}
	return end
}

// told returns the news since it was asked last. What came at once comes in the order of names.
func (s *scene) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.news
	s.news = nil
	slices.SortStableFunc(all, func(a, b string) int {
		if at, bt := strings.Fields(a)[0], strings.Fields(b)[0]; at != bt {
			return 0
		}
		return strings.Compare(a, b)
	})
	return all
}

func (s *scene) verdicts() map[string]report.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]report.Verdict{}
	for _, t := range slices.Concat(s.last.Tasks, s.last.Safeguards) {
		all[t.ID] = t.Verdict
	}
	return all
}

func (s *scene) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// put writes an object, and returns at once: the informers hear of it on their own.
func (s *scene) put(r schema.GroupVersionResource, namespace, name string, labels map[string]string) {
	s.t.Helper()
	kind, err := s.mapper.KindFor(r)
	if err != nil {
		s.t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	o.SetLabels(labels)
	o.SetResourceVersion(fmt.Sprint(time.Now().UnixNano())) // the fake does not count
	s.write(r, o)
}

// repeat writes an object as it is, which is no news.
func (s *scene) repeat(r schema.GroupVersionResource, namespace, name string) {
	s.t.Helper()
	o, err := s.dyn.Resource(r).Namespace(namespace).Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(r, o)
}

func (s *scene) write(r schema.GroupVersionResource, o *unstructured.Unstructured) {
	s.t.Helper()
	namespace, name := o.GetNamespace(), o.GetName()
	client := s.dyn.Resource(r).Namespace(namespace)
	if _, err := client.Get(s.t.Context(), name, metav1.GetOptions{}); err == nil {
		_, err = client.Update(s.t.Context(), o, metav1.UpdateOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		return
	}
	if _, err := client.Create(s.t.Context(), o, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) remove(r schema.GroupVersionResource, namespace, name string) {
	s.t.Helper()
	if err := s.dyn.Resource(r).Namespace(namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// one is a lab of one task.
func one(kinds ...string) *lab.Lab {
	return &lab.Lab{Name: "basics/one", Namespaces: []string{"shop"}, Tasks: []lab.Task{{ID: "one", Points: 3, Checks: checks(kinds...)}}}
}
