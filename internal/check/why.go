package check

import (
	"context"
	"slices"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/explain"
	"github.com/kindlab-dev/kindlab/internal/probe"
)

// explained adds the first broken link to a failure. What was seen stands without it: trouble on the way to an
// explanation is no reason to keep the failure back.
func (f *Failure) explained(link *explain.Link, err error) *Failure {
	if err != nil || link == nil {
		return f
	}
	f.Is += ": " + link.Is
	if link.Look != "" {
		f.Look = link.Look
	}
	f.More = append(f.More, link.Chain...)
	f.certain = !f.Settling && !link.Settling && !link.Guess
	return f
}

// final tells whether a wrong outcome needs no second look: it follows from the API's objects, and no controller is about
// to change pods where the check looks, or the cluster's name servers. Otherwise the network may not have caught up.
func (c *Cluster) final(ctx context.Context, f *Failure, deps []Dependency) bool {
	if !f.certain {
		return false
	}
	namespaces := []string{metav1.NamespaceSystem}
	for _, d := range deps {
		if d.Namespace != "" && !slices.Contains(namespaces, d.Namespace) {
			namespaces = append(namespaces, d.Namespace)
		}
	}
	return !slices.ContainsFunc(namespaces, func(ns string) bool { return !c.atRest(ctx, ns) })
}

func (c *Cluster) walker() explain.Walker { return explain.Walker{Kube: c.Kube, Now: c.Clock.Now} }

// trail follows the URL to the first link that is missing. What was seen shortens the way: where the name was found,
// only what is behind it is in question.
func (h httpCheck) trail(ctx context.Context, c *Cluster, from origin, saw probe.Outcome) (*explain.Link, error) {
	if from.pod == nil {
		return c.walker().NodePort(ctx, h.namespace, h.port)
	}
	if h.service != "" && h.replica == "" && !saw.Result.OfDNS() {
		return c.walker().Through(ctx, from.pod, h.namespace, h.service, h.port)
	}
	return c.walker().Path(ctx, from.pod, h.host, h.port)
}

// rule says which policy lets the connection of a cell through, or what stands in its way, as far as policies do.
func (r reach) rule(ctx context.Context, c *Cluster, p cell) []string {
	t := r.targets[p.column]
	port, protocol := t.way()
	verdict, err := c.walker().Connection(ctx, &p.from, &p.to, port, protocol)
	if err != nil || verdict == nil {
		return nil
	}
	return []string{verdict.Is}
}

// dnsPort is where the cluster's name servers listen, as their Service has it.
const dnsPort = 53

// binding says which binding grants a request, or what comes nearest to granting it; nothing where another authorizer
// than RBAC has decided.
func (c *Cluster) binding(ctx context.Context, request authorizationv1.SubjectAccessReviewSpec, allowed bool) []string {
	verdict, err := c.walker().Can(ctx, request)
	if err != nil || verdict == nil || verdict.Allowed != allowed {
		return nil
	}
	return []string{verdict.Is}
}
