package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// admitKind asks whether the API server takes an object, by a dry run: nothing is made.
type admitKind struct{}

func (admitKind) Name() string { return "admit" }

// Doc explains the kind.
func (admitKind) Doc() Doc {
	return Doc{
		Text: `Asks whether the API server admits an object, by a server-side dry run that makes nothing: for quotas, limits, Pod
Security, admission policies and a CRD's own rules. A refusal must be the right one, so "reason" is required with
admitted: false; it is a part of what kubectl would print. Ask for an object that must be admitted as well. An admission
webhook that does not answer is no refusal.`,
		Example: `- admit:
    object:
      apiVersion: v1
      kind: Pod
      metadata: {name: sneaky}
      spec: {hostNetwork: true, containers: [{name: main, image: registry.k8s.io/pause:3.10}]}
    admitted: false
    reason: violates PodSecurity
- admit: {fixture: fixtures/polite.yaml, admitted: true}
- admit: {fixture: fixtures/scale-up.yaml, as: {serviceAccount: deployer}, admitted: true}`,
		Params: admitParams{},
	}
}

type admitParams struct {
	Object   *plain   `yaml:"object" doc:"the object, written here"`
	Fixture  string   `yaml:"fixture" doc:"or the file of the lab that holds it"`
	Admitted *bool    `yaml:"admitted,required" doc:"whether the API server must take it"`
	Reason   string   `yaml:"reason" doc:"a part of the refusal's text; required with admitted: false"`
	As       *subject `yaml:"as" doc:"who makes it: a user or a ServiceAccount; the cluster's administrator, unless it is said"`
}

func (admitKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p admitParams
	problems := n.Decode(&p)
	out := admit{namespace: s.Namespace, reason: p.Reason, as: p.As}
	if p.Admitted != nil {
		out.admitted = *p.Admitted
		switch {
		case !out.admitted && p.Reason == "":
			problems = append(problems, n.Field("admitted").Problem("expected a reason too: a refusal for another reason proves nothing"))
		case out.admitted && p.Reason != "":
			problems = append(problems, n.Field("reason").Problem("expected no reason of an object that is admitted"))
		}
	}
	if p.As != nil {
		problems = append(problems, p.As.compile(s, n.Field("as"))...)
	}
	if (p.Object == nil) == (p.Fixture == "") {
		return out, append(problems, n.Problem("expected either object or fixture"))
	}
	at := n.Field("object")
	if p.Fixture != "" {
		at = n.Field("fixture")
		content, err := fixture(s, p.Fixture)
		if err != nil {
			return out, append(problems, at.Problem("%v", err))
		}
		out.object = content
	} else {
		out.object, _ = p.Object.value.(map[string]any)
	}
	u := unstructured.Unstructured{Object: out.object}
	if gv, err := schema.ParseGroupVersion(u.GetAPIVersion()); u.GetKind() == "" || gv.Version == "" || err != nil {
		problems = append(problems, at.Problem("expected a manifest with apiVersion and kind"))
	}
	return out, problems
}

// fixture reads one object from a file of the lab.
func fixture(s Scope, path string) (map[string]any, error) {
	if !fs.ValidPath(path) {
		return nil, errors.New("expected a path inside the lab's folder")
	}
	if s.Files == nil {
		return nil, errors.New("the lab's files cannot be read here: write it under object")
	}
	content, err := s.Files(path)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	if err := yaml.Unmarshal(content, &out); err != nil {
		return nil, fmt.Errorf("expected one manifest in it: %w", err)
	}
	return out, nil
}

type admit struct {
	object    map[string]any
	namespace string // where the object says none
	admitted  bool
	reason    string
	as        *subject
}

func (admit) Changes() bool { return false }

// Objects are what admission knows: the namespace's labels and limits, policies, webhooks, and rights.
func (a admit) Objects() []Dependency {
	ns := a.target()
	core := schema.GroupVersion{Version: "v1"}
	admission := schema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}
	deps := []Dependency{
		{Resource: core.WithResource("namespaces"), Name: ns},
		{Resource: core.WithResource("resourcequotas"), Namespace: ns},
		{Resource: core.WithResource("limitranges"), Namespace: ns},
		{Resource: admission.WithResource("validatingadmissionpolicies")},
		{Resource: admission.WithResource("validatingadmissionpolicybindings")},
		{Resource: admission.WithResource("validatingwebhookconfigurations")},
		{Resource: admission.WithResource("mutatingwebhookconfigurations")},
	}
	if _, known := knownKind((&unstructured.Unstructured{Object: a.object}).GetKind()); !known {
		deps = append(deps, Dependency{Resource: schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}})
	}
	if a.as != nil {
		deps = append(deps, can{subjects: map[string]subject{"": *a.as}, actions: map[string]action{"": {Namespace: ns}}}.Objects()...)
	}
	return deps
}

func (a admit) target() string {
	if ns := (&unstructured.Unstructured{Object: a.object}).GetNamespace(); ns != "" {
		return ns
	}
	return a.namespace
}

// How long the API server may still decide by what was there before: it hears of policies about once a second.
const (
	admissionSlack = 2 * time.Second // from the first look on
	admissionLag   = 4 * time.Second // from the last change that can be seen on
)

// Run tries, and tries again while a wrong answer may still come from before the last change: the API server learns of
// policies and quotas a moment late.
func (a admit) Run(ctx context.Context, c *Cluster) error {
	if a.as != nil {
		if err := a.as.exists(ctx, c); err != nil {
			return err
		}
	}
	client, err := a.client(c)
	if err != nil {
		return err
	}
	start := time.Now()
	for {
		f, err := a.try(ctx, c, client)
		if f == nil || err != nil {
			return err
		}
		if c.Quick {
			// What was deleted leaves nothing to see, so a wrong answer is never certain at the first look.
			f.Settling = true
			return f
		}
		// What was deleted leaves nothing to see, and may be a moment ago.
		if age := time.Since(c.lastChange(ctx, a.Objects())); time.Since(start) >= admissionSlack && age >= admissionLag {
			return f
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// client is who makes the object.
func (a admit) client(c *Cluster) (dynamic.Interface, error) {
	if a.as == nil {
		return c.Owner.Dynamic, nil
	}
	cfg := rest.CopyConfig(c.Owner.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: a.as.User, Groups: a.as.Groups}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("acting as %s: %w", a.as.User, err)
	}
	return client, nil
}

// try asks the API server once. Neither a failure nor an error is a yes.
func (a admit) try(ctx context.Context, c *Cluster, client dynamic.Interface) (*Failure, error) {
	u := (&unstructured.Unstructured{Object: a.object}).DeepCopy()
	what := u.GetKind() + " " + u.GetName()
	gvk := u.GroupVersionKind()
	m, err := c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		c.Mapper.Reset() // it may be younger than what is known of the cluster
		m, err = c.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("finding kind %s on the cluster: %w", gvk.Kind, err)
	}
	ns := ""
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		ns = a.target()
		u.SetNamespace(ns)
	}
	resource := client.Resource(m.Resource).Namespace(ns)
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	_, err = resource.Create(ctx, u, dry)
	if apierrors.IsAlreadyExists(err) {
		u.SetName(u.GetName() + "-" + strings.ToLower(rand.Text()[:6]))
		_, err = resource.Create(ctx, u, dry)
	}
	if err != nil && !a.refusal(err) {
		return nil, fmt.Errorf("asking the API server to admit %s: %w", what, err)
	}
	look := "kubectl describe namespace " + ns
	if ns == "" {
		look = "kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings"
	}
	switch {
	case a.admitted && err == nil, !a.admitted && err != nil && strings.Contains(err.Error(), a.reason):
		return nil, nil
	case a.admitted:
		return &Failure{Is: fmt.Sprintf("the API server refuses %s: %v", what, err), Want: "it admitted", Look: look}, nil
	case err == nil:
		return &Failure{Is: "the API server admits " + what, Want: "it refused", Look: look}, nil
	default:
		return &Failure{Is: fmt.Sprintf("the API server refuses %s for another reason: %v", what, err), Want: "a refusal that says " + a.reason, Look: look}, nil
	}
}

// refusal tells a no of the API server from one that could not decide, or that was not asked in the right way.
func (a admit) refusal(err error) bool {
	text := err.Error()
	switch {
	case strings.Contains(text, "denied the request"), strings.Contains(text, "denied request"):
		return true // by a webhook or a policy, whatever code it chose
	case strings.Contains(text, "failed calling webhook"), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return false
	case apierrors.IsForbidden(err):
		// Who makes it may lack the right, which is an answer only where the lab says who.
		return a.as != nil || !strings.Contains(text, "cannot create resource")
	}
	return apierrors.IsInvalid(err)
}
