package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/cluster"
)

type doctorOptions struct {
	engine string
	output format
}

func newDoctorCommand(d *deps) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Look at this machine: can it run a cluster?",
		GroupID: groupClusters,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), d) },
	}
	enumVarP(cmd, &o.engine, "engine", "", []string{"docker", "podman", "nerdctl"}, "Container engine (default: the first that answers)")
	formatVar(cmd, &o.output)
	return cmd
}

func (o *doctorOptions) run(ctx context.Context, d *deps) error {
	findings := cluster.Doctor(ctx, d.engineOptions(o.engine))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var err error
	if o.output == formatJSON {
		err = writeJSON(d, map[string]any{"findings": findings})
	} else {
		err = d.printFindings(findings)
	}
	if err != nil {
		return err
	}
	return verdict(findings)
}
