//go:build e2e

package stage

import (
	"context"
	"maps"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// opened starts the bakery, which is closed when the test has ended.
func opened(t *testing.T, c *check.Cluster, l *lab.Lab) (first Attempt, o Options) {
	t.Helper()
	must := orFatal(t)
	o = Options{Params: map[string]string{"port": "31000"}, Steps: told{t}}
	t.Cleanup(func() {
		if err := Stop(context.WithoutCancel(t.Context()), c, l, o); err != nil {
			t.Error(err)
		}
	})
	must(Start(t.Context(), c, l, o))
	first, err := Recorded(t.Context(), c, l.Name)
	must(err)
	return first, o
}

func orFatal(t *testing.T) func(error) {
	t.Helper()
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What has changed is as it was, and what has not runs on.
func TestUndo(t *testing.T) {
	c, l := realCluster(t), bakery(t)
	ctx, kube, ns, must := t.Context(), c.Owner.Kube, l.Namespaces[0], orFatal(t)
	first, _ := opened(t, c, l)
	before := podsBy(t, c, ns)
	front, err := kube.AppsV1().Deployments(ns).Get(ctx, "front", metav1.GetOptions{})
	must(err)
	stray := front.DeepCopy()
	stray.ObjectMeta = metav1.ObjectMeta{Name: "stray"}
	stray.Spec.Selector.MatchLabels, stray.Spec.Template.Labels = map[string]string{"app": "stray"}, map[string]string{"app": "stray"}
	_, err = kube.AppsV1().Deployments(ns).Create(ctx, stray, metav1.CreateOptions{})
	must(err)
	must(kube.AppsV1().Deployments(ns).Delete(ctx, "front", metav1.DeleteOptions{}))
	_, err = kube.AppsV1().Deployments(ns).Patch(ctx, "oven", types.MergePatchType,
		[]byte(`{"spec":{"replicas":2,"template":{"spec":{"hostname":"hot"}}}}`), metav1.PatchOptions{})
	must(err)
	_, err = kube.CoreV1().Services(ns).Patch(ctx, "front", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"nobody"}}}`), metav1.PatchOptions{})
	must(err)
	must(kube.NetworkingV1().NetworkPolicies(ns).Delete(ctx, "deny", metav1.DeleteOptions{}))
	must(kube.CoreV1().Services(ns).Delete(ctx, "db", metav1.DeleteOptions{}))
	all := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "all"}}
	_, err = kube.NetworkingV1().NetworkPolicies(ns).Create(ctx, all, metav1.CreateOptions{})
	must(err)

	_, err = kube.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "note"}}, metav1.CreateOptions{})
	must(err)
	lonely := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "lonely", Labels: map[string]string{"app": "lonely"}}, Spec: stray.Spec.Template.Spec}
	_, err = kube.CoreV1().Pods(ns).Create(ctx, lonely, metav1.CreateOptions{})
	must(err)

	other := Step{Manifests: []lab.File{{Path: "made up", Content: otherPorts}}}
	must(Perform(ctx, c, l, other, nil))

	second, undone, err := first.Undo(ctx, c, l)
	if err != nil || !undone {
		t.Fatalf("undone is %t, %v", undone, err)
	}
	same(t, c, l, first)
	same(t, c, l, second)
	recorded, err := Recorded(ctx, c, l.Name)
	must(err)
	same(t, c, l, recorded)
	for _, name := range []string{"front", "oven"} {
		d, err := kube.AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
		must(err)
		for whose, baseline := range map[string]check.Baseline{"the attempt": second.Baseline, "the record": recorded.Baseline} {
			known := baseline.Object(appsv1.SchemeGroupVersion.WithResource("deployments"), ns, name)
			if known == nil || known.GetUID() != d.UID {
				t.Errorf("%s does not know deployment %s as it is", whose, name)
			}
		}
		if err := (check.Rollout{Ref: lab.Ref{Namespace: ns, Kind: "deployment", Name: name}}).Run(ctx, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	deny, err := kube.NetworkingV1().NetworkPolicies(ns).Get(ctx, "deny", metav1.GetOptions{})
	must(err)
	if known := recorded.Baseline.Object(networkingv1.SchemeGroupVersion.WithResource("networkpolicies"), ns, "deny"); known == nil || known.GetUID() != deny.UID {
		t.Error("the record does not know the policy that came back")
	}
	after := podsBy(t, c, ns)
	if got := slices.Sorted(maps.Keys(after)); !slices.Equal(got, []string{"batch", "db", "front", "oven"}) {
		t.Errorf("pods of %v", got)
	}
	for name, runsOn := range map[string]bool{"batch": true, "db": true, "front": false, "oven": false} {
		if kept := slices.Equal(before[name], after[name]); kept != runsOn || len(after[name]) != 1 {
			t.Errorf("pods of %s were %v and are %v", name, before[name], after[name])
		}
	}

	// What is applied next takes the place of what was there, as it does after a reset.
	must(Perform(ctx, c, l, other, nil))
	svc, err := kube.CoreV1().Services(ns).Get(ctx, "front", metav1.GetOptions{})
	must(err)
	oven, err := kube.AppsV1().Deployments(ns).Get(ctx, "oven", metav1.GetOptions{})
	must(err)
	if ports := oven.Spec.Template.Spec.Containers[0].Ports; len(ports) != 1 || len(svc.Spec.Ports) != 1 {
		t.Errorf("ports of the Deployment are %v and of the Service %v, want one each", ports, svc.Spec.Ports)
	}
	if second, undone, err = second.Undo(ctx, c, l); err != nil || !undone {
		t.Fatalf("once more: undone is %t, %v", undone, err)
	}
	same(t, c, l, first)

	// How many replicas there are is changed back where the Deployment runs.
	third := second
	before = podsBy(t, c, ns)
	for _, replicas := range []string{"2", "0"} {
		_, err = kube.AppsV1().Deployments(ns).Patch(ctx, "batch", types.MergePatchType, []byte(`{"spec":{"replicas":`+replicas+`}}`), metav1.PatchOptions{})
		must(err)
		if third, undone, err = third.Undo(ctx, c, l); err != nil || !undone {
			t.Fatalf("scaled to %s: undone is %t, %v", replicas, undone, err)
		}
		same(t, c, l, first)
		if now := podsBy(t, c, ns); len(now["batch"]) != 1 || !slices.Equal(now["oven"], before["oven"]) {
			t.Errorf("scaled to %s: pods were %v and are %v", replicas, before, now)
		}
	}

	// What holds data, or a past, is for a reset.
	_, err = kube.AppsV1().StatefulSets(ns).Patch(ctx, "db", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
	must(err)
	if _, undone, err = second.Undo(ctx, c, l); err != nil || undone {
		t.Errorf("a StatefulSet with claims: undone is %t, %v", undone, err)
	}
}

// What is held is what an undo goes back to, and a reset goes back to the beginning.
func TestUndoGoesBackToWhatIsHeld(t *testing.T) {
	c, l := realCluster(t), bakery(t)
	ctx, kube, ns, must := t.Context(), c.Owner.Kube, l.Namespaces[0], orFatal(t)
	first, o := opened(t, c, l)
	must(Perform(ctx, c, l, Step{Delete: []lab.Ref{{Kind: "deployment", Name: "batch"}}, Manifests: []lab.File{{Path: "made up", Content: tea}}}, nil))
	held, err := first.Hold(ctx, c, l)
	must(err)
	side, err := kube.CoreV1().Services(ns).Get(ctx, "tea", metav1.GetOptions{})
	must(err)

	must(kube.CoreV1().Services(ns).Delete(ctx, "tea", metav1.DeleteOptions{}))
	must(kube.AppsV1().Deployments(ns).Delete(ctx, "tea", metav1.DeleteOptions{}))
	_, err = kube.CoreV1().Services(ns).Patch(ctx, "front", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"nobody"}}}`), metav1.PatchOptions{})
	must(err)
	_, err = kube.AppsV1().Deployments(ns).Patch(ctx, "front", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
	must(err)
	again, undone, err := held.Undo(ctx, c, l)
	if err != nil || !undone {
		t.Fatalf("undone is %t, %v", undone, err)
	}
	same(t, c, l, held)
	same(t, c, l, again)
	back, err := kube.CoreV1().Services(ns).Get(ctx, "tea", metav1.GetOptions{})
	must(err)
	if back.Spec.ClusterIP != side.Spec.ClusterIP {
		t.Errorf("Service tea was at %s and is at %s: who has looked it up does not look again", side.Spec.ClusterIP, back.Spec.ClusterIP)
	}
	for _, name := range []string{"front", "tea"} {
		if err := (check.Rollout{Ref: lab.Ref{Namespace: ns, Kind: "deployment", Name: name}}).Run(ctx, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	recorded, err := Recorded(ctx, c, l.Name)
	must(err)
	if recorded.Baseline.Object(appsv1.SchemeGroupVersion.WithResource("deployments"), ns, "tea") != nil {
		t.Error("the cluster takes what was held for the lab's beginning")
	}

	// Grades compare with the baseline: what is of it cannot be made anew.
	must(kube.NetworkingV1().NetworkPolicies(ns).Delete(ctx, "deny", metav1.DeleteOptions{}))
	if _, undone, err = again.Undo(ctx, c, l); err != nil || undone {
		t.Errorf("a policy of the setup: undone is %t, %v", undone, err)
	}
	must(Reset(ctx, c, l, o))
	same(t, c, l, first)
}

// tea is something new.
const tea = `
{apiVersion: v1, kind: Service, metadata: {name: tea}, spec: {selector: {app: tea}, ports: [{port: 80, targetPort: 8080}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tea}
spec:
  selector: {matchLabels: {app: tea}}
  template:
    metadata: {labels: {app: tea}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.66.1", imagePullPolicy: IfNotPresent,
        args: [netexec, --http-port=8080], readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}}]
`

// otherPorts has a port each in place of that of the setup. Lists of ports are merged by what they hold.
const otherPorts = `
{apiVersion: v1, kind: Service, metadata: {name: front}, spec: {type: NodePort, selector: {app: front}, ports: [{port: 81, targetPort: 8080}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: oven}
spec:
  selector: {matchLabels: {app: oven}}
  template:
    metadata: {labels: {app: oven}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.66.1", imagePullPolicy: IfNotPresent,
        args: [netexec, --http-port=8080], ports: [{containerPort: 8081}],
        readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}}]
`

// podsBy are the UIDs of a namespace's pods by their label app.
func podsBy(t *testing.T, c *check.Cluster, ns string) map[string][]types.UID {
	t.Helper()
	list, err := c.Owner.Kube.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]types.UID{}
	for _, p := range list.Items {
		found[p.Labels["app"]] = append(found[p.Labels["app"]], p.UID)
	}
	return found
}
