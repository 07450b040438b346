package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

type solutionOptions struct {
	place placeFlags
	n     int
	apply bool
}

func newSolutionCommand(d *deps) *cobra.Command {
	var o solutionOptions
	cmd := &cobra.Command{
		Use:   "solution",
		Short: "Print a solution of the lab, or apply it",
		Long: `Print a solution of the lab you started. Every lab has more than one right
answer; --n picks another.`,
		Example: `  kindlab solution
  kindlab solution --n 2
  kindlab solution --apply          # put it on the cluster`,
		GroupID: groupLabs,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), d) },
	}
	o.place.add(cmd)
	cmd.Flags().IntVar(&o.n, "n", 1, "Which one")
	cmd.Flags().BoolVar(&o.apply, "apply", false, "Put it on the cluster instead of printing it")
	return cmd
}

func (o *solutionOptions) run(ctx context.Context, d *deps) error {
	l, place, err := d.underWay(ctx, &o.place)
	if err != nil {
		return err
	}
	if l, err = d.load(l.Name); err != nil {
		return err
	}
	if o.n < 1 || o.n > len(l.Solutions) {
		return usageErrorf("--n %d: %s has %d solutions", o.n, l.Name, len(l.Solutions))
	}
	solution := l.Solutions[o.n-1]
	if !o.apply {
		return d.printSolution(l, solution, o.n)
	}
	if err := d.onLab(ctx, &o.place, place, func(c *check.Cluster) error {
		return stage.Apply(ctx, c, l, solution.Apply, solution.Delete...)
	}); err != nil {
		return fmt.Errorf("applying solution %d: %w", o.n, err)
	}
	d.io.Sayf("Applied solution %d of %d: %s. Next: kindlab check", o.n, len(l.Solutions), solution.Title)
	return nil
}

// printSolution prints YAML that kubectl takes as it is; what YAML cannot say is a comment.
func (d *deps) printSolution(l *lab.Lab, s lab.Solution, n int) error {
	files, err := l.Files(s.Apply)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Solution %d of %d: %s\n", n, len(l.Solutions), s.Title)
	for _, ref := range s.Delete {
		namespace := ref.Namespace
		if namespace == "" {
			namespace = l.Namespaces[0]
		}
		fmt.Fprintf(&b, "# First: kubectl -n %s delete %s\n", namespace, ref)
	}
	for i, f := range files {
		if i > 0 {
			b.WriteString("---\n")
		}
		fmt.Fprintf(&b, "# %s\n%s\n", f.Path, strings.TrimSuffix(f.Content, "\n"))
	}
	return d.print(b.String())
}
