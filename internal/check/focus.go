package check

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// focus is what of the cluster itself a lab is about. Trouble there is the learner's own to find: elsewhere it means
// that a check could not look, in such a lab it is what the check came to see.
type focus struct {
	dns     bool // the cluster's name servers
	network bool // nodes, and what runs on each of them for the network
}

// focusOf derives it from what the lab says that it touches.
func focusOf(touches []lab.Ref) focus {
	system := func(r lab.Ref) bool { return r.Namespace == metav1.NamespaceSystem }
	return focus{
		dns: slices.ContainsFunc(touches, func(r lab.Ref) bool {
			return system(r) && (r.Name == "coredns" || r.Name == "kube-dns")
		}),
		network: slices.ContainsFunc(touches, func(r lab.Ref) bool {
			return r.Kind == "node" || system(r) && (r.Kind == "daemonset" || r.Name == "kube-proxy")
		}),
	}
}

// objects are what a check has to look at besides when a lab is about the cluster's DNS.
func (f focus) objects() []Dependency {
	if !f.dns {
		return nil
	}
	set := clusterDNS()
	deps := []Dependency{set.object()}
	for _, resource := range []schema.GroupVersionResource{
		services, endpointSlices, policies,
		{Group: "apps", Version: "v1", Resource: "deployments"},
		{Version: "v1", Resource: "configmaps"},
	} {
		deps = append(deps, Dependency{Resource: resource, Namespace: metav1.NamespaceSystem})
	}
	return deps
}
