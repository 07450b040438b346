package explain

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

func bindingDoc(name, namespace, role, subjects string) string {
	kind, place := "RoleBinding", ", namespace: "+namespace
	if namespace == "" {
		kind, place = "ClusterRoleBinding", ""
	}
	refKind, refName, _ := strings.Cut(role, "/")
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + place + "}, roleRef: {kind: " + refKind + ", name: " + refName + "}, subjects: [" + subjects + "]}"
}

func roleDoc(kind, name, rules string) string {
	place := ", namespace: bakery"
	if kind == "ClusterRole" {
		place = ""
	}
	return "{apiVersion: rbac.authorization.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + place + "}, rules: [" + rules + "]}"
}

func TestCan(t *testing.T) {
	t.Parallel()
	const (
		robot    = "system:serviceaccount:bakery:robot"
		robotDoc = "{kind: ServiceAccount, name: robot, namespace: bakery}"
		who      = "ServiceAccount robot of namespace bakery"
		lookRead = "kubectl -n bakery describe rolebinding read; kubectl -n bakery describe role reader"
		lookAll  = "kubectl get rolebindings,clusterrolebindings -A -o wide"
	)
	can := func(allowed bool, user, verb, resource string, change ...func(*authorizationv1.SubjectAccessReviewSpec)) step {
		spec := authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "bakery", Verb: verb, Resource: resource}}
		for _, c := range change {
			c(&spec)
		}
		return func(ctx context.Context, w Walker) (*Link, error) {
			v, err := w.Can(ctx, spec)
			if err != nil {
				return nil, err
			}
			if v.Allowed != allowed {
				t.Errorf("allowed is %v, want %v: %s", v.Allowed, allowed, v.Is)
			}
			return &v.Link, nil
		}
	}
	attributes := func(change func(*authorizationv1.ResourceAttributes)) func(*authorizationv1.SubjectAccessReviewSpec) {
		return func(s *authorizationv1.SubjectAccessReviewSpec) { change(s.ResourceAttributes) }
	}
	path := func(s *authorizationv1.SubjectAccessReviewSpec) {
		s.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/metrics/cadvisor"}
		s.ResourceAttributes = nil
	}
	groups := func(all ...string) func(*authorizationv1.SubjectAccessReviewSpec) {
		return func(s *authorizationv1.SubjectAccessReviewSpec) { s.Groups = all }
	}
	reader := docs(roleDoc("Role", "reader", "{apiGroups: [''], resources: [configmaps], verbs: [get]}, {apiGroups: [''], resources: [pods], verbs: [get, list]}"), bindingDoc("read", "bakery", "Role/reader", robotDoc))
	named := docs(roleDoc("Role", "reader", "{apiGroups: [''], resources: [pods], resourceNames: [oven], verbs: ['*']}"), bindingDoc("read", "bakery", "Role/reader", robotDoc))
	runChain(t, []chainTest{
		// Granted.
		{name: "a rule", objects: reader, walk: can(true, robot, "list", "pods"), object: "RoleBinding read", is: who + " may list pods in namespace bakery: RoleBinding read gives it Role reader, whose rules[1] allows that", look: lookRead},
		{
			name: "a ClusterRole for the cluster", objects: docs(roleDoc("ClusterRole", "all", "{apiGroups: ['*'], resources: ['*'], verbs: ['*']}"), bindingDoc("root", "", "ClusterRole/all", "{kind: User, name: jane}")),
			walk:   can(true, "jane", "delete", "nodes", attributes(func(a *authorizationv1.ResourceAttributes) { a.Namespace, a.Group = "", "x" })),
			object: "ClusterRoleBinding root", is: "User jane may delete nodes.x in all namespaces: ClusterRoleBinding root gives it ClusterRole all, whose rules[0] allows that", look: "kubectl describe clusterrolebinding root; kubectl describe clusterrole all",
		},
		{
			name: "a ClusterRole for a namespace, a group and a subresource", objects: docs(roleDoc("ClusterRole", "logs", "{apiGroups: [''], resources: ['*/log'], verbs: [get]}"), bindingDoc("read", "bakery", "ClusterRole/logs", "{kind: Group, name: staff}")),
			walk:   can(true, "jane", "get", "pods", groups("staff"), attributes(func(a *authorizationv1.ResourceAttributes) { a.Subresource = "log" })),
			object: "RoleBinding read", is: "User jane may get pods/log in namespace bakery: RoleBinding read gives it ClusterRole logs, whose rules[0] allows that", look: "kubectl -n bakery describe rolebinding read; kubectl describe clusterrole logs",
		},
		{
			name: "a ServiceAccount of the binding's own namespace", objects: docs(roleDoc("Role", "reader", "{apiGroups: [''], resources: [pods], verbs: [get]}"), bindingDoc("read", "bakery", "Role/reader", "{kind: ServiceAccount, name: robot}")),
			walk: can(true, robot, "get", "pods"), object: "RoleBinding read", is: who + " may get pods in namespace bakery: RoleBinding read gives it Role reader, whose rules[0] allows that", look: lookRead,
		},
		{name: "a name", objects: named, walk: can(true, robot, "get", "pods", attributes(func(a *authorizationv1.ResourceAttributes) { a.Name = "oven" })), object: "RoleBinding read", is: who + " may get pods oven in namespace bakery: RoleBinding read gives it Role reader, whose rules[0] allows that", look: lookRead},
		{
			name: "a path", objects: docs(roleDoc("ClusterRole", "metrics", "{nonResourceURLs: ['/metrics/*'], verbs: [get]}"), bindingDoc("m", "", "ClusterRole/metrics", "{kind: User, name: jane}")),
			walk: can(true, "jane", "", "", path), object: "ClusterRoleBinding m", is: "User jane may get /metrics/cadvisor: ClusterRoleBinding m gives it ClusterRole metrics, whose rules[0] allows that", look: "kubectl describe clusterrolebinding m; kubectl describe clusterrole metrics",
		},
		{name: "masters", walk: can(true, "jane", "get", "pods", groups("system:masters")), object: "Group system:masters", is: "User jane is of group system:masters, which may do everything, whatever the bindings say", look: "kubectl auth whoami"},

		// Refused.
		{name: "nobody names it", objects: docs(bindingDoc("read", "bakery", "Role/reader", "{kind: User, name: someone}")), walk: can(false, robot, "get", "pods"), object: who, is: who + " may not get pods in namespace bakery: no RoleBinding or ClusterRoleBinding names it", look: lookAll},
		{name: "no verb", objects: reader, walk: can(false, robot, "delete", "pods"), object: "RoleBinding read", is: who + " may not delete pods in namespace bakery: RoleBinding read gives Role reader, whose rules[1] allows get and list on pods", look: lookRead},
		{name: "no resource", objects: reader, walk: can(false, robot, "get", "secrets"), object: "RoleBinding read", is: who + " may not get secrets in namespace bakery: RoleBinding read gives Role reader, whose rules[0] allows get on configmaps", look: lookRead},
		{name: "a subresource is another resource", objects: reader, walk: can(false, robot, "get", "pods", attributes(func(a *authorizationv1.ResourceAttributes) { a.Subresource = "log" })), object: "RoleBinding read", is: who + " may not get pods/log in namespace bakery: RoleBinding read gives Role reader, whose rules[0] allows get on configmaps", look: lookRead},
		{name: "no API group", objects: reader, walk: can(false, robot, "get", "pods", attributes(func(a *authorizationv1.ResourceAttributes) { a.Group = "metrics.k8s.io" })), object: "RoleBinding read", is: who + ` may not get pods.metrics.k8s.io in namespace bakery: RoleBinding read gives Role reader, whose rules[1] allows get and list on pods in the API group "" only`, look: lookRead},
		{name: "another name", objects: named, walk: can(false, robot, "get", "pods", attributes(func(a *authorizationv1.ResourceAttributes) { a.Name = "till" })), object: "RoleBinding read", is: who + " may not get pods till in namespace bakery: RoleBinding read gives Role reader, whose rules[0] allows * on pods named oven only", look: lookRead},
		{name: "a list has no name", objects: named, walk: can(false, robot, "list", "pods"), object: "RoleBinding read", is: who + " may not list pods in namespace bakery: RoleBinding read gives Role reader, whose rules[0] allows * on pods named oven only", look: lookRead},
		{name: "another namespace", objects: reader, walk: can(false, robot, "get", "pods", attributes(func(a *authorizationv1.ResourceAttributes) { a.Namespace = "shop" })), object: "RoleBinding read", is: who + " may not get pods in namespace shop: RoleBinding read of namespace bakery counts there only", look: lookRead},
		{name: "all namespaces", objects: reader, walk: can(false, robot, "get", "pods", attributes(func(a *authorizationv1.ResourceAttributes) { a.Namespace = "" })), object: "RoleBinding read", is: who + " may not get pods in all namespaces: RoleBinding read of namespace bakery counts there only", look: lookRead},
		{name: "no role behind the binding", objects: docs(reader, bindingDoc("lost", "bakery", "Role/raeder", "{kind: User, name: jane}")), walk: can(false, "jane", "get", "pods"), object: "Role raeder", is: "User jane may not get pods in namespace bakery: RoleBinding lost names Role raeder, which does not exist; there is reader", look: "kubectl -n bakery describe rolebinding lost; kubectl -n bakery describe role raeder"},
		{name: "no ClusterRole behind the binding", objects: docs(roleDoc("ClusterRole", "view", ""), bindingDoc("lost", "", "ClusterRole/veiw", "{kind: User, name: jane}")), walk: can(false, "jane", "get", "pods"), object: "ClusterRole veiw", is: "User jane may not get pods in namespace bakery: ClusterRoleBinding lost names ClusterRole veiw, which does not exist; there is view", look: "kubectl describe clusterrolebinding lost; kubectl describe clusterrole veiw"},
		{name: "a role without rules", objects: docs(roleDoc("Role", "reader", ""), bindingDoc("read", "bakery", "Role/reader", robotDoc)), walk: can(false, robot, "get", "pods"), object: "RoleBinding read", is: who + " may not get pods in namespace bakery: RoleBinding read gives Role reader, which has no rules", look: lookRead},
		{name: "the account of another namespace", objects: strings.ReplaceAll(reader, robotDoc, "{kind: ServiceAccount, name: robot, namespace: default}"), walk: can(false, robot, "get", "pods"), object: "RoleBinding read", is: who + " may not get pods in namespace bakery: RoleBinding read names ServiceAccount robot of namespace default", look: lookRead},
		{name: "an account with a typo", objects: strings.ReplaceAll(reader, robotDoc, "{kind: ServiceAccount, name: robbot, namespace: bakery}"), walk: can(false, robot, "get", "pods"), object: "RoleBinding read", is: who + " may not get pods in namespace bakery: RoleBinding read names ServiceAccount robbot", look: lookRead},
		{name: "a user of the account's name", objects: strings.ReplaceAll(reader, robotDoc, "{kind: User, name: robot}"), walk: can(false, robot, "get", "pods"), object: "RoleBinding read", is: who + " may not get pods in namespace bakery: RoleBinding read names User robot", look: lookRead},
		{name: "a group of the user's name", objects: strings.ReplaceAll(reader, robotDoc, "{kind: Group, name: jane}"), walk: can(false, "jane", "get", "pods"), object: "RoleBinding read", is: "User jane may not get pods in namespace bakery: RoleBinding read names Group jane", look: lookRead},
		{name: "a user with a typo, and no right anyway", objects: strings.ReplaceAll(reader, robotDoc, "{kind: User, name: jan}"), walk: can(false, "jane", "delete", "pods"), object: "RoleBinding read", is: "User jane may not delete pods in namespace bakery: RoleBinding read names User jan, and it gives Role reader, whose rules[1] allows get and list on pods", look: lookRead},
		{
			name: "the nearest of two", objects: docs(reader, roleDoc("ClusterRole", "nodes", "{apiGroups: [''], resources: [nodes], verbs: [list]}"), bindingDoc("a", "", "ClusterRole/nodes", robotDoc)), walk: can(false, robot, "delete", "pods"),
			object: "RoleBinding read", is: who + " may not delete pods in namespace bakery: RoleBinding read gives Role reader, whose rules[1] allows get and list on pods", look: lookRead,
		},
		{
			name: "what everyone has is not near", walk: can(false, "jane", "get", "pods", groups("system:authenticated")), object: "User jane", look: lookAll,
			objects: docs(roleDoc("ClusterRole", "basic", "{apiGroups: [x], resources: [reviews], verbs: [create]}"), strings.Replace(bindingDoc("basic", "", "ClusterRole/basic", "{kind: Group, name: system:authenticated}"), "metadata: {", "metadata: {labels: {kubernetes.io/bootstrapping: rbac-defaults}, ", 1)),
			is:      "User jane may not get pods in namespace bakery: no RoleBinding or ClusterRoleBinding names it",
		},
	})
	if _, err := (Walker{}).Can(t.Context(), authorizationv1.SubjectAccessReviewSpec{User: "jane"}); err == nil {
		t.Error("a request for nothing was answered")
	}
}

// Rules match as the API server matches them.
func TestMissing(t *testing.T) {
	t.Parallel()
	type rule = rbacv1.PolicyRule
	for _, tt := range []struct {
		name        string
		rule        rule
		resource    string
		subresource string
		grants      bool
	}{
		{"everything", rule{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}, "pods", "log", true},
		{"exact subresource", rule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods/log"}}, "pods", "log", true},
		{"a subresource of all", rule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"*/log"}}, "pods", "log", true},
		{"and not the resource", rule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"*/log"}}, "pods", "", false},
		{"resource is not its subresource", rule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}, "pods", "log", false},
		{"pods/* is no pattern", rule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods/*"}}, "pods", "log", false},
		{"no group is no core group", rule{Verbs: []string{"get"}, Resources: []string{"pods"}}, "pods", "", false},
	} {
		q := request{authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: tt.resource, Subresource: tt.subresource}}}
		if got := len(q.missing(tt.rule)) == 0; got != tt.grants {
			t.Errorf("%s: granted is %v", tt.name, got)
		}
	}
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{{"*", "/x", true}, {"/healthz", "/healthz", true}, {"/healthz", "/healthz/x", false}, {"/healthz/*", "/healthz/x", true}, {"/healthz/*", "/healthz", false}} {
		if pathMatches(tt.pattern, tt.path) != tt.want {
			t.Errorf("pathMatches(%q, %q) is not %v", tt.pattern, tt.path, tt.want)
		}
	}
}
