package cli

import (
	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

type showOptions struct {
	debrief bool
}

func newShowCommand(d *deps) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show LAB|FOLDER",
		Short: "Show the story and the tasks of a lab",
		Example: `  kindlab show services/clusterip
  kindlab show clusterip            # its short name will do
  kindlab show clusterip --debrief  # what to take home, after you have solved it`,
		GroupID:           groupLabs,
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: d.completeLabs,
		RunE:              func(_ *cobra.Command, args []string) error { return o.run(d, args[0]) },
	}
	cmd.Flags().BoolVar(&o.debrief, "debrief", false, "Show the debrief in place of the story")
	return cmd
}

func (o *showOptions) run(d *deps, name string) error {
	l, err := d.namedLab(name)
	if err != nil {
		return err
	}
	read := (*lab.Lab).Story
	if o.debrief {
		read = (*lab.Lab).Debrief
	}
	text, err := read(l)
	if err != nil {
		return err
	}
	return d.printMarkdown(text)
}

func (d *deps) printMarkdown(text string) error {
	return d.print(d.io.Markdown(text))
}
