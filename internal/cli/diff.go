package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

func newDiffCommand(d *deps) *cobra.Command {
	var place placeFlags
	cmd := &cobra.Command{
		Use:   "diff-baseline",
		Short: "Show what has changed since the lab was started",
		Long: `Show what has changed on the cluster since the lab you started was handed to you,
object by object: in its namespaces, on the nodes, and in what the lab touches
elsewhere. Right after a reset there is nothing. The exit code is 1 when something
has changed.`,
		GroupID: groupLabs,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDiff(cmd.Context(), d, &place) },
	}
	place.add(cmd)
	return cmd
}

func runDiff(ctx context.Context, d *deps, f *placeFlags) error {
	l, place, err := d.underWay(ctx, f)
	if err != nil {
		return err
	}
	var differences []stage.Difference
	if err := d.on(ctx, f, place, func(s *site.Site) error {
		if l, err = d.attempt(ctx, s, l.Name); err != nil {
			return err
		}
		differences, err = stage.Diff(ctx, s.Cluster, l)
		return err
	}); err != nil {
		return err
	}
	if len(differences) == 0 {
		d.io.Sayf("Nothing has changed since %s was started.", l.Name)
		return nil
	}
	var b strings.Builder
	for _, difference := range differences {
		fmt.Fprintln(&b, difference)
	}
	if err := d.print(b.String()); err != nil {
		return err
	}
	return exitStatus(exitNotPassed)
}
