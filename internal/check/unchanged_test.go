package check

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// recorded is a baseline of objects.
type recorded []runtime.Object

func (r recorded) Object(resource schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	for _, o := range r {
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		u := &unstructured.Unstructured{Object: m}
		if err == nil && u.GetName() == name && u.GetNamespace() == namespace && strings.EqualFold(u.GetKind()+"s", resource.Resource) {
			return u
		}
	}
	return nil
}

func TestUnchanged(t *testing.T) {
	t.Parallel()
	web := func(change func(*appsv1.Deployment)) *appsv1.Deployment {
		return deployment(func(d *appsv1.Deployment) {
			d.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}
			d.UID, d.Labels = "one", map[string]string{"app": "web"}
			d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "log", Image: "a"}, {Name: "web", Image: "nginx:1.25"}}
			if change != nil {
				change(d)
			}
		})
	}
	settings := func(value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "settings", UID: "two"}, Data: map[string]string{"colour": value}}
	}
	password := func(value string) *corev1.Secret {
		return &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "password", UID: "three"}, Data: map[string][]byte{"value": []byte(value)}}
	}
	namespace := func(label string) *corev1.Namespace {
		return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "four", Labels: map[string]string{"team": label}}}
	}
	sealed := func(node string, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "five", Labels: labels},
			Spec:       corev1.PodSpec{NodeName: node},
		}
	}
	more := func(d *appsv1.Deployment) { *d.Spec.Replicas = 5 }
	image := func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[1].Image = "nginx:1.27" }
	now := metav1.Now()
	tests := []struct {
		name, text string
		was, is    runtime.Object
		want       verdict
	}{
		{"nothing", "[deployment/web]", web(nil), web(nil), verdict{}},
		{"what does not count", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) {
			d.Annotations, d.Generation, d.Status.Replicas = map[string]string{"deployment.kubernetes.io/revision": "2"}, 9, 1
		}), verdict{}},
		{"a number", "[deployment/web]", web(nil), web(more), verdict{failure: "deployment/web was changed: spec.replicas = 5, want 2 as it was"}},
		{"an element of a list", "[deployment/web]", web(nil), web(image), verdict{failure: "deployment/web was changed: spec.template.spec.containers[web].image = nginx:1.27, want nginx:1.25 as it was"}},
		{"an element more", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "spy"})
		}), verdict{failure: "spec.template.spec.containers[spy] = {name: spy, resources: {}}, want nothing as it was"}},
		{"the order of a list", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) {
			c := d.Spec.Template.Spec.Containers
			c[0], c[1] = c[1], c[0]
		}), verdict{failure: "spec.template.spec.containers = [{image: \"nginx:1.25\", name: web"}},
		{"a label", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) { d.Labels = nil }), verdict{failure: "deployment/web was changed: metadata = nothing, want {labels: {app: web}} as it was"}},
		{"several", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) { more(d); image(d); d.Labels["app"] = "x"; d.Spec.Paused = true }), verdict{failure: "metadata.labels.app = x, spec.replicas = 5, spec.template.spec.containers[web].image = nginx:1.27, and 1 more, want web, 2, nginx:1.25 as they were"}},
		{"what may change", "{of: [deployment/web], except: [spec.replicas]}", web(nil), web(more), verdict{}},
		{"more than what may change", "{of: [deployment/web], except: [spec.replicas]}", web(nil), web(func(d *appsv1.Deployment) { more(d); image(d) }), verdict{failure: "containers[web].image"}},
		{"a part of what may change", "{of: [deployment/web], except: [spec.template]}", web(nil), web(image), verdict{}},
		{"not only by the beginning of its name", "{of: [deployment/web], except: [spec.rep]}", web(nil), web(more), verdict{failure: "spec.replicas = 5"}},
		{"made again", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) { d.UID = "other" }), verdict{failure: "deployment/web was deleted and made again, want the one that the lab began with"}},
		{"deleted", "[deployment/web]", web(nil), nil, verdict{failure: "deployment/web was deleted, want the one that the lab began with"}},
		{"being deleted", "[deployment/web]", web(nil), web(func(d *appsv1.Deployment) { d.DeletionTimestamp, d.Finalizers = &now, []string{"a/b"} }), verdict{failure: "deployment/web is being deleted"}},
		{"data", "[configmap/settings]", settings("blue"), settings("red"), verdict{failure: "configmap/settings was changed: data.colour = red, want blue as it was"}},
		{"a secret is not told", "[secret/password]", password("old"), password("new"), verdict{failure: "secret/password was changed: data.value = something else, want what it was as it was"}},
		{"without a namespace", "[namespace/shop]", namespace("a"), namespace("b"), verdict{failure: "namespace/shop was changed: metadata.labels.team = b, want a as it was"}},
		{"placed meanwhile", "[pod/web]", sealed("", nil), sealed("n1", nil), verdict{}},
		{"placed, and changed", "[pod/web]", sealed("", nil), sealed("n1", map[string]string{"a": "b"}), verdict{failure: "pod/web was changed: metadata"}},
		{"moved", "[pod/web]", sealed("n1", nil), sealed("n2", nil), verdict{failure: "pod/web was changed: spec.nodeName = n2, want n1 as it was"}},
		{"not recorded", "[deployment/web]", settings("blue"), web(nil), verdict{unknown: "the baseline does not hold deployment/web"}},
		{"no such kind", "[gadget/web]", web(nil), web(nil), verdict{unknown: `expected kinds that the cluster has, found "gadget"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf()
			if tt.is != nil {
				c, _, _ = clusterOf(tt.is)
			}
			c.Baseline = recorded{tt.was}
			tt.want.check(t, mustCompile(t, "unchanged: "+tt.text).Run(t.Context(), c))
		})
	}
}

func TestUnchangedWithoutAnswer(t *testing.T) {
	t.Parallel()
	c, _, dyn := clusterOf(deployment(nil))
	check := mustCompile(t, "unchanged: [deployment/web]")
	err := check.Run(t.Context(), c)
	verdict{unknown: "no baseline was taken"}.check(t, err)
	if remedy.Of(err) != "kindlab reset" {
		t.Errorf("the remedy is %q", remedy.Of(err))
	}
	d := deployment(nil)
	d.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}
	c.Baseline = recorded{d}
	dyn.PrependReactor("get", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(appsv1.Resource("deployments"), "web", nil)
	})
	verdict{unknown: "reading deployment web: deployments.apps \"web\" is forbidden"}.check(t, check.Run(t.Context(), c))
}

func TestProblemsOfUnchanged(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[]":                              "expected at least one object",
		"{except: [spec]}":                `missing key "of"`,
		"{of: [a/b], except: [status.x]}": `expected fields that count, such as spec.replicas, found "status.x"`,
		"[deployment]":                    "expected an object such as deployment/web",
	} {
		if _, problems := compile(t, "unchanged: "+text); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %s", text, problems, want)
		}
	}
}
