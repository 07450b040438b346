//go:build e2e

package stage

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// realCluster is the one that KINDLAB_E2E_KUBECONFIG reaches. It must be kindlab's own.
func realCluster(t *testing.T) *check.Cluster {
	t.Helper()
	path := os.Getenv("KINDLAB_E2E_KUBECONFIG")
	if path == "" {
		t.Fatal("KINDLAB_E2E_KUBECONFIG names no cluster: run make e2e, or kindlab up and set it")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := check.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.Owner.Dynamic = fenced{c.Owner.Dynamic}
	return c
}

// fenced hides what is in no namespace and is not this test's: others may be at work on the cluster, and a reset on a
// cluster of kindlab's own removes whatever is new.
type fenced struct{ dynamic.Interface }

func (f fenced) Resource(gvr schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return fencedResource{f.Interface.Resource(gvr)}
}

type fencedResource struct {
	dynamic.NamespaceableResourceInterface
}

func (f fencedResource) Namespace(ns string) dynamic.ResourceInterface {
	if ns == "" {
		return f
	}
	return f.NamespaceableResourceInterface.Namespace(ns)
}

func (f fencedResource) List(ctx context.Context, o metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	list, err := f.NamespaceableResourceInterface.List(ctx, o)
	if err == nil {
		list.Items = slices.DeleteFunc(list.Items, func(u unstructured.Unstructured) bool { return !strings.Contains(u.GetName(), "stage") })
	}
	return list, err
}

const bakeryYAML = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: bakery, topic: stage}
spec:
  title: The bakery
  level: beginner
  minutes: 5
  needs: [network-policy, storage]
  namespaces: [stage-bakery]
  setup: {apply: setup, ready: [deployment/front, deployment/batch, deployment/oven, statefulset/db]}
  tasks: [{name: a, title: A, checks: [look: {}]}]
  solutions: []
  mistakes: []
`

func bakeryFiles() fstest.MapFS {
	container := `{name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.66.1", imagePullPolicy: IfNotPresent,
      args: [netexec, --http-port=8080], ports: [{containerPort: 8080}],
      readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}%s}`
	var b strings.Builder
	for _, name := range []string{"front", "batch", "oven"} {
		fmt.Fprintf(&b, `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [%[2]s]
`, name, fmt.Sprintf(container, ""))
	}
	mounts := ", volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /b}, {name: c, mountPath: /c}]"
	fmt.Fprintf(&b, `---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [%s]
  volumeClaimTemplates:
`, fmt.Sprintf(container, mounts))
	for _, name := range []string{"a", "b", "c"} {
		fmt.Fprintf(&b, "  - {metadata: {name: %s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}\n", name)
	}
	b.WriteString(`---
{apiVersion: v1, kind: Service, metadata: {name: front}, spec: {type: NodePort, selector: {app: front}, ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny}, spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow}
spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}]}]}
---
{apiVersion: v1, kind: Secret, metadata: {name: recipe}, stringData: {flour: rye}}
`)
	return fstest.MapFS{
		"stage/bakery/lab.yaml":         {Data: []byte(bakeryYAML)},
		"stage/bakery/setup/all.yaml":   {Data: []byte(b.String())},
		"stage/bakery/setup/README.txt": {Data: []byte("not a manifest")},
	}
}

func bakery(t *testing.T) *lab.Lab {
	t.Helper()
	all, err := lab.Catalogue(bakeryFiles())
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// told logs steps with their time and note.
type told struct{ t *testing.T }

func (s told) Start(name string) func(error, string) {
	began := time.Now()
	return func(err error, note string) {
		s.t.Logf("%6.2fs %s: %v %s", time.Since(began).Seconds(), name, err, note)
	}
}

func started(t *testing.T, c *check.Cluster, l *lab.Lab) Options {
	t.Helper()
	o := Options{Own: true, Params: map[string]string{"port": "31000"}, Steps: told{t}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := Stop(ctx, c, l, o); err != nil {
			t.Error(err)
		}
	})
	if err := Start(t.Context(), c, l, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestResetUndoesEverything(t *testing.T) {
	c, l := realCluster(t), bakery(t)
	o := started(t, c, l)
	first, err := Recorded(t.Context(), c, l.Name)
	if err != nil {
		t.Fatal(err)
	}
	if first.Params["port"] != "31000" || first.Baseline == nil {
		t.Fatalf("recorded %+v", first)
	}
	same(t, c, l, first)
	for round := range 5 {
		vandalise(t, c, round)
		found, err := first.Diff(t.Context(), c, l)
		if err != nil || len(found) < 8 {
			t.Errorf("%d differences seen after all the damage (%v): %v", len(found), err, found)
		}
		o.Params = map[string]string{"port": fmt.Sprint(31001 + round)}
		if err := Reset(t.Context(), c, l, o); err != nil {
			t.Fatal(err)
		}
		same(t, c, l, first)
		again, err := Recorded(t.Context(), c, l.Name)
		if err != nil || again.Params["port"] != o.Params["port"] {
			t.Errorf("recorded %v (%v), want the new parameters", again.Params, err)
		}
		same(t, c, l, again)
	}
}

// A baseline that is taken while the workloads are still starting stays true when they have arrived, and keeps apart
// what Kubernetes fills in meanwhile from what a learner changes.
func TestResetWithoutWaiting(t *testing.T) {
	c, l := realCluster(t), bakery(t)
	o := started(t, c, l)
	first, err := Recorded(t.Context(), c, l.Name)
	if err != nil {
		t.Fatal(err)
	}
	vandalise(t, c, 1)
	o.NoWait = true
	if err := Reset(t.Context(), c, l, o); err != nil {
		t.Fatal(err)
	}
	early, err := Recorded(t.Context(), c, l.Name)
	if err != nil {
		t.Fatal(err)
	}
	db := lab.Ref{Namespace: l.Namespaces[0], Kind: "statefulset", Name: "db"}
	if err := (check.Rollout{Ref: db}).Run(t.Context(), c); err == nil {
		t.Error("the StatefulSet has arrived already: this reset waited")
	}
	if err := ready(t.Context(), asOwner(c), l); err != nil {
		t.Fatal(err)
	}
	same(t, c, l, first)
	same(t, c, l, early)
}

// same fails when the cluster differs from the attempt's baseline.
func same(t *testing.T, c *check.Cluster, l *lab.Lab, a Attempt) {
	t.Helper()
	found, err := a.Diff(t.Context(), c, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		t.Errorf("differs: %s", d)
	}
}

func widgets() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "stage.kindlab.test", Version: "v1", Resource: "widgets"}
}

func vandalise(t *testing.T, c *check.Cluster, round int) {
	t.Helper()
	const ns = "stage-bakery"
	ctx, kube := t.Context(), c.Owner.Kube
	do := func(what string, err error) {
		t.Helper()
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	patch := func(gvr schema.GroupVersionResource, ns, name, text string) {
		t.Helper()
		_, err := c.Owner.Dynamic.Resource(gvr).Namespace(ns).Patch(ctx, name, types.MergePatchType, []byte(text), metav1.PatchOptions{})
		do("changing "+name, err)
	}
	core := func(r string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Version: "v1", Resource: r}
	}
	apps := func(r string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: r}
	}
	do("deleting", kube.AppsV1().Deployments(ns).Delete(ctx, "front", metav1.DeleteOptions{}))
	do("deleting", kube.CoreV1().Services(ns).Delete(ctx, "db", metav1.DeleteOptions{}))
	do("deleting", kube.NetworkingV1().NetworkPolicies(ns).Delete(ctx, "deny", metav1.DeleteOptions{}))
	do("deleting", kube.CoreV1().ConfigMaps(ns).Delete(ctx, "kube-root-ca.crt", metav1.DeleteOptions{}))
	patch(apps("deployments"), ns, "oven", `{"spec":{"replicas":0}}`)
	patch(core("secrets"), ns, "recipe", `{"data":{"flour":"c3BlbHQ="}}`)
	patch(core("namespaces"), "", ns, `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"},"annotations":{"a":"b"}}}`)
	patch(core("serviceaccounts"), ns, "default", `{"automountServiceAccountToken":false,"metadata":{"labels":{"mine":"yes"}}}`)
	if round%2 == 1 {
		do("deleting", kube.CoreV1().ServiceAccounts(ns).Delete(ctx, "default", metav1.DeleteOptions{}))
	}
	_, err := kube.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"stage.kindlab.test/hold"}},
	}, metav1.CreateOptions{})
	do("making a ConfigMap", err)
	_, err = kube.CoreV1().ResourceQuotas(ns).Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: *zero()}},
	}, metav1.CreateOptions{})
	do("making a quota", err)

	_, err = kube.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "stage-mine"}}, metav1.CreateOptions{})
	do("making a ClusterRole", err)
	_, err = kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("stage-mine-%d", round)}}, metav1.CreateOptions{})
	do("making a namespace", err)
	customResource(t, c, ns)

	list, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	do("listing nodes", err)
	worker := list.Items[len(list.Items)-1].Name
	patch(core("nodes"), "", worker, `{"metadata":{"labels":{"stage-disk":"ssd"}},"spec":{"unschedulable":true,"taints":[{"key":"stage","value":"x","effect":"NoSchedule"}]}}`)
	if round == 0 || round == 3 { // names are wanted by whoever else uses the cluster
		patch(apps("deployments"), "kube-system", "coredns", `{"spec":{"replicas":0}}`)
	}
}

// customResource makes a kind of the learner's own, and one of it that nobody lets go.
func customResource(t *testing.T, c *check.Cluster, ns string) {
	t.Helper()
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "widgets.stage.kindlab.test"},
		"spec": map[string]any{
			"group": "stage.kindlab.test", "scope": "Namespaced",
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object"},
			}}},
		},
	}}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := c.Owner.Dynamic.Resource(crds).Create(t.Context(), crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	widget := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "stage.kindlab.test/v1", "kind": "Widget",
		"metadata": map[string]any{"name": "w", "finalizers": []any{"stage.kindlab.test/hold"}},
	}}
	err := wait{what: "the new kind", limit: 20 * time.Second}.until(t.Context(), func() (bool, error) {
		_, err := c.Owner.Dynamic.Resource(widgets()).Namespace(ns).Create(t.Context(), widget, metav1.CreateOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil || apierrors.IsAlreadyExists(err), err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func zero() *resource.Quantity { return resource.NewQuantity(0, resource.DecimalSI) }
