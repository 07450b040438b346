package check

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// groups are where a kind without apiVersion is looked for, in order: a Service is Kubernetes' own, not Knative's.
func groups() []string {
	return []string{
		"", "apps", "batch", "networking.k8s.io", "policy", "autoscaling", "rbac.authorization.k8s.io", "storage.k8s.io",
		"discovery.k8s.io", "admissionregistration.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "certificates.k8s.io",
	}
}

// knownKind finds one of Kubernetes' own kinds by any of its names, in any case: what is known without a cluster. The
// names are those that kubectl takes: the kind, which is the singular, the plural, and the short name.
func knownKind(name string) (schema.GroupVersionKind, bool) {
	name = strings.ToLower(name)
	if long, short := shortNames()[name]; short {
		name = long
	}
	for _, own := range elsewhere() {
		if isNamed(own, name) {
			return own, true
		}
	}
	for _, group := range groups() {
		for _, gv := range scheme.Scheme.PrioritizedVersionsForGroup(group) {
			for kind := range scheme.Scheme.KnownTypes(gv) {
				if gvk := gv.WithKind(kind); isNamed(gvk, name) {
					return gvk, true
				}
			}
		}
	}
	return schema.GroupVersionKind{}, false
}

// knownResource is what the API calls one of Kubernetes' own resources, by any of the names of its kind.
func knownResource(name string) (schema.GroupVersionResource, bool) {
	gvk, ok := knownKind(name)
	if !ok {
		return schema.GroupVersionResource{}, false
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return plural, true
}

// isNamed tells whether name, in lower case, is the singular or the plural of a kind.
func isNamed(gvk schema.GroupVersionKind, name string) bool {
	plural, singular := meta.UnsafeGuessKindToResource(gvk)
	return name == singular.Resource || name == plural.Resource
}

// elsewhere are kinds of every cluster that client-go has no types of.
func elsewhere() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
		{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"},
	}
}

// shortNames are those of Kubernetes' own resources, as kubectl api-resources lists them.
func shortNames() map[string]string {
	return map[string]string{
		"cm": "configmaps", "ep": "endpoints", "ev": "events", "limits": "limitranges", "no": "nodes", "ns": "namespaces",
		"po": "pods", "pv": "persistentvolumes", "pvc": "persistentvolumeclaims", "quota": "resourcequotas",
		"rc": "replicationcontrollers", "sa": "serviceaccounts", "svc": "services",
		"deploy": "deployments", "ds": "daemonsets", "rs": "replicasets", "sts": "statefulsets",
		"cj": "cronjobs", "hpa": "horizontalpodautoscalers", "pdb": "poddisruptionbudgets",
		"ing": "ingresses", "netpol": "networkpolicies", "sc": "storageclasses", "pc": "priorityclasses",
		"csr": "certificatesigningrequests", "crd": "customresourcedefinitions", "crds": "customresourcedefinitions",
	}
}

// verbs are those that the API server asks its authorizer for: requests, impersonation, RBAC's bind and escalate, the
// certificates API's approve, attest and sign, and use (kubernetes.io, "Authorization", request verbs).
func verbs() []string {
	return []string{
		"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
		"use", "bind", "escalate", "impersonate", "approve", "attest", "sign", everywhere,
	}
}

func knownVerb(verb string) bool { return slices.Contains(verbs(), verb) }
