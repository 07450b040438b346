package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/site"
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
		if len(l.Params) > 0 { // printed as it is right for this attempt
			if err := d.on(ctx, &o.place, place, func(s *site.Site) (err error) {
				l, err = d.attempt(ctx, s, l.Name)
				return err
			}); err != nil {
				return err
			}
		}
		return d.printSolution(l, l.Solutions[o.n-1], o.n)
	}
	if err := d.on(ctx, &o.place, place, func(s *site.Site) error {
		filled, err := d.attempt(ctx, s, l.Name)
		if err != nil {
			return err
		}
		step := stage.Step{Delete: solution.Delete, Apply: solution.Apply, Run: solution.Run}
		return stage.Perform(ctx, s.Cluster, filled, step, s.Home.Scripts())
	}); err != nil {
		return fmt.Errorf("applying solution %d: %w", o.n, err)
	}
	d.io.Sayf("Applied solution %d of %d: %s. Next: kindlab check", o.n, len(l.Solutions), solution.Title)
	return nil
}

// printSolution prints YAML that kubectl takes as it is; what YAML cannot say is a comment.
func (d *deps) printSolution(l *lab.Lab, s lab.Solution, n int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Solution %d of %d: %s\n", n, len(l.Solutions), s.Title)
	for _, ref := range s.Delete {
		namespace := ref.Namespace
		if namespace == "" {
			namespace = l.Namespaces[0]
		}
		fmt.Fprintf(&b, "# First: kubectl -n %s delete %s\n", namespace, ref)
	}
	separator := ""
	for _, path := range []string{s.Apply, s.Run} {
		if path == "" {
			continue
		}
		files, err := l.Files(path)
		if err != nil {
			return err
		}
		for _, f := range files {
			content := strings.TrimSuffix(f.Content, "\n")
			if path == s.Run {
				content = "# " + strings.ReplaceAll(content, "\n", "\n# ")
			}
			fmt.Fprintf(&b, "%s# %s\n%s\n", separator, f.Path, content)
			separator = "---\n"
		}
	}
	return d.print(b.String())
}
