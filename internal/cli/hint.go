package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

type hintOptions struct {
	place placeFlags
}

func newHintCommand(d *deps) *cobra.Command {
	var o hintOptions
	cmd := &cobra.Command{
		Use:   "hint [TASK]",
		Short: "Give the next hint on a task",
		Long: `Give the next hint on a task: a nudge first, nearly the answer last.

Without a task it is the first one that has not passed. Hints begin anew with start and reset.`,
		GroupID:           groupLabs,
		Args:              arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: d.completeTasks(&o.place, 1),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), d, args) },
	}
	o.place.add(cmd)
	return cmd
}

func (o *hintOptions) run(ctx context.Context, d *deps, args []string) error {
	l, _, err := d.underWay(ctx, &o.place)
	if err != nil {
		return err
	}
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	task := openTask(l, s.Progress[l.Name].Last)
	if len(args) > 0 {
		task = args[0]
		if err := needTask(l, task); err != nil {
			return err
		}
	}
	hints, err := l.Hints(task)
	if err != nil {
		return err
	}
	var tier int
	if err := d.journal.Update(func(s *journal.State) error {
		tier = s.NextHint(l.Name, task, len(hints))
		return nil
	}); err != nil {
		return err
	}
	d.io.Sayf("%s, hint %d of %d", task, tier+1, len(hints))
	return d.printMarkdown(hints[tier] + "\n")
}

// openTask is the first task that had not passed when the lab was last graded.
func openTask(l *lab.Lab, last journal.Result) string {
	for _, t := range l.Tasks {
		if last.Tasks[t.ID] != string(report.Passed) {
			return t.ID
		}
	}
	return l.Tasks[0].ID
}
