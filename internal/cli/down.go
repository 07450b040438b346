package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

type downOptions struct {
	place placeFlags
}

func newDownCommand(d *deps) *cobra.Command {
	var o downOptions
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove a cluster that kindlab made, with everything in it",
		Long: `Remove a cluster that kindlab made, with everything in it. A cluster that kindlab
did not make is never removed. The journal keeps your grades.`,
		GroupID: groupClusters,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), d) },
	}
	o.place.addOwn(cmd)
	return cmd
}

func (o *downOptions) run(ctx context.Context, d *deps) error {
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	place := o.place.complete(&s)
	if place.Context != "" {
		return remedy.New(usageErrorf("you work on context %s, which kindlab did not make and will not remove", place.Context),
			"end the lab with `kindlab stop`, or name a cluster of kindlab's own: kindlab down --name "+defaultCluster)
	}
	manager, _, err := d.manager(ctx, o.place.engine, d.io.Steps())
	if err != nil {
		return err
	}
	there, err := manager.Down(ctx, place.Name)
	if err != nil {
		return err
	}
	if err := d.journal.Update(func(s *journal.State) error { s.Leave(place); return nil }); err != nil {
		return err
	}
	if !there {
		d.io.Sayf("There is no %s: nothing to remove.", place)
		return nil
	}
	d.io.Sayf("%s is gone.", place)
	return nil
}
