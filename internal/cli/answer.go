package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

type answerOptions struct {
	place placeFlags
}

func newAnswerCommand(d *deps) *cobra.Command {
	var o answerOptions
	cmd := &cobra.Command{
		Use:   "answer TASK WORDS...",
		Short: "Answer a question that a task asks",
		Long: `Answer a question that a task asks: a name, a number, a choice. It is kept until
you answer again, and graded with the rest.`,
		Example: `  kindlab answer mode nftables
  kindlab check`,
		GroupID:           groupLabs,
		Args:              arguments(cobra.MinimumNArgs(2)),
		ValidArgsFunction: d.completeTasks(&o.place, 1),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), d, args) },
	}
	o.place.add(cmd)
	return cmd
}

func (o *answerOptions) run(ctx context.Context, d *deps, args []string) error {
	l, _, err := d.underWay(ctx, &o.place)
	if err != nil {
		return err
	}
	task := args[0]
	if err := needTask(l, task); err != nil {
		return err
	}
	answer := strings.TrimSpace(strings.Join(args[1:], " "))
	if answer == "" {
		return remedy.New(usageErrorf("the answer to %s is empty", task), "say what you found: kindlab answer "+task+" WORDS")
	}
	if err := d.journal.Update(func(s *journal.State) error {
		s.Answer(l.Name, task, answer)
		return nil
	}); err != nil {
		return err
	}
	d.io.Sayf("Kept. Next: kindlab check %s", task)
	return nil
}
