//go:build e2e

package cli

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestCluster runs transcripts on the real cluster that the KINDLAB_E2E variables name. They see it as one that kindlab
// did not make, because their state folder knows none.
func TestCluster(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/cluster",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			name := os.Getenv("KINDLAB_E2E_CLUSTER")
			kubeconfig, err := os.ReadFile(os.Getenv("KINDLAB_E2E_KUBECONFIG"))
			if err != nil {
				return fmt.Errorf("KINDLAB_E2E_KUBECONFIG names no cluster: %w", err)
			}
			if err := os.WriteFile(env.WorkDir+"/kubeconfig", kubeconfig, 0o600); err != nil {
				return err
			}
			env.Setenv("HOME", env.WorkDir+"/home")
			env.Setenv("KUBECONFIG", env.WorkDir+"/kubeconfig")
			env.Setenv("CONTEXT", "kind-"+name)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}
