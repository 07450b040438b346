package stage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	discoveryfake "k8s.io/client-go/discovery/fake"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

const labYAML = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: One
  level: beginner
  minutes: 5
  namespaces: [shop, store]
  setup: {apply: setup}
  tasks: [{name: a, title: A, checks: [look: {}]}]
  solutions: []
  mistakes: []
`

// labOf is a lab whose setup is these files.
func labOf(t *testing.T, files map[string]string) *lab.Lab {
	t.Helper()
	fsys := fstest.MapFS{"basics/one/lab.yaml": {Data: []byte(labYAML)}}
	for name, text := range files {
		fsys["basics/one/setup/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	all, err := lab.Catalogue(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// mapper learns a kind called Late only when it is reset.
type mapper struct{ *meta.DefaultRESTMapper }

func (m mapper) Reset() {
	m.Add(schema.GroupVersionKind{Version: "v1", Kind: "Late"}, meta.RESTScopeNamespace)
}

// fakeKube knows which resources there are to wipe; the discovery that comes
// with the clientset prefers none.
type fakeKube struct {
	*kubefake.Clientset
	err error
}

func (k fakeKube) Discovery() discovery.DiscoveryInterfaces {
	return fakeDiscovery{&discoveryfake.FakeDiscovery{Fake: &k.Fake}, k.err}
}

type fakeDiscovery struct {
	*discoveryfake.FakeDiscovery
	err error
}

func (d fakeDiscovery) ServerPreferredResources() ([]*metav1.APIResourceList, error) {
	all := metav1.Verbs{"list", "delete", "deletecollection"}
	return []*metav1.APIResourceList{{GroupVersion: "v1", APIResources: []metav1.APIResource{
		{Name: "configmaps", Namespaced: true, Verbs: all},
		{Name: "serviceaccounts", Namespaced: true, Verbs: all},
		{Name: "events", Namespaced: true, Verbs: all},
		{Name: "bindings", Namespaced: true, Verbs: metav1.Verbs{"create"}},
		{Name: "nodes", Verbs: all},
		{Name: "namespaces", Verbs: metav1.Verbs{"list", "delete"}},
		{Name: "componentstatuses", Verbs: metav1.Verbs{"list"}},
	}}, {GroupVersion: "apps/v1", APIResources: []metav1.APIResource{{Name: "deployments", Namespaced: true, Verbs: all}}}}, d.err
}

// clusterOf has these objects: namespaces in Kube, the rest in Dynamic.
func clusterOf(objects ...runtime.Object) (*check.Cluster, *dynamicfake.FakeDynamicClient) {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"ConfigMap", "Service", "ServiceAccount", "Pod", "Secret"} {
		m.Add(schema.GroupVersionKind{Version: "v1", Kind: kind}, meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"Deployment", "DaemonSet"} {
		m.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: kind}, meta.RESTScopeNamespace)
	}
	m.Add(schema.GroupVersionKind{Version: "v1", Kind: "Node"}, meta.RESTScopeRoot)
	var kube, dyn []runtime.Object
	for _, o := range objects {
		if _, ok := o.(*corev1.Namespace); ok {
			kube = append(kube, o)
			continue
		}
		dyn = append(dyn, o)
	}
	// What the controllers of a real cluster would make.
	for _, ns := range []string{"shop", "store"} {
		kube = append(kube, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}})
	}
	d := dynamicfake.NewSimpleDynamicClient(scheme.Scheme, dyn...)
	// Server-side apply is the server's: it is enough to see what it is given.
	d.PrependReactor("patch", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &unstructured.Unstructured{Object: map[string]any{}}, nil
	})
	clients := check.Clients{Kube: fakeKube{Clientset: kubefake.NewClientset(kube...)}, Dynamic: d}
	return &check.Cluster{Clients: clients, Owner: clients, Mapper: mapper{m}}, d
}

func namespace(name, owner string) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if owner != "" {
		ns.Labels = map[string]string{labLabel: owner}
	}
	return ns
}

func configMap(ns, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
}

// applied are the patches that the cluster was sent.
func applied(d *dynamicfake.FakeDynamicClient) []clienttesting.PatchActionImpl {
	var list []clienttesting.PatchActionImpl
	for _, a := range d.Actions() {
		if p, ok := a.(clienttesting.PatchActionImpl); ok {
			list = append(list, p)
		}
	}
	return list
}

func TestReadPutsWhatIsReferredToFirst(t *testing.T) {
	t.Parallel()
	l := labOf(t, map[string]string{
		"a.yaml": `# only words
---
{apiVersion: v1, kind: Pod, metadata: {name: web}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: oven}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}}
`,
		"b.yaml": `
{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: baker}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db}}
`,
		"notes.txt": "{apiVersion: v1, kind: Pod, metadata: {name: no}}",
	})
	files, err := l.Files("setup")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, lab.File{Path: "made up", Content: "{apiVersion: v1, kind: Secret, metadata: {name: more}}"})
	objects, err := read(l, files)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.GetKind()+"/"+o.GetName())
	}
	want := []string{"ConfigMap/menu", "ServiceAccount/baker", "Secret/more", "Service/web", "Pod/web", "Deployment/oven", "Pod/db"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"no YAML", "{a: [", "reading setup/a.yaml of lab basics/one: "},
		{"no kind", "{apiVersion: v1, metadata: {name: web}}", "an object without kind or name"},
		{"no name", "{apiVersion: v1, kind: Pod, metadata: {}}", "an object without kind or name"},
		{"a foreign namespace", "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: kube-system}}", "applying Pod web: namespace kube-system is not one of the lab's"},
		{"what is in no namespace", "{apiVersion: v1, kind: Node, metadata: {name: web}}", "applying Node web: Node is not in a namespace"},
		{"what the cluster does not know", "{apiVersion: v1, kind: Cake, metadata: {name: web}}", "applying Cake web: no matches for kind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, d := clusterOf()
			err := Perform(t.Context(), c, labOf(t, map[string]string{"a.yaml": tt.text}), Step{Apply: "setup"}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
			if got := applied(d); len(got) > 0 {
				t.Errorf("sent %d objects to the cluster", len(got))
			}
		})
	}
}

func TestWhatALabTouchesMayBeAppliedAndRemoved(t *testing.T) {
	t.Parallel()
	c, d := clusterOf()
	l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: coredns, namespace: kube-system}}"})
	dns := lab.Ref{Namespace: "kube-system", Kind: "configmap", Name: "coredns"}
	if err := Perform(t.Context(), c, l, Step{Delete: []lab.Ref{dns}}, nil); err == nil {
		t.Error("removed what the lab does not touch")
	}
	l.Touches = []lab.Ref{dns}
	if err := Perform(t.Context(), c, l, Step{Delete: []lab.Ref{dns}, Apply: "setup"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := applied(d); len(got) != 1 || got[0].Namespace != "kube-system" || got[0].Name != "coredns" {
		t.Errorf("applied %v", got)
	}
}

func TestApplySendsObjectsAsKubectlWould(t *testing.T) {
	t.Parallel()
	c, d := clusterOf()
	l := labOf(t, map[string]string{"a.yaml": `{apiVersion: v1, kind: ConfigMap, metadata: {name: menu, annotations: {by: us}}, data: {a: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: list, namespace: store}}
---
{apiVersion: v1, kind: Late, metadata: {name: late}}
`})
	if err := Perform(t.Context(), c, l, Step{Apply: "setup"}, nil); err != nil {
		t.Fatal(err)
	}
	patches := applied(d)
	var where []string
	for _, p := range patches {
		where = append(where, p.Namespace+"/"+p.Resource.Resource+"/"+p.Name)
		if p.PatchType != types.ApplyPatchType || p.PatchOptions.FieldManager != "kindlab" || !*p.PatchOptions.Force {
			t.Errorf("%s: %s with %+v, want a forced server-side apply by kindlab", p.Name, p.PatchType, p.PatchOptions)
		}
	}
	// Objects of one rank go at once; what may refer to them comes after.
	slices.Sort(where[:2])
	if diff := cmp.Diff([]string{"shop/configmaps/menu", "store/configmaps/list", "shop/lates/late"}, where); diff != "" {
		t.Fatal(diff)
	}
	menu := slices.IndexFunc(patches, func(p clienttesting.PatchActionImpl) bool { return p.Name == "menu" })
	var sent unstructured.Unstructured
	if err := json.Unmarshal(patches[menu].Patch, &sent.Object); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"by":        "us",
		lastApplied: `{"apiVersion":"v1","data":{"a":"b"},"kind":"ConfigMap","metadata":{"annotations":{"by":"us"},"name":"menu","namespace":"shop"}}` + "\n",
	}
	if diff := cmp.Diff(want, sent.GetAnnotations()); diff != "" {
		t.Error(diff)
	}
}

func TestApplyRemovesWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	c, d := clusterOf(configMap("shop", "old"), configMap("store", "old"), configMap("shop", "kept"))
	l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}"})
	remove := []lab.Ref{{Kind: "configmap", Name: "old"}, {Namespace: "store", Kind: "configmap", Name: "old"}, {Kind: "configmap", Name: "never"}}
	if err := Perform(t.Context(), c, l, Step{Apply: "setup", Delete: remove}, nil); err != nil {
		t.Fatal(err)
	}
	actions := d.Actions()
	if last := actions[len(actions)-1]; last.GetVerb() != "patch" {
		t.Errorf("the last call is %s, want the patch after all deletions", last.GetVerb())
	}
	if diff := cmp.Diff([]string{"shop/kept"}, left(t, d, "configmaps")); diff != "" {
		t.Error(diff)
	}
	err := Perform(t.Context(), c, l, Step{Delete: []lab.Ref{{Kind: "cake", Name: "old"}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "deleting cake/old: ") {
		t.Errorf("got %v for a kind that the cluster does not know", err)
	}
}

// left names the objects of a core resource that are still there.
func left(t *testing.T, d *dynamicfake.FakeDynamicClient, resource string) []string {
	t.Helper()
	list, err := d.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.GetNamespace()+"/"+o.GetName())
	}
	slices.Sort(names)
	return names
}

type steps struct{ log []string }

func (s *steps) Start(name string) func(error, string) {
	s.log = append(s.log, name)
	return func(err error, _ string) {
		if err != nil {
			s.log = append(s.log, "failed")
			return
		}
		s.log = append(s.log, "done")
	}
}

func TestForeignNamespacesAreNotTouched(t *testing.T) {
	t.Parallel()
	start := func(ctx context.Context, c *check.Cluster, l *lab.Lab) error { return Start(ctx, c, l, Options{}) }
	stop := func(ctx context.Context, c *check.Cluster, l *lab.Lab) error { return Stop(ctx, c, l, Options{}) }
	reset := func(ctx context.Context, c *check.Cluster, l *lab.Lab) error { return Reset(ctx, c, l, Options{}) }
	tests := []struct {
		name  string
		do    func(context.Context, *check.Cluster, *lab.Lab) error
		owner string // of the lab's second namespace
		want  string
	}{
		{"start, nobody's", start, "", "store exists and kindlab did not make it"},
		{"start, another lab's", start, "basics.two", "store belongs to lab basics/two; stop that first: kindlab stop basics/two"},
		{"reset, nobody's", reset, "", "store exists and kindlab did not make it"},
		{"reset, another lab's", reset, "basics.two", "store belongs to lab basics/two"},
		{"stop, nobody's", stop, "", "store exists and kindlab did not make it"},
		{"stop, another lab's", stop, "basics.two", "store belongs to lab basics/two"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, d := clusterOf(namespace("store", tt.owner), configMap("store", "theirs"))
			l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}"})
			err := tt.do(t.Context(), c, l)
			if !errors.Is(err, ErrNotOurs) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			// Nor is the lab's first namespace made or changed.
			if len(d.Actions()) > 0 {
				t.Errorf("called %v", d.Actions())
			}
			for _, a := range c.Kube.(fakeKube).Actions() {
				if a.GetVerb() != "get" {
					t.Errorf("called %s %s", a.GetVerb(), a.GetResource().Resource)
				}
			}
		})
	}
}

func TestStartMakesTheNamespacesAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	c, d := clusterOf(namespace("store", "basics.one"))
	l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}"})
	s := &steps{}
	for range 2 {
		if err := Start(t.Context(), c, l, Options{Steps: s}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"Setting up basics/one", "done", "Setting up basics/one", "done"}, s.log); diff != "" {
		t.Error(diff)
	}
	for _, name := range l.Namespaces {
		ns, err := c.Kube.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || ns.Labels["kindlab.dev/lab"] != "basics.one" {
			t.Errorf("namespace %s is %+v (%v), want the lab's label", name, ns, err)
		}
	}
	if got := applied(d); len(got) != 2 {
		t.Errorf("applied %d objects, want one for each start", len(got))
	}
}

func TestStartReportsTheFailedStep(t *testing.T) {
	t.Parallel()
	c, _ := clusterOf(namespace("shop", ""))
	s := &steps{}
	if err := Start(t.Context(), c, labOf(t, nil), Options{Steps: s}); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string{"Setting up basics/one", "failed"}, s.log); diff != "" {
		t.Error(diff)
	}
}

func TestResetWipesAndStopDeletes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		do         func(context.Context, *check.Cluster, *lab.Lab) error
		namespaces int
		applied    int
	}{
		{"reset", func(ctx context.Context, c *check.Cluster, l *lab.Lab) error { return Reset(ctx, c, l, Options{}) }, 4, 1}, // one is kindlab-system
		{"stop", func(ctx context.Context, c *check.Cluster, l *lab.Lab) error { return Stop(ctx, c, l, Options{}) }, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // between two looks it waits
				c, d := clusterOf(
					namespace("shop", "basics.one"), namespace("store", "basics.one"), namespace("other", ""),
					configMap("shop", "work"), configMap("store", "work"), configMap("other", "theirs"),
					configMap("shop", "kube-root-ca.crt"),
					&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "default"}},
					&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "baker"}},
				)
				l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}"})
				if err := tt.do(t.Context(), c, l); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"other/theirs", "shop/kube-root-ca.crt"}, left(t, d, "configmaps")); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]string{"shop/default"}, left(t, d, "serviceaccounts")); diff != "" {
					t.Error(diff)
				}
				if got := applied(d); len(got) != tt.applied {
					t.Errorf("applied %d objects, want %d", len(got), tt.applied)
				}
				list, err := c.Kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
				if err != nil || len(list.Items) != tt.namespaces {
					t.Errorf("%d namespaces (%v), want %d", len(list.Items), err, tt.namespaces)
				}
			})
		})
	}
}

// What has finalizers is there for a while after its deletion was asked for.
func TestWipeWaitsForWhatLingers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := clusterOf(configMap("shop", "slow"))
		asked := 0
		d.PrependReactor("delete", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			asked++
			return asked < 3, nil, nil // unhandled, it reaches the objects
		})
		if err := wipe(t.Context(), c, "shop", []schema.GroupVersionResource{{Version: "v1", Resource: "configmaps"}}, &notes{}); err != nil {
			t.Fatal(err)
		}
		if got := left(t, d, "configmaps"); len(got) > 0 || asked != 3 {
			t.Errorf("%v is left after %d deletions, want nothing after 3", got, asked)
		}
	})
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	want := resources{
		namespaced: []schema.GroupVersionResource{
			{Version: "v1", Resource: "configmaps"},
			{Version: "v1", Resource: "serviceaccounts"},
			{Version: "v1", Resource: "events"},
			{Group: "apps", Version: "v1", Resource: "deployments"},
		},
		global: []schema.GroupVersionResource{{Version: "v1", Resource: "namespaces"}},
	}
	down := &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{{Group: "metrics.k8s.io"}: errors.New("down")}}
	for _, err := range []error{nil, down} {
		got, err := discover(&check.Cluster{Clients: check.Clients{Kube: fakeKube{Clientset: kubefake.NewClientset(), err: err}}})
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(resources{})); diff != "" || err != nil {
			t.Error(err, diff)
		}
		for _, gvr := range got.lasting() {
			if gvr.Resource == "events" {
				t.Error("events are read for a baseline")
			}
		}
		if len(got.lasting()) != 3 {
			t.Errorf("a baseline is made of %v", got.lasting())
		}
	}
	refused := errors.New("refused")
	if _, err := discover(&check.Cluster{Clients: check.Clients{Kube: fakeKube{Clientset: kubefake.NewClientset(), err: refused}}}); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
}

func TestStarted(t *testing.T) {
	t.Parallel()
	leaving := namespace("leaving", "basics.zero")
	leaving.DeletionTimestamp = &metav1.Time{}
	c, _ := clusterOf(
		namespace("a", "services.two"), namespace("b", "services.two"), namespace("c", "basics.one"), namespace("d", ""), leaving,
	)
	got, err := Started(t.Context(), c)
	if diff := cmp.Diff([]string{"basics/one", "services/two"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	refused := apierrors.NewServiceUnavailable("busy")
	interrupted := errors.New("interrupted")
	tests := []struct {
		name  string
		cause error // of the context's end
		done  func() (bool, error)
		want  error
	}{
		{"there", nil, func() (bool, error) { return true, nil }, nil},
		{"never there", nil, func() (bool, error) { return false, nil }, errWaited},
		{"an error", nil, func() (bool, error) { return false, refused }, refused},
		{"interrupted", interrupted, func() (bool, error) { return false, nil }, interrupted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.cause != nil {
					cancel(tt.cause)
				}
				err := wait{what: "the bread"}.until(ctx, tt.done)
				if !errors.Is(err, tt.want) || err != nil && !strings.HasPrefix(err.Error(), "waiting for the bread: ") {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			})
		})
	}
}
