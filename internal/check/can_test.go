package check

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/lab"
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
	asked := make(chan authorizationv1.SubjectAccessReviewSpec, 200)
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
			check := mustCompile(t, whoCan)
			synctest.Test(t, func(t *testing.T) {
				c, _ := authorizer(t, tt.allowed, tt.objects...)
				tt.want.check(t, check.Run(t.Context(), c))
			})
		})
	}
}

func TestCanShowsTheTableAndTheCommand(t *testing.T) {
	t.Parallel()
	check := mustCompile(t, whoCan)
	synctest.Test(t, func(t *testing.T) { canShows(t, check) })
}

func canShows(t *testing.T, check Check) {
	t.Helper()
	c, asked := authorizer(t, map[string]bool{"bot list pods": true, "bot patch deployments": true, "anna list pods": true, "anna patch deployments": false, "anna get nodes": false},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}})
	f, _ := errors.AsType[*Failure](check.Run(t.Context(), c))
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
	if diff := cmp.Diff(want, f, cmpopts.IgnoreUnexported(Failure{})); diff != "" {
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

// The API server's authorizer learns late of a new binding: what it says at first is not believed, neither way.
func TestCanWaitsForTheAuthorizer(t *testing.T) {
	t.Parallel()
	bot := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}}
	const one = "can:\n  subjects: {bot: {serviceAccount: bot}}\n  actions: {read: {verb: list, resource: pods}}\n  expect: |\n    from  read\n    bot   "
	for _, tt := range []struct {
		name, want   string
		first, later bool
		quick        bool
		is           verdict
	}{
		{name: "allowed a moment later", want: "allow", later: true},
		{name: "denied a moment later", want: "deny", first: true},
		{name: "never allowed", want: "allow", is: verdict{failure: "bot is not allowed to list pods"}},
		{name: "not allowed at a glance", want: "allow", quick: true, later: true, is: verdict{failure: "bot is not allowed to list pods", settling: true}},
		{name: "allowed at a glance, a moment after a change", want: "allow", first: true, quick: true, is: verdict{failure: "something changed a moment ago", settling: true}},
		{name: "allowed a moment after a change, and then no more", want: "allow", first: true, is: verdict{failure: "bot is not allowed to list pods"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			check := mustCompile(t, one+tt.want)
			synctest.Test(t, func(t *testing.T) {
				binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "b"}}
				now := metav1.Now()
				binding.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &now}}
				allowed := map[string]bool{"bot list pods": tt.first}
				c, asked := authorizer(t, allowed, bot, binding)
				c.Quick = tt.quick
				begun := time.Now()
				c.Kube.(*kubefake.Clientset).PrependReactor("create", "subjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
					if time.Since(begun) > 0 {
						allowed["bot list pods"] = tt.later
					}
					return false, nil, nil
				})
				tt.is.check(t, check.Run(t.Context(), c))
				if again := len(asked) > 1; again == tt.quick {
					t.Errorf("asked %d times", len(asked))
				}
			})
		})
	}
}

func TestVirtualResourcesCanBeAskedFor(t *testing.T) {
	t.Parallel()
	for resource, group := range map[string]string{"users": "", "groups": "", "uids": "authentication.k8s.io"} {
		a := action{Verb: "impersonate", Resource: resource, Namespace: "shop"}
		got, err := a.attributes(nil)
		if err != nil || got.Group != group || got.Namespace != "" || got.Resource != resource {
			t.Errorf("%s: %+v, %v", resource, got, err)
		}
	}
	star := authorizationv1.ResourceAttributes{Verb: "*", Resource: "*", Namespace: "shop"}
	if got := canI(subject{User: "ida", account: "x"}, star); got != "kubectl -n shop auth can-i '*' '*' --as=ida" {
		t.Error(got)
	}
}

func TestCanWithABrokenAPI(t *testing.T) {
	t.Parallel()
	c, kube, _ := clusterOf()
	kube.PrependReactor("get", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("boom") })
	verdict{unknown: "reading ServiceAccount bot: boom"}.check(t, mustCompile(t, whoCan).Run(t.Context(), c))
	text := strings.Replace(whoCan, "resource: pods", "resource: gadgets", 1)
	c, _ = authorizer(t, nil, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}})
	problems, bad := errors.AsType[lab.Problems](mustCompile(t, text).Run(t.Context(), c))
	if !bad || !strings.Contains(problems.Error(), `expected a resource of the cluster, as kubectl api-resources lists them, found "gadgets"`) {
		t.Errorf("a resource that the cluster does not know: %v", problems)
	}
}

// The authorizer knows a resource by one name only: asked by another, it denies everything.
func TestAnyNameOfAResourceWillDo(t *testing.T) {
	t.Parallel()
	bot := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bot"}}
	for _, name := range []string{"pods", "pod", "po", "Pod"} {
		c, _ := authorizer(t, map[string]bool{"bot list pods": true}, bot)
		text := `can: {subjects: {bot: {serviceAccount: bot}}, actions: {a: {verb: list, resource: ` + name + `}}, expect: "from a\nbot allow"}`
		if err := mustCompile(t, text).Run(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAVerbThatNobodyKnowsProvesNothing(t *testing.T) {
	t.Parallel()
	compiles := func(action string) []string {
		_, problems := compile(t, `can: {subjects: {s: {user: a}}, actions: {a: `+action+`}, expect: "from a\ns deny"}`)
		return problems
	}
	if got := compiles("{verb: read, resource: secrets}"); len(got) != 1 || !strings.Contains(got[0], `found "read"`) {
		t.Errorf("read: %q", got)
	}
	if got := compiles("{verb: drive, resource: cars, group: example.org}"); got != nil {
		t.Errorf("a verb of somebody's own: %q", got)
	}
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
