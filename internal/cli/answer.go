package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
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
	if asking := askingTasks(l); !slices.Contains(asking, task) {
		hint := "do what it says, then: kindlab check " + task
		if len(asking) > 0 {
			hint = "the tasks that ask something: " + strings.Join(asking, ", ")
		}
		return remedy.New(usageErrorf("task %s asks for no answer", task), hint)
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

// askingTasks are the tasks with a check that reads what the learner wrote, alone or within another check.
func askingTasks(l *lab.Lab) []string {
	var asking []string
	for _, t := range l.Tasks {
		if slices.ContainsFunc(t.Checks, asks) {
			asking = append(asking, t.ID)
		}
	}
	return asking
}

func asks(c lab.Check) bool {
	if c.Kind == "answer" {
		return true
	}
	nested := c.Params // of all, any and none: a list, or a map with one
	if nested.IsMap() {
		nested = nested.Field("checks")
	}
	var checks []lab.Check
	return nested.Decode(&checks) == nil && slices.ContainsFunc(checks, asks)
}
