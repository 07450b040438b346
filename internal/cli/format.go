package cli

import (
	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/reference"
)

type explainFormatOptions struct {
	schema bool
}

func newExplainFormatCommand(d *deps) *cobra.Command {
	var o explainFormatOptions
	cmd := &cobra.Command{
		Use:   "explain-format [PART]",
		Short: "Explain how a lab is written",
		Long: `Explain how a lab is written: lab.yaml, key by key, and every kind of check.

A part is a key of lab.yaml such as spec.setup, or a kind of check such as reach.`,
		Example: `  kindlab explain-format
  kindlab explain-format spec.setup
  kindlab explain-format reach
  kindlab explain-format --schema > schema.json  # for editors`,
		GroupID: groupLabs,
		Args:    arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return reference.New(check.Builtin()).Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return o.run(d, args) },
	}
	cmd.Flags().BoolVar(&o.schema, "schema", false, "Print the JSON Schema of lab.yaml")
	return cmd
}

func (o *explainFormatOptions) run(d *deps, args []string) error {
	kinds := check.Builtin()
	switch {
	case o.schema && len(args) > 0:
		return usageErrorf("--schema is of the whole format: it takes no part")
	case o.schema:
		schema, err := reference.JSON(kinds)
		if err != nil {
			return err
		}
		return d.print(string(schema))
	}
	r := reference.New(kinds)
	if len(args) == 0 {
		return d.printMarkdown(r.Text())
	}
	text, ok := r.Part(args[0])
	if !ok {
		return unknown("part of the format", args[0], r.Names(), "see all parts: kindlab explain-format")
	}
	return d.printMarkdown(text)
}

// newLabTopic is the help topic that says the same. Its text is made when it is asked for: no other command waits.
func newLabTopic(d *deps) *cobra.Command {
	cmd := &cobra.Command{Use: "lab", Short: "How a lab is written"}
	cmd.SetHelpFunc(func(*cobra.Command, []string) {
		// Help has no error to return; a pipe that was closed early is the reader's wish.
		_ = d.printMarkdown(reference.New(check.Builtin()).Text())
	})
	return cmd
}
