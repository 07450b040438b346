package verify_test

import (
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// A cluster that does not answer says nothing about a lab.
func TestAClusterThatIsSilentFromTheBeginning(t *testing.T) {
	t.Parallel()
	nobody, err := kubernetes.NewForConfig(&rest.Config{Host: "http://127.0.0.1:1"}) // a port where nobody listens
	if err != nil {
		t.Fatal(err)
	}
	clients := check.Clients{Kube: nobody}
	ground := verify.Ground{Cluster: &check.Cluster{Clients: clients, Owner: clients}, Kinds: check.Builtin()}
	v := verify.Verifier{Kinds: check.Builtin(), Scene: ground.Scene, Repeat: 1, Parallel: 1, Limit: time.Minute, Now: time.Now}
	r, err := v.Run(t.Context(), []*lab.Lab{load(t, files([]string{"room"}), "room")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Labs[0].Findings) == 0 || r.ExitCode() != 3 {
		t.Errorf("exit code %d, want 3; findings %v", r.ExitCode(), r.Labs[0].Findings)
	}
}
