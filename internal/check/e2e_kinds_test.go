//go:build e2e

package check

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The kinds on a real cluster: each in a right state, in a wrong one, and where it cannot look.
const e2eNamespace = "kinds-e2e"

// snapshot is a baseline of live objects.
type snapshot map[string]*unstructured.Unstructured

func (s snapshot) Object(r schema.GroupVersionResource, _, name string) *unstructured.Unstructured {
	return s[r.Resource+"/"+name]
}

// e2eCluster is the cluster, and the same for somebody who has no rights.
func e2eCluster(t *testing.T) (c, blind *Cluster) {
	t.Helper()
	path := os.Getenv("KINDLAB_E2E_KUBECONFIG")
	if path == "" {
		t.Fatal("KINDLAB_E2E_KUBECONFIG names no cluster: run make e2e, or kindlab up and set it")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Connect(cfg); err != nil {
		t.Fatal(err)
	}
	nobody := rest.CopyConfig(cfg)
	nobody.Impersonate = rest.ImpersonationConfig{UserName: "kinds-nobody"}
	if blind, err = Connect(nobody); err != nil {
		t.Fatal(err)
	}
	return c, blind
}

// stageE2E puts what the checks look at on the cluster, and takes it away again.
func stageE2E(t *testing.T, c *Cluster) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	clean := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := c.Kube.CoreV1().Namespaces().Delete(ctx, e2eNamespace, metav1.DeleteOptions{})
		for ; err == nil && ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
			_, err = c.Kube.CoreV1().Namespaces().Get(ctx, e2eNamespace, metav1.GetOptions{})
		}
	}
	clean()
	t.Cleanup(clean)
	_, err := c.Kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: e2eNamespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "baseline"},
	}}, metav1.CreateOptions{})
	must(err)
	one, none := int32(1), int32(0)
	web := func(name string, replicas *int32) *appsv1.Deployment {
		labels := map[string]string{"app": name}
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: appsv1.DeploymentSpec{
			Replicas: replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "main", Image: "registry.k8s.io/pause:3.10", ImagePullPolicy: corev1.PullNever}},
			}},
		}}
	}
	_, err = c.Kube.AppsV1().Deployments(e2eNamespace).Create(ctx, web("web", &one), metav1.CreateOptions{})
	must(err)
	_, err = c.Kube.AppsV1().Deployments(e2eNamespace).Create(ctx, web("old", &none), metav1.CreateOptions{})
	must(err)
	_, err = c.Kube.CoreV1().ServiceAccounts(e2eNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bot"}}, metav1.CreateOptions{})
	must(err)
	_, err = c.Kube.RbacV1().RoleBindings(e2eNamespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "bot"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "bot", Namespace: e2eNamespace}},
	}, metav1.CreateOptions{})
	must(err)
}

func TestKindsOnACluster(t *testing.T) {
	c, blind := e2eCluster(t)
	stageE2E(t, c)
	answer := func(string) (string, bool) { return "10.96.0.1", true }
	c.Answer, blind.Answer = answer, answer
	live, err := c.Kube.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	address := live.Spec.ClusterIP
	c.Answer = func(string) (string, bool) { return address, true }
	blind.Answer = c.Answer
	tests := []struct{ name, right, wrong, is string }{
		{
			"object", "object: {kind: Deployment, name: web, expect: [ready(object), \"container(object, 'main').image.startsWith('registry.k8s.io/')\", \"condition(object, 'Available') == 'True'\"]}",
			"object: {kind: Deployment, name: web, expect: [object.spec.replicas >= 2]}", "Deployment web: spec.replicas = 1, want >= 2",
		},
		{"object, its pods", "object: {kind: Pod, selector: app=web, expect: [\"owner(object, 'ReplicaSet').startsWith('web-')\"]}", "object: {kind: Pod, selector: app=web, expect: [\"objects.all(p, p.spec.containers.all(c, c.image == 'nginx'))\"]}", "spec.containers[main].image = registry.k8s.io/pause:3.10, want nginx"},
		{"object, without a namespace", "object: {kind: Node, any: true, expect: [\"'node-role.kubernetes.io/control-plane' in object.metadata.labels && ready(object)\"]}", "object: {kind: Node, any: true, expect: [\"object.spec.?unschedulable.orValue(false)\"]}", "spec.unschedulable = false, want true"},
		{"object, by a short name", "object: {kind: deploy, name: web}", "object: {kind: svc, name: nothing}", "there is no Service nothing in namespace kinds-e2e"},
		{"object, of no kind", "object: {kind: Gadget, apiVersion: example.org/v1, name: a, absent: true}", "object: {kind: Gadget, apiVersion: example.org/v1, name: a}", "the cluster does not have this kind"},
		{"rollout", "rollout: {of: deployment/web, replicas: 1}", "rollout: {of: deployment/web, replicas: 2}", "deployment/web asks for 1 replicas, want 2"},
		{"rollout to zero", "rollout: {of: deployment/old, replicas: 0}", "rollout: {of: deployment/old}", "deployment/old asks for 0 replicas, want 1"},
		{
			"can", "can: {subjects: {bot: {serviceAccount: bot}}, actions: {read: {verb: list, resource: pods}, nodes: {verb: list, resource: nodes}}, expect: \"from read nodes\\nbot allow deny\"}",
			"can: {subjects: {bot: {serviceAccount: bot}}, actions: {read: {verb: list, resource: deployments}}, expect: \"from read\\nbot deny\"}", "bot is still allowed to list deployments in namespace kinds-e2e",
		},
		{"can, by the singular", "can: {subjects: {bot: {serviceAccount: bot}}, actions: {read: {verb: list, resource: pod}}, expect: \"from read\\nbot allow\"}", "can: {subjects: {bot: {serviceAccount: bot}}, actions: {read: {verb: list, resource: deploy}}, expect: \"from read\\nbot deny\"}", "bot is still allowed to list deployments in namespace kinds-e2e"},
		{"can, nobody", "can: {subjects: {nobody: {user: nobody}}, actions: {read: {verb: list, resource: pods, namespace: '*'}}, expect: \"from read\\nnobody deny\"}", "can: {subjects: {ghost: {serviceAccount: ghost}}, actions: {read: {verb: list, resource: pods}}, expect: \"from read\\nghost deny\"}", "there is no ServiceAccount ghost in namespace kinds-e2e"},
		{
			"admit", "admit: {object: {apiVersion: v1, kind: Pod, metadata: {name: sneaky}, spec: {hostNetwork: true, containers: [{name: a, image: a}]}}, admitted: false, reason: violates PodSecurity}",
			"admit: {object: {apiVersion: v1, kind: Pod, metadata: {name: polite}, spec: {containers: [{name: a, image: a}]}}, admitted: false, reason: violates PodSecurity}", "the API server admits Pod polite, want it refused",
		},
		{
			"admit, as", "admit: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, as: {serviceAccount: bot}, admitted: false, reason: cannot create resource}",
			"admit: {object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, as: {serviceAccount: bot}, admitted: true}", "the API server refuses ConfigMap a: configmaps is forbidden",
		},
		{"answer", "answer: {from: {kind: Service, namespace: default, name: kubernetes, value: object.spec.clusterIP}}", "answer: {from: {kind: Deployment, name: web, value: object.metadata.name}}", "is not right"},
		{"all", "all: [{object: {kind: Deployment, name: web}}, {rollout: {of: deployment/web}}]", "all: [{object: {kind: Deployment, name: web}}, {object: {kind: Deployment, name: wep}}]", "there is no Deployment wep in namespace kinds-e2e"},
		{"any", "any: [{object: {kind: Deployment, name: wep}}, {rollout: {of: deployment/web}}]", "any: [{object: {kind: Deployment, name: wep}}, {rollout: {of: deployment/wep}}]", "none of these is so"},
		{"none", "none: {says: it is there, checks: [{object: {kind: Deployment, name: wep}}]}", "none: {says: it is there, checks: [{object: {kind: Deployment, name: web}}]}", "it is there"},
	}
	settle(t, c, "rollout: {of: deployment/web}")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verdict{}.check(t, compileE2E(t, tt.right).Run(t.Context(), c))
			verdict{failure: tt.is}.check(t, compileE2E(t, tt.wrong).Run(t.Context(), c))
			if !strings.HasPrefix(tt.name, "object, of no kind") { // which needs no rights
				verdict{unknown: "forbidden"}.check(t, compileE2E(t, tt.right).Run(t.Context(), blind))
			}
		})
	}
}

func compileE2E(t *testing.T, text string) Check {
	t.Helper()
	l := labWith(t, text)
	check, problems := Builtin().Compile(Scope{Namespace: e2eNamespace, Task: "first"}, l.Tasks[0].Checks[0])
	if problems != nil {
		t.Fatal(problems)
	}
	return check
}

// settle waits until a check passes.
func settle(t *testing.T, c *Cluster, text string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := compileE2E(t, text).Run(t.Context(), c)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestUnchangedOnACluster(t *testing.T) {
	c, blind := e2eCluster(t)
	stageE2E(t, c)
	settle(t, c, "rollout: {of: deployment/web}")
	deployments := c.Dynamic.Resource(workloads()["deployment"]).Namespace(e2eNamespace)
	was, err := deployments.Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	unchanged := compileE2E(t, "unchanged: [deployment/web]")
	verdict{unknown: "no baseline was taken"}.check(t, unchanged.Run(t.Context(), c))
	c.Baseline = snapshot{"deployments/web": was}
	blind.Baseline = c.Baseline
	verdict{}.check(t, unchanged.Run(t.Context(), c))
	verdict{unknown: "forbidden"}.check(t, unchanged.Run(t.Context(), blind))

	patch := func(body string) {
		t.Helper()
		if _, err := deployments.Patch(t.Context(), "web", types.MergePatchType, []byte(body), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"metadata": {"annotations": {"note": "harmless"}}}`)
	verdict{}.check(t, unchanged.Run(t.Context(), c))
	patch(`{"spec": {"replicas": 3}}`)
	verdict{failure: "deployment/web was changed: spec.replicas = 3, want 1 as it was"}.check(t, unchanged.Run(t.Context(), c))
	verdict{}.check(t, compileE2E(t, "unchanged: {of: [deployment/web], except: [spec.replicas]}").Run(t.Context(), c))

	if err := deployments.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	verdict{failure: "deployment/web was deleted"}.check(t, unchanged.Run(t.Context(), c))
	again := was.DeepCopy()
	again.SetUID("")
	again.SetResourceVersion("")
	if _, err := deployments.Create(t.Context(), again, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	verdict{failure: "deployment/web was deleted and made again"}.check(t, unchanged.Run(t.Context(), c))
}
