package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Can asks RBAC which binding, role and rule grant a request, or what comes nearest to granting it. User and groups
// are taken as they stand, as the API server does: it adds no group to them. It says nothing about what other
// authorizers may allow.
func (w Walker) Can(ctx context.Context, request authorizationv1.SubjectAccessReviewSpec) (*Verdict, error) {
	return w.walk().can(ctx, request)
}

func (k *walk) can(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (*Verdict, error) {
	q := request{spec}
	if (q.ResourceAttributes == nil) == (q.NonResourceAttributes == nil) {
		return nil, errors.New("explaining a right: expected either a resource or a path that is no resource")
	}
	const masters = "system:masters"
	if slices.Contains(q.Groups, masters) {
		return &Verdict{true, *k.broken("Group "+masters, "kubectl auth whoami",
			"%s is of group %s, which may do everything, whatever the bindings say", q.subject(), masters)}, nil
	}
	all, err := k.grants(ctx)
	if err != nil {
		return nil, err
	}
	var nearest *candidate
	for _, g := range all {
		c := q.held(g)
		switch {
		case c == nil:
		case len(c.lacks) == 0:
			return &Verdict{true, *k.granted(q, c)}, nil
		case g.stock && !slices.Contains(c.lacks, lacksSubject) && len(c.lacks) > 1, g.stock && c.subject != "":
			// What every cluster grants to everyone is near to no request.
		case nearest == nil || slices.Compare(rank(nearest.lacks), rank(c.lacks)) > 0:
			nearest = c
		}
	}
	link, err := k.refusedTo(ctx, q, nearest)
	if err != nil {
		return nil, err
	}
	return &Verdict{false, *link}, nil
}

// grants are all bindings with their roles, those of the whole cluster first.
func (k *walk) grants(ctx context.Context) ([]grant, error) {
	clusterRoles, err := k.clusterRoles(ctx)
	if err != nil {
		return nil, err
	}
	roles, err := k.roles(ctx)
	if err != nil {
		return nil, err
	}
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range clusterRoles {
		rules["ClusterRole/"+r.Name] = r.Rules
	}
	for _, r := range roles {
		rules["Role/"+r.Namespace+"/"+r.Name] = r.Rules
	}
	forCluster, err := k.clusterRoleBindings(ctx)
	if err != nil {
		return nil, err
	}
	forNamespace, err := k.roleBindings(ctx)
	if err != nil {
		return nil, err
	}
	var all []grant
	for _, b := range forCluster {
		g := grant{kind: "ClusterRoleBinding", name: b.Name, subjects: b.Subjects, ref: b.RoleRef, stock: isStock(b.Labels)}
		g.rules, g.found = rules["ClusterRole/"+b.RoleRef.Name]
		all = append(all, g)
	}
	for _, b := range forNamespace {
		g := grant{kind: "RoleBinding", namespace: b.Namespace, name: b.Name, subjects: b.Subjects, ref: b.RoleRef, stock: isStock(b.Labels)}
		key := "ClusterRole/" + b.RoleRef.Name
		if b.RoleRef.Kind == "Role" {
			key = "Role/" + b.Namespace + "/" + b.RoleRef.Name
		}
		g.rules, g.found = rules[key]
		all = append(all, g)
	}
	slices.SortStableFunc(all, func(a, b grant) int { return cmp.Compare(a.namespace, b.namespace) })
	return all, nil
}

func isStock(labels map[string]string) bool {
	return labels["kubernetes.io/bootstrapping"] == "rbac-defaults"
}

func (g grant) look() string {
	if g.namespace == "" {
		return fmt.Sprintf("kubectl describe clusterrolebinding %s; kubectl describe clusterrole %s", g.name, g.ref.Name)
	}
	if g.ref.Kind == "ClusterRole" {
		return fmt.Sprintf("kubectl -n %s describe rolebinding %s; kubectl describe clusterrole %s", g.namespace, g.name, g.ref.Name)
	}
	return fmt.Sprintf("kubectl -n %s describe rolebinding %s; kubectl -n %s describe role %s", g.namespace, g.name, g.namespace, g.ref.Name)
}

func (g grant) role() string { return g.ref.Kind + " " + g.ref.Name }

func (k *walk) granted(q request, c *candidate) *Link {
	return k.broken(c.words(c.namespace), c.look(), "%s may %s: %s gives it %s, whose rules[%d] allows that",
		q.subject(), q.words(), c.words(q.namespace()), c.role(), c.rule)
}

// refusedTo tells what the nearest binding lacks.
func (k *walk) refusedTo(ctx context.Context, q request, c *candidate) (*Link, error) {
	is := fmt.Sprintf("%s may not %s", q.subject(), q.words())
	if c == nil {
		look := "kubectl get rolebindings,clusterrolebindings -A -o wide"
		return k.broken(q.subject(), look, "%s: no RoleBinding or ClusterRoleBinding names it", is), nil
	}
	var why []string
	said := false // that the role is about something else
	for _, l := range c.lacks {
		switch l {
		case lacksSubject:
			why = append(why, "names "+c.subject)
		case lacksPlace:
			why = append(why, "counts there only")
		case lacksRole:
			have, err := k.roleNames(ctx, c.grant)
			return k.broken(c.role(), c.look(),
				"%s: %s names %s, which does not exist%s", is, c.words(q.namespace()), c.role(), instead(c.ref.Name, have)), err
		default:
			if !said {
				why = append(why, "gives "+c.role()+", "+c.short(q))
			}
			said = true
		}
	}
	return k.broken(c.words(c.namespace), c.look(),
		"%s: %s %s", is, c.words(q.namespace()), strings.Join(why, ", and it ")), nil
}

// short says what the nearest rule allows, beside what was asked.
func (c *candidate) short(q request) string {
	if c.rule < 0 {
		return "which has no rules"
	}
	r := c.rules[c.rule]
	what := r.Resources
	if q.NonResourceAttributes != nil {
		what = r.NonResourceURLs
	}
	text := fmt.Sprintf("whose rules[%d] allows %s on %s", c.rule, and(r.Verbs...), and(what...))
	if slices.Contains(c.lacks, lacksGroup) {
		text += " in the API group " + and(quoted(r.APIGroups)...)
	}
	if len(r.ResourceNames) > 0 {
		text += " named " + and(r.ResourceNames...)
	}
	if !slices.Contains(c.lacks, lacksVerb) && !slices.Contains(c.lacks, lacksResource) {
		return text + " only"
	}
	return text
}

// quoted writes API groups, of which the core one has no name.
func quoted(groups []string) []string {
	all := make([]string, len(groups))
	for i, g := range groups {
		all[i] = fmt.Sprintf("%q", g)
	}
	return all
}

// roleNames are the roles that the binding could have named.
func (k *walk) roleNames(ctx context.Context, g grant) ([]string, error) {
	if g.ref.Kind == "ClusterRole" {
		all, err := k.clusterRoles(ctx)
		return names(all), err
	}
	all, err := k.roles(ctx)
	return names(slices.DeleteFunc(slices.Clone(all), func(r rbacv1.Role) bool { return r.Namespace != g.namespace })), err
}
