package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

type stopOptions struct {
	place placeFlags
	all   bool
}

func newStopCommand(d *deps) *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:               "stop [LAB]",
		Short:             "Take the lab off the cluster",
		Long:              "Take a lab off the cluster: the one you started last, or the one you name; with --all, every one. The cluster stays.",
		GroupID:           groupLabs,
		Args:              arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: d.completeLabs,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), d, args) },
	}
	o.place.add(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "Take every lab off the cluster")
	return cmd
}

func (o *stopOptions) run(ctx context.Context, d *deps, args []string) error {
	if o.all {
		if len(args) > 0 {
			return remedy.New(usageErrorf("--all stops every lab, and %s was named too", args[0]), "leave out one of the two")
		}
		return o.stopAll(ctx, d)
	}
	l, place, err := o.complete(ctx, d, args)
	if err != nil {
		return err
	}
	return d.on(ctx, &o.place, place, func(s *site.Site) error {
		if err := d.takeOff(ctx, s, place, l); err != nil {
			return err
		}
		left, err := stage.Started(ctx, s.Cluster)
		if err != nil || len(left) == 0 {
			return nil //nolint:nilerr // the lab is off, and that was asked for
		}
		d.io.Sayf("Still there: %s. Take them off too: kindlab stop --all", strings.Join(left, ", "))
		return nil
	})
}

// stopAll takes off what is on the cluster, as the cluster tells it.
func (o *stopOptions) stopAll(ctx context.Context, d *deps) error {
	journaled, err := d.journal.Read()
	if err != nil {
		return err
	}
	place := o.place.complete(&journaled)
	return d.on(ctx, &o.place, place, func(s *site.Site) error {
		there, err := stage.Started(ctx, s.Cluster)
		if err != nil {
			return err
		}
		if place.Context != "" { // others may have labs of their own there
			there = slices.DeleteFunc(there, func(name string) bool { return !journaled.Has(place, name) })
		}
		if len(there) == 0 {
			d.io.Sayf("There is no lab on %s.", place)
		}
		for _, name := range there {
			l, _, err := d.startedLab(name, place)
			if err != nil {
				return err
			}
			if err := d.takeOff(ctx, s, place, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// takeOff takes one lab off the cluster, and out of the journal.
func (d *deps) takeOff(ctx context.Context, s *site.Site, place journal.Place, l *lab.Lab) error {
	if err := stage.Stop(ctx, s.Cluster, l, s.Options(nil, d.io.Steps())); err != nil {
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
