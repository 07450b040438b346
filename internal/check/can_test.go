package check

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

const whoCan = `can:
  subjects: {bot: {serviceAccount: bot}, anna: {user: anna, groups: [dev]}}
  actions: {read: {verb: list, resource: pods}, scale: {verb: patch, resource: deployments, subresource: scale, name: web}, nodes: {verb: get, resource: nodes}}
  expect: |
    from  read   scale  nodes
    bot   allow  deny   -
    anna  allow  allow  deny
`

// authorizer answers reviews, and remembers what it was asked.
func authorizer(t *testing.T, allowed map[string]bool, objects ...runtime.Object) (*Cluster, chan authorizationv1.SubjectAccessReviewSpec) {
	t.Helper()
	c, kube, _ := clusterOf(objects...)
	asked := make(chan authorizationv1.SubjectAccessReviewSpec, 20)
	kube.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SubjectAccessReview).DeepCopy()
		asked <- review.Spec
		what := review.Spec.ResourceAttributes
		key := review.Spec.User[strings.LastIndex(review.Spec.User, ":")+1:] + " " + what.Verb + " " + what.Resource
		ok, known := allowed[key]
		if !known {
			return true, nil, errors.New("nobody expected " + key)
		}
		review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: ok}
		if !ok {
			review.Status.EvaluationError = `role "scaler" not found`
		}
		return true, review, nil
	})
	return c, asked
}

func TestCan(t *testing.T) {
	t.Parallel()
	bot := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}}
	right := map[string]bool{"bot list pods": true, "bot patch deployments": false, "anna list pods": true, "anna patch deployments": true, "anna get nodes": false}
	but := func(key string, allowed bool) map[string]bool {
		out := maps.Clone(right)
		out[key] = allowed
		return out
	}
	broken := but("bot list pods", true)
	delete(broken, "anna list pods")
	tests := []struct {
		name    string
		allowed map[string]bool
		objects []runtime.Object
		want    verdict
	}{
		{"as wanted", right, []runtime.Object{bot}, verdict{}},
		{"too much", but("bot patch deployments", true), []runtime.Object{bot}, verdict{failure: "bot is still allowed to patch deployments/scale web in namespace shop"}},
		{"everything", map[string]bool{"bot list pods": true, "bot patch deployments": true, "anna list pods": true, "anna patch deployments": true, "anna get nodes": true}, []runtime.Object{bot}, verdict{failure: "bot is still allowed to patch deployments/scale web in namespace shop; anna is still allowed to get nodes"}},
		{"too little", but("anna list pods", false), []runtime.Object{bot}, verdict{failure: "anna is not allowed to list pods in namespace shop"}},
		{"no such ServiceAccount", right, nil, verdict{failure: "there is no ServiceAccount bot in namespace shop"}},
		{"no answer", broken, []runtime.Object{bot}, verdict{unknown: "asking what anna may do: nobody expected anna list pods"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _ := authorizer(t, tt.allowed, tt.objects...)
			tt.want.check(t, mustCompile(t, whoCan).Run(t.Context(), c))
		})
	}
}

func TestCanShowsTheTableAndTheCommand(t *testing.T) {
	t.Parallel()
	c, asked := authorizer(t, map[string]bool{"bot list pods": true, "bot patch deployments": true, "anna list pods": true, "anna patch deployments": false, "anna get nodes": false},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}})
	f, _ := errors.AsType[*Failure](mustCompile(t, whoCan).Run(t.Context(), c))
	want := &Failure{
		Is:   "bot is still allowed to patch deployments/scale web in namespace shop; anna is not allowed to patch deployments/scale web in namespace shop",
		Look: "kubectl -n shop auth can-i patch deployments.apps/web --as=system:serviceaccount:shop:bot --subresource=scale",
		More: []string{
			"      read   scale             nodes",
			"bot   allow  allow, want deny  -",
			"anna  allow  deny, want allow  deny",
			`role "scaler" not found`,
		},
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	close(asked)
	for spec := range asked {
		if spec.ResourceAttributes.Resource == "nodes" && (spec.ResourceAttributes.Namespace != "" || !cmp.Equal(spec.Groups, []string{"dev", "system:authenticated"})) {
			t.Errorf("asked for nodes with %+v of %+v, want no namespace and the groups", spec.ResourceAttributes, spec)
		}
		if spec.ResourceAttributes.Resource == "deployments" && spec.ResourceAttributes.Group != "apps" {
			t.Errorf("asked for %+v, want the group apps", spec.ResourceAttributes)
		}
	}
}

func TestCanWithABrokenAPI(t *testing.T) {
	t.Parallel()
	c, kube, _ := clusterOf()
	kube.PrependReactor("get", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("boom") })
	verdict{unknown: "reading ServiceAccount bot: boom"}.check(t, mustCompile(t, whoCan).Run(t.Context(), c))
	text := strings.Replace(whoCan, "resource: pods", "resource: gadgets", 1)
	c, _ = authorizer(t, nil, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}})
	verdict{unknown: "finding resource gadgets on the cluster"}.check(t, mustCompile(t, text).Run(t.Context(), c))
}

func TestProblemsOfCan(t *testing.T) {
	t.Parallel()
	tests := []struct{ subject, want string }{
		{"{}", "expected either user or serviceAccount"},
		{"{user: a, serviceAccount: b}", "expected either user or serviceAccount"},
		{"{serviceAccount: b, groups: [a]}", "a ServiceAccount's groups are known: expected none"},
		{"{serviceAccount: a/b/c}", `expected a ServiceAccount such as deployer or shop/deployer, found "a/b/c"`},
	}
	for _, tt := range tests {
		_, problems := compile(t, `can: {subjects: {s: `+tt.subject+`}, actions: {a: {verb: get, resource: pods}}, expect: "from a\ns deny"}`)
		if len(problems) != 1 || !strings.Contains(problems[0], tt.want) {
			t.Errorf("%s: got %q, want %s", tt.subject, problems, tt.want)
		}
	}
}
