package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/term"
)

type startOptions struct {
	place placeFlags
	yes   bool
}

func newStartCommand(d *deps) *cobra.Command {
	var o startOptions
	cmd := &cobra.Command{
		Use:   "start LAB|FOLDER",
		Short: "Put a lab on the cluster",
		Long: `Put a lab on the cluster. Where none runs, one is brought up first, as with
kindlab up. A lab that is there already stays as you left it.`,
		Example: `  kindlab start services/clusterip
  kindlab start clusterip           # its short name will do
  kindlab start ./my-lab            # a lab of your own, in a folder`,
		GroupID:           groupLabs,
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: d.completeLabs,
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), d, args[0]) },
	}
	o.place.add(cmd)
	addYes(cmd, &o.yes)
	return cmd
}

func (o *startOptions) run(ctx context.Context, d *deps, name string) error {
	l, folder, err := d.chosenLab(name)
	if err != nil {
		return err
	}
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	place := o.place.complete(&s)
	if err := d.consent(ctx, &s, place, o.yes); err != nil {
		return err
	}
	c, err := o.running(ctx, d, place)
	if err != nil {
		return err
	}
	kept, err := o.setUp(ctx, d, c, place, l, s.Has(place, l.Name))
	if err != nil {
		return err
	}
	if err := d.journal.Update(func(s *journal.State) error {
		s.Start(place, l.Name, d.now())
		s.Settle(l.Name, folder)
		if !kept {
			s.Renew(l.Name)
		}
		return nil
	}); err != nil {
		return err
	}
	if kept {
		d.io.Sayf("%s is here already, as you left it. To begin anew: kindlab reset", l.Name)
	}
	if before := s.Current(place); before != "" && before != l.Name {
		d.io.Sayf("%s stays as it is; go back to it with: kindlab start %s", before, before)
	}
	return d.printStart(l, c, place)
}

// running returns the cluster of a place; one of kindlab's own is brought up where it does not run.
func (o *startOptions) running(ctx context.Context, d *deps, place journal.Place) (*cluster.Cluster, error) {
	up := upOptions{place: o.place}
	if place.Context != "" {
		return up.bring(ctx, d, place)
	}
	manager, _, err := d.manager(ctx, o.place.engine, quiet{})
	if err != nil {
		return nil, err
	}
	c, err := manager.Open(ctx, place.Name)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	d.io.Sayf("%s does not run yet, so first: kindlab up", place)
	return up.bring(ctx, d, place)
}

// setUp puts the lab on the cluster with values drawn for it, unless both the cluster and the journal know it as there:
// a setup that was interrupted is on the cluster, but was never noted.
func (o *startOptions) setUp(ctx context.Context, d *deps, c *cluster.Cluster, place journal.Place, l *lab.Lab, noted bool) (kept bool, err error) {
	s, err := d.connect(ctx, c, place)
	if err != nil {
		return false, err
	}
	defer func() { _ = s.Close() }() // what probes still had to say interests nobody
	if noted {
		there, err := stage.Started(ctx, s.Cluster)
		if err != nil {
			return false, err
		}
		if slices.Contains(there, l.Name) {
			return true, nil
		}
	}
	// Bringing up a cluster of kindlab's own has proved what labs may need.
	if err := stage.Needs(ctx, s.Cluster, l, s.Own, d.io.Steps()); err != nil {
		return false, err
	}
	values := l.Draw(d.random)
	if l, err = l.Filled(values, check.Builtin()); err != nil {
		return false, err
	}
	return false, stage.Start(ctx, s.Cluster, l, s.Options(values, d.io.Steps()))
}

// chosenLab reads the lab that a learner names, or the one in the folder that they name, strictly and with all its
// files. The folder is "" for a lab of the catalogue.
func (d *deps) chosenLab(name string) (l *lab.Lab, folder string, err error) {
	if isPath(name) {
		if l, err = lab.LoadDir(name, check.Builtin()); err != nil {
			return nil, "", err
		}
		return l, l.Folder, nil
	}
	labs, err := d.readCatalogue()
	if err != nil {
		return nil, "", err
	}
	if l, err = labs.find(name); err != nil {
		return nil, "", err
	}
	files, err := d.labFiles()
	if err != nil {
		return nil, "", err
	}
	l, err = lab.Load(files, l.Name, check.Builtin())
	return l, "", err
}

// isPath tells a folder from the name of a lab, as shells tell a program from a command.
func isPath(name string) bool {
	return name == "." || name == ".." || filepath.IsAbs(name) || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../")
}

// printStart says what there is to do, and how.
func (d *deps) printStart(l *lab.Lab, c *cluster.Cluster, place journal.Place) error {
	view := d.io.OutView
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s  %s\n\n", view.Paint(term.Bold, l.Name), l.Title)
	width := 0
	for _, t := range l.Tasks {
		width = max(width, len(t.ID))
	}
	for _, t := range l.Tasks {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, t.ID, t.Title)
	}
	fmt.Fprintf(&b, "\n  %-16s %s\n", "the whole story", view.Paint(term.Cyan, "kindlab show "+l.ID))
	for _, line := range kubectlLines(c, place, l.Namespaces[0]) {
		fmt.Fprintf(&b, "  %-16s %s\n", line[0], view.Paint(term.Cyan, line[1]))
	}
	for _, line := range [][2]string{{"how far are you", "kindlab check"}, {"a nudge", "kindlab hint"}} {
		fmt.Fprintf(&b, "  %-16s %s\n", line[0], view.Paint(term.Cyan, line[1]))
	}
	return d.print(view.Fold(b.String()))
}
