package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

type stopOptions struct {
	place placeFlags
}

func newStopCommand(d *deps) *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:               "stop [LAB]",
		Short:             "Take the lab off the cluster",
		Long:              "Take a lab off the cluster: the one you started last, or the one you name. The cluster stays.",
		GroupID:           groupLabs,
		Args:              arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: d.completeLabs,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), d, args) },
	}
	o.place.add(cmd)
	return cmd
}

func (o *stopOptions) run(ctx context.Context, d *deps, args []string) error {
	l, place, err := o.complete(ctx, d, args)
	if err != nil {
		return err
	}
	if err := d.on(ctx, &o.place, place, func(s *site.Site) error { return stage.Stop(ctx, s.Cluster, l, s.Options(nil, d.io.Steps())) }); err != nil {
		return err
	}
	if err := d.journal.Update(func(s *journal.State) error { s.Stop(place, l.Name); return nil }); err != nil {
		return err
	}
	d.io.Sayf("%s is off the cluster.", l.Name)
	return nil
}

// complete finds the lab to stop. On a cluster that kindlab did not make only a lab that was started there is touched.
func (o *stopOptions) complete(ctx context.Context, d *deps, args []string) (*lab.Lab, journal.Place, error) {
	if len(args) == 0 {
		return d.underWay(ctx, &o.place)
	}
	l, err := d.namedLab(args[0])
	if err != nil {
		return nil, journal.Place{}, err
	}
	s, err := d.journal.Read()
	if err != nil {
		return nil, journal.Place{}, err
	}
	place := o.place.complete(&s)
	if place.Context != "" && !s.Has(place, l.Name) {
		return nil, place, remedy.New(usageErrorf("%s was not started on %s", l.Name, place), "see what is: kindlab status --context "+place.Context)
	}
	return l, place, nil
}
