package explain

import (
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kindlab-dev/kindlab/internal/nearest"
)

// What a rule or a binding lacks to grant a request.
type lack int

const (
	lacksVerb lack = iota
	lacksName
	lacksResource
	lacksGroup
	lacksPlace   // the binding is in another namespace, or in one where all are asked for
	lacksRole    // the role that the binding names is not there
	lacksSubject // the binding names somebody who is almost this subject
)

// request is what a SubjectAccessReview asks.
type request struct {
	authorizationv1.SubjectAccessReviewSpec
}

// words write it: "get pods/log in namespace shop".
func (q request) words() string {
	if n := q.NonResourceAttributes; n != nil {
		return n.Verb + " " + n.Path
	}
	a := q.ResourceAttributes
	text := a.Verb + " " + q.resource()
	if a.Group != "" {
		text += "." + a.Group
	}
	if a.Name != "" {
		text += " " + a.Name
	}
	if a.Namespace == "" {
		return text + " in all namespaces"
	}
	return text + " in namespace " + a.Namespace
}

func (q request) resource() string {
	a := q.ResourceAttributes
	if a.Subresource != "" {
		return a.Resource + "/" + a.Subresource
	}
	return a.Resource
}

func (q request) namespace() string {
	if q.ResourceAttributes == nil {
		return ""
	}
	return q.ResourceAttributes.Namespace
}

// missing compares a rule with the request as the API server does; nothing missing is a grant.
func (q request) missing(r rbacv1.PolicyRule) []lack {
	var all []lack
	if n := q.NonResourceAttributes; n != nil {
		if !hasOrAll(r.Verbs, n.Verb) {
			all = append(all, lacksVerb)
		}
		if !slices.ContainsFunc(r.NonResourceURLs, func(u string) bool { return pathMatches(u, n.Path) }) {
			all = append(all, lacksResource)
		}
		return all
	}
	a := q.ResourceAttributes
	if !hasOrAll(r.Verbs, a.Verb) {
		all = append(all, lacksVerb)
	}
	if !hasOrAll(r.Resources, q.resource()) && (a.Subresource == "" || !slices.Contains(r.Resources, "*/"+a.Subresource)) {
		all = append(all, lacksResource)
	}
	if !hasOrAll(r.APIGroups, a.Group) {
		all = append(all, lacksGroup)
	}
	if len(r.ResourceNames) > 0 && !slices.Contains(r.ResourceNames, a.Name) {
		all = append(all, lacksName)
	}
	return all
}

func hasOrAll(list []string, want string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, want)
}

func pathMatches(pattern, path string) bool {
	start, open := strings.CutSuffix(pattern, "*")
	return pattern == path || open && strings.HasPrefix(path, start)
}

const serviceAccountPrefix = "system:serviceaccount:"

// subject names who asks as bindings do.
func (q request) subject() string {
	if ns, name, ok := serviceAccount(q.User); ok {
		return fmt.Sprintf("ServiceAccount %s of namespace %s", name, ns)
	}
	return "User " + q.User
}

func serviceAccount(user string) (ns, name string, ok bool) {
	rest, ok := strings.CutPrefix(user, serviceAccountPrefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// is tells whether a binding's subject is who asks. A ServiceAccount without a namespace is one of the binding's own.
func (q request) is(s rbacv1.Subject, bindingNamespace string) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return s.Name == q.User
	case rbacv1.GroupKind:
		return slices.Contains(q.Groups, s.Name)
	case rbacv1.ServiceAccountKind:
		ns := s.Namespace
		if ns == "" {
			ns = bindingNamespace
		}
		return ns != "" && q.User == serviceAccountPrefix+ns+":"+s.Name
	}
	return false
}

// almost says how a binding's subject differs from who asks, in a way that looks like a slip; "" when it does not.
func (q request) almost(s rbacv1.Subject) string {
	ns, name, account := serviceAccount(q.User)
	switch {
	case account && s.Kind == rbacv1.ServiceAccountKind && s.Name == name:
		return fmt.Sprintf("ServiceAccount %s of namespace %s", s.Name, s.Namespace)
	case account && s.Kind == rbacv1.ServiceAccountKind && s.Namespace == ns && nearest.Of(name, []string{s.Name}) != "":
		return "ServiceAccount " + s.Name
	case account && s.Kind != rbacv1.ServiceAccountKind && (s.Name == name || s.Name == q.User):
		return fmt.Sprintf("%s %s", s.Kind, s.Name)
	case !account && (s.Name == q.User || slices.Contains(q.Groups, s.Name)):
		return fmt.Sprintf("%s %s", s.Kind, s.Name)
	case !account && s.Kind == rbacv1.UserKind && !strings.HasPrefix(s.Name, "system:") && nearest.Of(q.User, []string{s.Name}) != "":
		return "User " + s.Name
	}
	return ""
}

// A grant is one binding with the role behind it.
type grant struct {
	kind, namespace, name string
	subjects              []rbacv1.Subject
	ref                   rbacv1.RoleRef
	rules                 []rbacv1.PolicyRule
	found                 bool // the role is there
	stock                 bool // part of every cluster
}

// words name the binding as seen from a namespace.
func (g grant) words(home string) string {
	if g.namespace == "" || g.namespace == home {
		return g.kind + " " + g.name
	}
	return fmt.Sprintf("%s %s of namespace %s", g.kind, g.name, g.namespace)
}

// holdsIn tells whether a binding in its place is one for the request.
func (g grant) holdsIn(q request) bool {
	return g.namespace == "" || g.namespace == q.namespace()
}

// candidate is a grant held against the request, with the rule of it that comes nearest.
type candidate struct {
	grant
	rule    int // -1 when the role has none
	lacks   []lack
	subject string // whom it names instead
}

// held compares a grant with the request. It is nil for bindings that have nothing to do with who asks.
func (q request) held(g grant) *candidate {
	c := &candidate{grant: g, rule: -1}
	if !slices.ContainsFunc(g.subjects, func(s rbacv1.Subject) bool { return q.is(s, g.namespace) }) {
		for _, s := range g.subjects {
			if c.subject = q.almost(s); c.subject != "" {
				break
			}
		}
		if c.subject == "" {
			return nil
		}
		c.lacks = append(c.lacks, lacksSubject)
	}
	if !g.holdsIn(q) {
		c.lacks = append(c.lacks, lacksPlace)
	}
	if !g.found {
		c.lacks = append(c.lacks, lacksRole)
		return c
	}
	best := []lack{lacksVerb, lacksResource, lacksGroup, lacksName}
	for i, r := range g.rules {
		if m := q.missing(r); c.rule < 0 || slices.Compare(rank(m), rank(best)) < 0 {
			c.rule, best = i, m
		}
	}
	c.lacks = append(c.lacks, best...)
	return c
}

// rank orders what is missing: the less the nearer, and of as much, a verb comes before a resource.
func rank(lacks []lack) []lack { return append([]lack{lack(len(lacks))}, lacks...) }
