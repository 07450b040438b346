package check

import (
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

func service(name, clusterIP string, port int32) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"tier": "back"}},
		Spec:       corev1.ServiceSpec{ClusterIP: clusterIP, Ports: []corev1.ServicePort{{Port: port}}, Selector: map[string]string{"app": name}},
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	objects := func() []runtime.Object {
		return []runtime.Object{
			service("db", "None", 5432), service("web", "10.96.0.7", 80),
			&corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "a"}}},
			&appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "till"}},
		}
	}
	tests := []struct {
		name, text string
		want       verdict
	}{
		{"exists", "{kind: Service, name: db}", verdict{}},
		{"in lower case", "{kind: service, name: db}", verdict{}},
		{"in the plural", "{kind: Services, name: db}", verdict{}},
		{"by its short name", "{kind: svc, name: db}", verdict{}},
		{"by a short name, and does not exist", "{kind: deploy, name: dc}", verdict{failure: "there is no Deployment dc in namespace shop"}},
		{"exists in another group and namespace", "{kind: Deployment, namespace: bank, name: till}", verdict{}},
		{"exists in no namespace", `{kind: Namespace, name: shop, expect: ["object.metadata.labels.team == 'a'"]}`, verdict{}},
		{"does not exist", "{kind: Service, name: dc}", verdict{failure: "there is no Service dc in namespace shop"}},
		{"exists elsewhere", "{kind: Deployment, name: till}", verdict{failure: "there is no Deployment till in namespace shop"}},
		{"none with the labels", "{kind: Service, selector: tier=front}", verdict{failure: "there is no Service with labels tier=front in namespace shop"}},
		{"none at all", "{kind: Pod, any: true}", verdict{failure: "there is no Pod in namespace shop"}},
		{"as expected", `{kind: Service, name: db, expect: ["object.spec.clusterIP == 'None'", "object.spec.ports.exists(p, p.port == 5432)"]}`, verdict{}},
		{"not as expected, with what is", `{kind: Service, name: web, expect: ["object.spec.clusterIP == 'None'"]}`, verdict{failure: "Service web: spec.clusterIP = 10.96.0.7, want None"}},
		{"in the author's words", `{kind: Service, name: web, expect: [{cel: "object.spec.clusterIP == 'None'", says: web is not headless}]}`, verdict{failure: "web is not headless"}},
		{"the second expectation", `{kind: Service, name: db, expect: ["true", "object.spec.ports[0].port == 80"]}`, verdict{failure: "spec.ports[0].port = 5432"}},
		{"a field that is not there is a no", `{kind: Service, name: db, expect: ["object.spec.sessionAffinity == 'ClientIP'"]}`, verdict{failure: "Service db: spec.sessionAffinity is not set, want ClientIP"}},
		{"an element that is not there is a no", `{kind: Service, name: db, expect: ["object.spec.ports[1].port == 80"]}`, verdict{failure: "Service db: spec.ports[1] is not set, want 80"}},
		{"an optional field", `{kind: Service, name: db, expect: ["!has(object.spec.sessionAffinity)", "object.?spec.?nothing.orValue('') == ''"]}`, verdict{}},
		{"the wrong type is the author's fault", `{kind: Service, name: db, expect: ["object.spec.ports > 1"]}`, verdict{unknown: `evaluating "object.spec.ports > 1" on Service db: no such overload`}},
		{"not true or false", `{kind: Service, name: db, expect: ["object.spec.clusterIP"]}`, verdict{unknown: "the answer is None, not true or false"}},
		{"each must be so", `{kind: Service, selector: tier=back, expect: ["object.spec.clusterIP == 'None'"]}`, verdict{failure: "Service web: spec.clusterIP = 10.96.0.7"}},
		{"one is enough", `{kind: Service, any: true, expect: ["object.spec.ports[0].port == 80"]}`, verdict{}},
		{"not even one", `{kind: Service, any: true, expect: ["object.spec.ports[0].port == 81"]}`, verdict{failure: "spec.ports[0].port = 5432"}},
		{"all together", `{kind: Service, selector: tier=back, expect: ["objects.size() == 2"]}`, verdict{}},
		{"absent", "{kind: Service, name: dc, absent: true}", verdict{}},
		{"not absent", "{kind: Service, name: db, absent: true}", verdict{failure: "Service db is there, want none"}},
		{"none of them", "{kind: ConfigMap, absent: true}", verdict{}},
		{"some of them", "{kind: Service, selector: tier=back, absent: true}", verdict{failure: "is there, want none"}},
		{"in words, with what was seen", `{kind: Service, selector: tier=back, expect: ["objects.size() == 3"]}`, verdict{failure: "the number of services = 2, want 3"}},
		{"a kind that the cluster does not have", "{kind: Gateway, apiVersion: gateway.networking.k8s.io/v1, name: a}", verdict{failure: "there is no Gateway a in namespace shop: the cluster does not have this kind"}},
		{"none of a kind that the cluster does not have", "{kind: Gateway, apiVersion: gateway.networking.k8s.io/v1, name: a, absent: true}", verdict{}},
		{"a kind of another version", "{kind: Deployment, apiVersion: apps/v9, name: a}", verdict{failure: "the cluster does not have this kind"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf(objects()...)
			tt.want.check(t, mustCompile(t, "object: "+tt.text).Run(t.Context(), c))
		})
	}
}

func TestObjectWithABrokenAPI(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{kind: Service, name: db}":               "reading Service db: boom",
		"{kind: Service, name: db, absent: true}": "reading Service db: boom",
		"{kind: Service, any: true}":              "listing services: boom",
	} {
		c, _, dyn := clusterOf()
		dyn.PrependReactor("*", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("boom") })
		verdict{unknown: want}.check(t, mustCompile(t, "object: "+text).Run(t.Context(), c))
	}
}
