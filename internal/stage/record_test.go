package stage

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

func TestAnAttemptIsRemembered(t *testing.T) {
	t.Parallel()
	c, _ := clusterOf(configMap("shop", "menu"))
	l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}"})
	if _, err := Recorded(t.Context(), c, l.Name); !errors.Is(err, ErrNotRecorded) || !strings.Contains(err.Error(), "kindlab start basics/one") {
		t.Errorf("before the start: %v", err)
	}
	o := Options{Own: true, Params: map[string]string{"port": "31000"}}
	if err := Start(t.Context(), c, l, o); err != nil {
		t.Fatal(err)
	}
	a, err := Recorded(t.Context(), c, l.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o.Params, a.Params); diff != "" {
		t.Error(diff)
	}
	configMaps := schema.GroupVersionResource{Version: "v2", Resource: "configmaps"}
	if u := a.Baseline.Object(configMaps, "shop", "menu"); u == nil || u.GetName() != "menu" {
		t.Errorf("the baseline has %v", u)
	}
	if u := a.Baseline.Object(configMaps, "shop", "none"); u != nil {
		t.Errorf("the baseline has %v, which never was", u)
	}
	ns, err := c.Kube.CoreV1().Namespaces().Get(t.Context(), "kindlab-system", metav1.GetOptions{})
	if err != nil || ns.Labels["app.kubernetes.io/managed-by"] != "kindlab" || ns.Labels[labLabel] != "" {
		t.Errorf("kindlab-system is %v (%v)", ns, err)
	}
	if found, err := Diff(t.Context(), c, l); err != nil || len(found) > 0 {
		t.Errorf("differs at once: %v, %v", found, err)
	}
	if err := Stop(t.Context(), c, l, o); err != nil {
		t.Fatal(err)
	}
	if _, err := Recorded(t.Context(), c, l.Name); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("after the stop: %v", err)
	}
}

// The parameters are there before anything is applied, and no baseline until all is.
func TestAnInterruptedStartIsNoBaseline(t *testing.T) {
	t.Parallel()
	c, _ := clusterOf()
	l := labOf(t, map[string]string{"a.yaml": "{apiVersion: v1, kind: Node, metadata: {name: refused}}"})
	if err := Start(t.Context(), c, l, Options{Params: map[string]string{"a": "b"}}); err == nil {
		t.Fatal("a Node was applied")
	}
	a, err := Recorded(t.Context(), c, l.Name)
	if err != nil || a.Params["a"] != "b" || a.Baseline != nil {
		t.Errorf("recorded %v, %v (%v)", a.Params, a.Baseline, err)
	}
	if _, err := Diff(t.Context(), c, l); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("compared with nothing: %v", err)
	}
}

func TestARecordHasALimit(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 2<<20)
	if _, err := io.ReadFull(rand.Reader, noise); err != nil {
		t.Fatal(err)
	}
	r := record{After: &snapshot{Objects: []stored{{Name: "a", Object: map[string]any{"noise": noise}}}}}
	if _, err := r.encode(); err == nil || !strings.Contains(err.Error(), "the lab has too much in its namespaces") {
		t.Errorf("got %v", err)
	}
	for _, bad := range []map[string][]byte{{}, {baselineKey: []byte("x")}} {
		if err := (&record{}).decode(bad); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
}

func TestRestoreTouched(t *testing.T) {
	t.Parallel()
	menu := func(text string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": text}}}
		u.SetName("menu")
		u.SetNamespace("kube-system")
		return u
	}
	gvr := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	was := store(gvr, menu("old"))
	tests := []struct {
		name    string
		was     stored
		is      *unstructured.Unstructured
		changed bool
	}{
		{"changed", was, menu("new"), true},
		{"deleted", was, nil, true},
		{"untouched", was, menu("old"), false},
		{"added", stored{Resource: gvr, Namespace: "kube-system", Name: "menu"}, menu("new"), true},
		{"never there", stored{Resource: gvr, Namespace: "kube-system", Name: "menu"}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var objects []runtime.Object
			if tt.is != nil {
				objects = append(objects, tt.is)
			}
			c, d := clusterOf(objects...)
			changed, err := tt.was.restore(t.Context(), c)
			if err != nil || changed != tt.changed {
				t.Errorf("changed is %v (%v), want %v", changed, err, tt.changed)
			}
			now, err := d.Resource(gvr).Namespace("kube-system").Get(t.Context(), "menu", metav1.GetOptions{})
			if tt.was.Object == nil {
				if !apierrors.IsNotFound(err) {
					t.Errorf("still there: %v (%v)", now, err)
				}
				return
			}
			if err != nil || len(compare(tt.was, store(gvr, now))) > 0 {
				t.Errorf("is %v (%v)", now, err)
			}
		})
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	start := time.Now().Add(-time.Hour)
	made := func(kind, name string, at time.Duration, labels map[string]string) *corev1.Namespace {
		return &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: kind},
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, CreationTimestamp: metav1.NewTime(start.Add(at))},
		}
	}
	late := made("Namespace", "lab-two", 10*time.Minute, map[string]string{labLabel: "basics.two"})
	early := made("Namespace", "lab-zero", -time.Minute, map[string]string{labLabel: "basics.zero"})
	all := []*corev1.Namespace{
		made("Namespace", "known", 0, nil), made("Namespace", "mine", time.Minute, nil), made("Namespace", "kube-x", time.Minute, nil),
		made("Namespace", "kindlab-x", time.Minute, nil), made("Namespace", "default", time.Minute, nil), made("Namespace", "whose", 11*time.Minute, nil),
	}
	tests := []struct {
		name       string
		own        bool
		neighbours []*corev1.Namespace
		want       []string
		note       string
	}{
		{"a cluster of ours", true, nil, []string{"mine", "whose"}, ""},
		{"somebody's cluster", false, nil, nil, ""},
		{"an earlier lab is there", true, []*corev1.Namespace{early}, []string{"mine", "whose"}, ""},
		{"a later lab is there", true, []*corev1.Namespace{early, late}, []string{"mine"}, "namespaces/whose was left: it may belong to lab basics/two"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var objects []runtime.Object
			for _, ns := range tt.neighbours {
				objects = append(objects, ns)
			}
			c, d := clusterOf(objects...)
			for _, ns := range append(all, tt.neighbours...) {
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(ns)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Tracker().Add(&unstructured.Unstructured{Object: content}); err != nil {
					t.Fatal(err)
				}
			}
			r := record{Own: true, Known: map[string]string{"namespaces/known": "x"}, since: start}
			n := &notes{}
			left, err := r.leftovers(t.Context(), c, labOf(t, nil), resources{global: []schema.GroupVersionResource{namespaces()}}, tt.own, n)
			var names []string
			for _, o := range left {
				names = append(names, o.Name)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" || err != nil {
				t.Error(err, diff)
			}
			if !strings.Contains(n.String(), tt.note) || tt.note == "" && n.String() != "" {
				t.Errorf("noted %q, want %q", n.String(), tt.note)
			}
		})
	}
}

// What nobody serves is taken off after three seconds; Kubernetes' own controllers get their time.
func TestWipeTakesFinalizersOff(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, finalizer, want, note string }{
		{"unserved", "example.com/hold", "", "took finalizer example.com/hold off configmaps/held in namespace shop"},
		{"Kubernetes' own", "kubernetes.io/pvc-protection", "namespace shop is not empty 1m0s after all in it was deleted: configmaps/held has finalizers kubernetes.io/pvc-protection", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				held := configMap("shop", "held")
				held.Finalizers = []string{tt.finalizer}
				held.DeletionTimestamp = &metav1.Time{Time: time.Now()}
				c, d := clusterOf(held)
				d.PrependReactor("patch", "configmaps", func(a clienttesting.Action) (bool, runtime.Object, error) {
					return true, &unstructured.Unstructured{}, d.Tracker().Delete(a.GetResource(), "shop", "held")
				})
				n := &notes{}
				began := time.Now()
				err := wipe(t.Context(), c, "shop", []schema.GroupVersionResource{{Version: "v1", Resource: "configmaps"}}, n)
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				if !strings.Contains(n.String(), tt.note) {
					t.Errorf("noted %q, want %q", n, tt.note)
				}
				if took := time.Since(began); took < 3*time.Second || took > 61*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// Two labs that begin at once on a new cluster make the same namespace.
func TestANamespaceThatSomebodyElseMakes(t *testing.T) {
	t.Parallel()
	c, _ := clusterOf()
	kube, ok := c.Kube.(fakeKube)
	if !ok {
		t.Fatalf("the fake is a %T", c.Kube)
	}
	late := true
	kube.PrependReactor("create", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		if !late {
			return false, nil, nil
		}
		late = false
		if err := kube.Tracker().Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}); err != nil {
			t.Error(err)
		}
		return true, nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "namespaces"}, system)
	})
	if err := claimOne(t.Context(), c, system, managed()); err != nil {
		t.Error(err)
	}
}

func TestANamespaceThatDoesNotVanish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ns := namespace("shop", "basics.one")
		ns.DeletionTimestamp = &metav1.Time{Time: time.Now()}
		ns.Status.Conditions = []corev1.NamespaceCondition{{Status: corev1.ConditionTrue, Message: "cakes.example.com has 1 resource instances"}}
		c, _ := clusterOf(ns)
		began := time.Now()
		err := Start(t.Context(), c, labOf(t, nil), Options{})
		want := "namespace shop has been stuck in deletion for 30s: cakes.example.com has 1 resource instances; look: kubectl get namespace shop -o yaml"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if took := time.Since(began); took > 61*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestReservedNamespacesAreNoLabs(t *testing.T) {
	t.Parallel()
	for _, ns := range []string{"kube-system", "kindlab-system", "default"} {
		c, _ := clusterOf()
		err := Start(t.Context(), c, &lab.Lab{Name: "a/b", Namespaces: []string{ns}}, Options{})
		if !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", ns, err)
		}
	}
}

// runs is a Runner that remembers.
type runs struct {
	script, kubeconfig string
	rights             []rbacv1.RoleBinding
	c                  *check.Cluster
	err                error
}

func (r *runs) Run(ctx context.Context, s lab.File, kubeconfig []byte, _ map[string]string, _ io.Writer) error {
	list, err := r.c.Kube.RbacV1().RoleBindings("").List(ctx, metav1.ListOptions{})
	r.script, r.kubeconfig = s.Content, string(kubeconfig)
	r.rights = list.Items
	return errors.Join(err, r.err)
}

func TestAScriptGetsRightsForAsLongAsItRuns(t *testing.T) {
	t.Parallel()
	failed := errors.New("it failed")
	for _, fails := range []error{nil, failed} {
		c, _ := clusterOf()
		c.Config = restConfig()
		c.Owner = c.Clients
		tokens(c)
		l := labOf(t, map[string]string{"do.sh": "echo hi"})
		l.Touches = []lab.Ref{{Namespace: "kube-system", Kind: "configmap", Name: "coredns"}}
		r := &runs{c: c, err: fails}
		if err := Perform(t.Context(), c, l, Step{Run: "setup/do.sh"}, r); !errors.Is(err, fails) {
			t.Fatal(err)
		}
		var where []string
		for _, b := range r.rights {
			where = append(where, b.Namespace+" "+b.RoleRef.Kind+"/"+b.RoleRef.Name)
		}
		want := []string{"kube-system Role/lab-basics.one", "shop ClusterRole/admin", "store ClusterRole/admin"}
		if diff := cmp.Diff(want, where); diff != "" {
			t.Error(diff)
		}
		if r.script != "echo hi" || !strings.Contains(r.kubeconfig, "token: issued") || !strings.Contains(r.kubeconfig, "server: https://cluster") {
			t.Errorf("ran %q with %s", r.script, r.kubeconfig)
		}
		list, err := c.Kube.RbacV1().RoleBindings("").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) > 0 {
			t.Errorf("bindings left: %v, %v", list.Items, err)
		}
		accounts, err := c.Kube.CoreV1().ServiceAccounts(system).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(accounts.Items) != 1 { // default
			t.Errorf("accounts left: %v, %v", accounts.Items, err)
		}
	}
}

func TestAScriptIsRefused(t *testing.T) {
	t.Parallel()
	c, d := clusterOf()
	c.Config = restConfig()
	c.Owner = c.Clients
	l := labOf(t, map[string]string{"do.sh": "echo hi", "a.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}"})
	err := Perform(t.Context(), c, l, Step{Apply: "setup", Run: "setup/do.sh"}, nil)
	if err == nil || !strings.Contains(err.Error(), "use a cluster that kindlab made") || len(applied(d)) > 0 {
		t.Errorf("without a runner: %v, applied %v", err, applied(d))
	}
	l.Touches = []lab.Ref{{Namespace: "kube-system", Kind: "secret", Name: "token"}}
	r := &runs{c: c}
	err = Perform(t.Context(), c, l, Step{Run: "setup/do.sh"}, r)
	if err == nil || !strings.Contains(err.Error(), "secrets/token in namespace kube-system") || r.script != "" {
		t.Errorf("touching a Secret: %v, ran %q", err, r.script)
	}
}

func TestGraderIsTheOwnerWhereItMustBe(t *testing.T) {
	t.Parallel()
	owner, grader := check.Clients{Kube: kubefake.NewClientset()}, check.Clients{Kube: kubefake.NewClientset()}
	no := func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
	}
	owner.Kube.(*kubefake.Clientset).PrependReactor("*", "*", no)
	grader.Kube.(*kubefake.Clientset).PrependReactor("*", "*", no)
	got, note, err := ensureGrader(t.Context(), owner, grader)
	if err != nil || got.Kube != owner.Kube || !strings.Contains(note, "your own rights") {
		t.Errorf("got %v, %q, %v", got, note, err)
	}
}

func TestGraderIsAppointedOnce(t *testing.T) {
	t.Parallel()
	kube := kubefake.NewClientset()
	both := check.Clients{Kube: kube}
	for _, calls := range []int{6, 1} { // look, update and create the role and the binding, look; then only look
		kube.ClearActions()
		if _, note, err := ensureGrader(t.Context(), both, both); err != nil || note != "" {
			t.Fatal(err, note)
		}
		if got := len(kube.Actions()); got != calls {
			t.Errorf("%d requests, want %d: %v", got, calls, kube.Actions())
		}
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	c, _ := clusterOf(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "this"}})
	l := &lab.Lab{Name: "a/b", Needs: []string{"moonlight"}}
	if err := Needs(t.Context(), c, l, true, nil); err == nil || !strings.Contains(err.Error(), `lab a/b needs "moonlight"`) {
		t.Errorf("an unknown need: %v", err)
	}
	l.Needs = []string{"storage"}
	if err := Needs(t.Context(), c, l, true, nil); err != nil {
		t.Errorf("proved before: %v", err)
	}
	err := Needs(t.Context(), c, l, false, nil)
	if err == nil || !strings.Contains(err.Error(), "lab a/b needs storage: this cluster has no default StorageClass") {
		t.Errorf("without storage: %v", err)
	}
	known, err := readProofs(t.Context(), asOwner(c))
	if err != nil || known.has("storage") {
		t.Fatalf("a failed proof was kept (%v)", err)
	}
	if err := known.add(t.Context(), asOwner(c), "storage"); err != nil {
		t.Fatal(err)
	}
	if err := Needs(t.Context(), c, l, false, nil); err != nil {
		t.Errorf("known: %v", err)
	}
	other := proved{"another cluster", known.was}
	if other.has("storage") {
		t.Error("one cluster's proof serves another")
	}
}

// A policy is believed only beside a connection that still works.
func TestEnforcement(t *testing.T) {
	t.Parallel()
	down := errors.New("timeout")
	tests := []struct {
		name string
		dial func(address string, denied bool) error
		want string
	}{
		{"enforced", func(a string, denied bool) error {
			if denied && a == "guarded" {
				return down
			}
			return nil
		}, ""},
		{"not enforced", func(string, bool) error { return nil }, "this cluster does not enforce NetworkPolicy: a denied connection was let through"},
		{"broken before", func(string, bool) error { return down }, "pods do not reach each other, policy or not"},
		{"broken by it", func(_ string, denied bool) error {
			if denied {
				return down
			}
			return nil
		}, "an allowed connection failed together with the denied one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := clusterOf()
				kube := c.Kube.(fakeKube).Clientset
				kube.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
					p := a.(clienttesting.CreateAction).GetObject().(*corev1.Pod)
					p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: p.Name}
					return false, p, nil
				})
				try := &tryout{c: c, ns: "kindlab-needs-x", dial: func(ctx context.Context, s *tryout, _, address string) error {
					list, err := c.Kube.NetworkingV1().NetworkPolicies(s.ns).List(ctx, metav1.ListOptions{})
					return errors.Join(err, tt.dial(address, len(list.Items) > 0))
				}}
				err := try.enforcesPolicies(t.Context())
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			})
		})
	}
}

func restConfig() *rest.Config { return &rest.Config{Host: "https://cluster"} }

// tokens lets the fake API server issue tokens.
func tokens(c *check.Cluster) {
	c.Kube.(fakeKube).PrependReactor("create", "serviceaccounts", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "token" {
			return false, nil, nil
		}
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: "issued"}}, nil
	})
}
