package stage

import (
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A lab is untrusted: its deletions stay in its own namespaces, as its manifests do.
func TestDeletionOutsideTheLabIsRefused(t *testing.T) {
	t.Parallel()
	l := &lab.Lab{Name: "t/l", Namespaces: []string{"shop"}}
	ref := lab.Ref{Namespace: "kube-system", Kind: "deployment", Name: "coredns"}
	// No client is there to be asked: the refusal comes before any request.
	err := removeObject(t.Context(), &check.Cluster{}, l, ref)
	if err == nil || !strings.Contains(err.Error(), "kube-system is not one of the lab's") {
		t.Errorf("got %v, want a refusal that names the namespace", err)
	}
}
