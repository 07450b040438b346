package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

func newResetCommand(d *deps) *cobra.Command {
	var place placeFlags
	cmd := &cobra.Command{
		Use:     "reset",
		Short:   "Put the lab back to its beginning",
		Long:    "Put the lab you started back to its beginning. Your work on it is lost; hints begin anew.",
		GroupID: groupLabs,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runReset(cmd.Context(), d, &place) },
	}
	place.add(cmd)
	return cmd
}

func runReset(ctx context.Context, d *deps, f *placeFlags) error {
	l, place, err := d.underWay(ctx, f)
	if err != nil {
		return err
	}
	if l, err = d.load(l.Name); err != nil {
		return err
	}
	values := l.Draw(d.random)
	if l, err = d.loadWith(l.Name, values); err != nil {
		return err
	}
	if err := d.on(ctx, f, place, func(s *site.Site) error {
		return stage.Reset(ctx, s.Cluster, l, s.Options(values, d.io.Steps()))
	}); err != nil {
		return err
	}
	if err := d.journal.Update(func(s *journal.State) error { s.Renew(l.Name); return nil }); err != nil {
		return err
	}
	d.io.Sayf("%s is as it was at the start.", l.Name)
	return nil
}
