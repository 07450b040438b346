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
	var noWait bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Put the lab back to its beginning",
		Long: `Put the lab you started back to its beginning. Your work on it is lost; hints begin anew.

Everything in the lab's namespaces is removed and set up again, which takes a second or two; then its workloads are
waited for. With --no-wait they start while you go on.`,
		GroupID: groupLabs,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runReset(cmd.Context(), d, &place, noWait) },
	}
	place.add(cmd)
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "Do not wait until the lab's workloads are ready")
	return cmd
}

func runReset(ctx context.Context, d *deps, f *placeFlags, noWait bool) error {
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
		options := s.Options(values, d.io.Steps())
		options.NoWait = noWait
		return stage.Reset(ctx, s.Cluster, l, options)
	}); err != nil {
		return err
	}
	if err := d.journal.Update(func(s *journal.State) error { s.Renew(l.Name); return nil }); err != nil {
		return err
	}
	d.io.Sayf("%s is as it was at the start.", l.Name)
	return nil
}
