package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

func newKubectlCommand(d *deps) *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl ARGS...",
		Short: "Run kubectl on the cluster you work on",
		Long: `Run kubectl on the cluster you work on, with kindlab's own kubeconfig. Where
kubectl is not installed, the one on the control plane node runs; it sees no
files of this machine, so hand it manifests through a pipe:

  kindlab kubectl apply -f - < service.yaml`,
		GroupID: groupClusters,
		// All flags are kubectl's.
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			return runKubectl(cmd.Context(), d, args)
		},
	}
}

func runKubectl(ctx context.Context, d *deps, args []string) error {
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	var flags placeFlags
	place := flags.complete(&s)
	c, err := d.open(ctx, &flags, place)
	if err != nil {
		return err
	}
	var command *exec.Cmd
	if path, lookErr := exec.LookPath("kubectl"); lookErr == nil {
		command = exec.CommandContext(ctx, path, append([]string{"--context", c.Context}, args...)...)
		command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	} else if command, err = d.nodeKubectl(ctx, &flags, place, args); err != nil {
		return err
	}
	command.Stdin, command.Stdout, command.Stderr = d.io.In, d.io.Out, d.io.Err
	err = command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil && exit.ExitCode() > 0 {
		return exitStatus(exit.ExitCode()) // kubectl has said why
	}
	return err
}

// nodeKubectl is the kubectl that every control plane node carries.
func (d *deps) nodeKubectl(ctx context.Context, f *placeFlags, place journal.Place, args []string) (*exec.Cmd, error) {
	if place.Context != "" {
		return nil, remedy.New(errors.New("kubectl is not installed"), "install it: https://kubernetes.io/docs/tasks/tools")
	}
	e, err := d.engine(ctx, d.engineOptions(f.engine))
	if err != nil {
		return nil, err
	}
	call := []string{"exec", "--interactive"}
	if d.io.InTTY && d.io.OutView.Terminal {
		call = append(call, "--tty")
	}
	call = append(call, place.Name+"-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")
	return e.Command(ctx, append(call, args...)...), nil
}

// open returns the running cluster of a place.
func (d *deps) open(ctx context.Context, f *placeFlags, place journal.Place) (*cluster.Cluster, error) {
	if place.Context != "" {
		return cluster.OpenContext(ctx, "", place.Context)
	}
	return d.openOwn(ctx, f.engine, place.Name)
}
