package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
)

// canKind asks who may do what, as a truth table that the API server's own authorizer answers.
type canKind struct{}

func (canKind) Name() string { return "can" }

// Doc explains the kind.
func (canKind) Doc() Doc {
	return Doc{
		Text: `Asks who may do what, as a truth table. The API server itself answers (SubjectAccessReview), so it does not matter
by which roles and bindings the learner gets there. Ask for what must be denied as well: a binding to cluster-admin allows
everything. A ServiceAccount that does not exist fails with words of its own.`,
		Example: `- can:
    subjects: {deployer: {serviceAccount: shop/deployer}, anna: {user: anna, groups: [developers]}}
    actions:
      scale: {verb: patch, resource: deployments, subresource: scale}
      read: {verb: list, resource: pods}
      secrets: {verb: get, resource: secrets}
      nodes: {verb: list, resource: nodes}
    expect: |
      from      scale  read   secrets  nodes
      deployer  allow  allow  deny     deny
      anna      deny   allow  deny     -`,
		Params: canParams{},
	}
}

type canParams struct {
	Subjects map[string]subject `yaml:"subjects,required" doc:"who: users and ServiceAccounts by a name for the table"`
	Actions  map[string]action  `yaml:"actions,required" doc:"what: actions by a name for the table"`
	Expect   tableText          `yaml:"expect,required" doc:"a line with from and the actions, then a line for each subject with allow, deny or -"`
}

// subject is a user, or a ServiceAccount.
type subject struct {
	User           string   `yaml:"user" doc:"a user's name, as its certificate or token says"`
	Groups         []string `yaml:"groups" doc:"the groups of the user, beside system:authenticated"`
	ServiceAccount string   `yaml:"serviceAccount" doc:"a ServiceAccount: deployer, or shop/deployer"`

	namespace, account string // of the ServiceAccount
}

// action is what somebody wants to do.
type action struct {
	Verb        string `yaml:"verb,required" doc:"get, list, watch, create, update, patch, delete, deletecollection, use, bind, ..."`
	Resource    string `yaml:"resource,required" doc:"the resource, as in kubectl api-resources: deployments"`
	Subresource string `yaml:"subresource" doc:"such as log, exec or scale"`
	Group       string `yaml:"group" doc:"the API group, where the resource alone is ambiguous"`
	Namespace   string `yaml:"namespace" doc:"the lab's first namespace, unless it is said; \"*\" is all of them"`
	Name        string `yaml:"name" doc:"of one object; without it, all of them"`

	at lab.Node
}

// everywhere is how a lab writes all namespaces; the API server's word for it is an empty name.
const everywhere = "*"

func (canKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p canParams
	problems := n.Decode(&p)
	out := can{subjects: p.Subjects, actions: p.Actions, past: &past{}}
	for _, name := range sortedKeys(p.Subjects) {
		who := p.Subjects[name]
		problems = append(problems, who.compile(s, n.Field("subjects").Field(name))...)
		out.subjects[name] = who
	}
	for _, name := range sortedKeys(p.Actions) {
		a := p.Actions[name]
		problems = append(problems, a.compile(s, n.Field("actions").Field(name))...)
		out.actions[name] = a
	}
	if p.Expect.text != "" {
		table, found := p.Expect.parse(sortedKeys(p.Subjects), sortedKeys(p.Actions))
		out.table, problems = table, append(problems, found...)
	}
	return out, problems
}

// compile takes any name of a resource for the one that the API has: the authorizer is asked by that one, and knows no
// other. A verb that Kubernetes does not know is allowed to nobody, so it would prove nothing.
func (a *action) compile(s Scope, n lab.Node) lab.Problems {
	a.at = n
	if a.Namespace == "" {
		a.Namespace = s.Namespace
	}
	if known, ok := knownResource(a.Resource); ok && a.Group == "" {
		a.Resource = known.Resource
	}
	if a.Verb != "" && a.Group == "" && !knownVerb(a.Verb) {
		return lab.Problems{n.Field("verb").Problem("expected one of %s, or a group for a verb of its own: found %q",
			strings.Join(verbs(), ", "), a.Verb)}
	}
	return nil
}

func (w *subject) compile(s Scope, n lab.Node) lab.Problems {
	if (w.User == "") == (w.ServiceAccount == "") {
		return lab.Problems{n.Problem("expected either user or serviceAccount")}
	}
	if w.ServiceAccount == "" {
		w.Groups = append(slices.Clone(w.Groups), "system:authenticated")
		return nil
	}
	if len(w.Groups) > 0 {
		return lab.Problems{n.Field("groups").Problem("a ServiceAccount's groups are known: expected none")}
	}
	namespace, account, ok := strings.Cut(w.ServiceAccount, "/")
	if !ok {
		namespace, account = s.Namespace, w.ServiceAccount
	}
	if namespace == "" || account == "" || strings.Contains(account, "/") {
		return lab.Problems{n.Field("serviceAccount").Problem("expected a ServiceAccount such as deployer or shop/deployer, found %q", w.ServiceAccount)}
	}
	w.namespace, w.account = namespace, account
	w.User = "system:serviceaccount:" + namespace + ":" + account
	w.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
	return nil
}

type can struct {
	subjects map[string]subject
	actions  map[string]action
	table    table
	past     *past
}

func (can) Changes() bool { return false }

// Objects are what the authorizer knows: all roles and bindings that may matter.
func (c can) Objects() []Dependency {
	rbac := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	deps := []Dependency{{Resource: rbac.WithResource("clusterroles")}, {Resource: rbac.WithResource("clusterrolebindings")}}
	add := func(d Dependency) {
		if !slices.Contains(deps, d) {
			deps = append(deps, d)
		}
	}
	for _, name := range sortedKeys(c.actions) {
		// Where all namespaces are asked for, no role of a single one counts.
		if ns := c.actions[name].Namespace; ns != everywhere {
			add(Dependency{Resource: rbac.WithResource("roles"), Namespace: ns})
			add(Dependency{Resource: rbac.WithResource("rolebindings"), Namespace: ns})
		}
	}
	for _, name := range sortedKeys(c.subjects) {
		if who := c.subjects[name]; who.account != "" {
			add(Dependency{Resource: schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}, Namespace: who.namespace, Name: who.account})
		}
	}
	return deps
}

const (
	// maxReviews is how many questions are on their way to the API server at once.
	maxReviews = 8
	// spreading is how long an answer may still be that of an old role or binding: the API server's authorizer learns of
	// new ones by a watch, and when they changed is known to the second.
	spreading = 1500 * time.Millisecond
)

func (c can) Run(ctx context.Context, cl *Cluster) error {
	for _, name := range c.table.rows {
		if err := c.subjects[name].exists(ctx, cl); err != nil {
			return err
		}
	}
	asked := map[string]authorizationv1.ResourceAttributes{}
	for _, name := range c.table.columns {
		attributes, err := c.actions[name].attributes(cl)
		if err != nil {
			return err
		}
		asked[name] = attributes
	}
	var questions []question
	for _, row := range c.table.rows {
		for _, column := range c.table.columns {
			if _, ok := c.table.allow[[2]string{row, column}]; ok {
				questions = append(questions, question{row, column, c.subjects[row], asked[column]})
			}
		}
	}
	start, wait := time.Now(), cl.patience(ctx, c.Objects(), nil, c.past)
	for again := false; ; again = true {
		err := c.ask(ctx, cl, questions)
		f, no := errors.AsType[*Failure](err)
		if err != nil && !no {
			return err
		}
		c.past.note(start, !no)
		switch {
		case no:
			// What roles and bindings say as well is final, once the authorizer must have heard of them.
			heard := f.certain && time.Since(cl.lastChange(ctx, c.Objects())) >= spreading
			f.Settling = wait.disbelieves(probe.Outcome{}) && !heard
		case !again && time.Since(cl.lastChange(ctx, c.Objects())) < spreading:
			f = &Failure{
				Is:   "the rights are as they should be, and something changed a moment ago",
				Look: "kubectl get rolebindings,clusterrolebindings -A -o wide", Settling: true,
			}
		}
		switch {
		case f == nil:
			return nil
		case !f.Settling, cl.Quick, pause(ctx, probe.Interval) != nil:
			return f
		}
	}
}

// ask asks all questions once.
func (c can) ask(ctx context.Context, cl *Cluster, questions []question) error {
	answers := make([]authorizationv1.SubjectAccessReviewStatus, len(questions))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(maxReviews)
	for i, q := range questions {
		group.Go(func() error {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: q.who.User, Groups: q.who.Groups, ResourceAttributes: &q.what}}
			review, err := cl.Kube.AuthorizationV1().SubjectAccessReviews().Create(asking, review, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("asking what %s may do: %w", q.who.User, err)
			}
			answers[i] = review.Status
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return c.judge(ctx, cl, questions, answers)
}

// question is one cell of the table.
type question struct {
	row, column string
	who         subject
	what        authorizationv1.ResourceAttributes
}

// judge turns the answers into a verdict on the whole table.
func (c can) judge(ctx context.Context, cl *Cluster, questions []question, answers []authorizationv1.SubjectAccessReviewStatus) error {
	found := map[[2]string]bool{}
	f := &Failure{}
	var wrong, why []string
	for i, q := range questions {
		key := [2]string{q.row, q.column}
		found[key] = answers[i].Allowed
		want := c.table.allow[key]
		if found[key] == want {
			continue
		}
		verb := "is still allowed to"
		if want {
			verb = "is not allowed to"
			// A binding to a role that is not there, for instance.
			if e := answers[i].EvaluationError; e != "" && !slices.Contains(why, e) {
				why = append(why, e)
			}
		}
		wrong = append(wrong, fmt.Sprintf("%s %s %s", q.row, verb, phrase(q.what)))
		if f.Look == "" {
			f.Look = canI(q.who, q.what)
			agreed := cl.binding(ctx, authorizationv1.SubjectAccessReviewSpec{
				User: q.who.User, Groups: q.who.Groups, ResourceAttributes: &q.what,
			}, !want)
			f.certain, why = len(agreed) > 0, append(why, agreed...)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	f.Is, f.More = strings.Join(wrong, "; "), append(c.draw(found), why...)
	return f
}

// exists fails for a ServiceAccount that is not there: what it may do means nothing.
func (w subject) exists(ctx context.Context, c *Cluster) error {
	if w.account == "" {
		return nil
	}
	_, err := c.Kube.CoreV1().ServiceAccounts(w.namespace).Get(ctx, w.account, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &Failure{
			Is:   fmt.Sprintf("there is no ServiceAccount %s in namespace %s", w.account, w.namespace),
			Look: fmt.Sprintf("kubectl -n %s get serviceaccounts", w.namespace),
		}
	}
	if err != nil {
		return fmt.Errorf("reading ServiceAccount %s: %w", w.account, err)
	}
	return nil
}

// attributes is the action as the authorizer sees it. Objects outside of namespaces are asked for without one, or a role
// of that namespace would seem to be enough.
func (a action) attributes(c *Cluster) (authorizationv1.ResourceAttributes, error) {
	out := authorizationv1.ResourceAttributes{
		Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace, Name: a.Name,
	}
	if a.Namespace == everywhere {
		out.Namespace = ""
	}
	if a.Resource == everywhere || a.Group == everywhere {
		return out, nil
	}
	if group, virtual := impersonated(a); virtual {
		out.Group, out.Namespace = group, ""
		return out, nil
	}
	kinds, err := c.Mapper.KindsFor(schema.GroupVersionResource{Group: a.Group, Resource: a.Resource})
	if meta.IsNoMatchError(err) {
		c.Mapper.Reset() // it may be younger than what is known of the cluster
		kinds, err = c.Mapper.KindsFor(schema.GroupVersionResource{Group: a.Group, Resource: a.Resource})
	}
	if meta.IsNoMatchError(err) {
		return out, lab.Problems{a.at.Field("resource").Problem(
			"expected a resource of the cluster, as kubectl api-resources lists them, found %q", a.Resource)}
	}
	if err != nil {
		return out, fmt.Errorf("finding resource %s on the cluster: %w", a.Resource, err)
	}
	m, err := c.Mapper.RESTMapping(kinds[0].GroupKind(), kinds[0].Version)
	if err != nil {
		return out, fmt.Errorf("finding resource %s on the cluster: %w", a.Resource, err)
	}
	out.Group, out.Resource = m.Resource.Group, m.Resource.Resource
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		out.Namespace = ""
	}
	return out, nil
}

// impersonated returns the group of a resource that only exists to be impersonated: the API server lists no such
// resources, and its authorizer knows them all the same.
func impersonated(a action) (group string, virtual bool) {
	if a.Verb != "impersonate" {
		return "", false
	}
	switch a.Resource {
	case "users", "groups":
		return "", true
	case "uids", "userextras":
		return "authentication.k8s.io", true
	}
	return "", false
}
