package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// The groups of commands in the help text.
const (
	groupLabs     = "labs"
	groupClusters = "clusters"
)

func newRoot(d *deps) *cobra.Command {
	root := &cobra.Command{
		Use:   "kindlab",
		Short: "Hands-on Kubernetes labs on real clusters",
		Long: `kindlab starts a real Kubernetes cluster on this machine, puts a lab on it, and
grades what you repair or build there with kubectl.`,
		Example: `  kindlab list                      # what there is to learn
  kindlab start services/clusterip  # bring up a cluster and put a lab on it
  kindlab check                     # how far are you?
  kindlab hint                      # a nudge, when you want one
  kindlab stop && kindlab down      # tidy up`,
		SilenceErrors: true,
		SilenceUsage:  true,
		// A root that can run gets the words it does not know; without it cobra answers in its own way.
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := usageErrorf("unknown command %q", args[0])
			if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
				return remedy.New(err, "did you mean "+strings.Join(similar, " or ")+"?")
			}
			return remedy.New(err, "see all commands: kindlab help")
		},
		// cobra looks at groups of flags too, but a moment later, and does not call breaking them wrong use.
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateFlagGroups(); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(d.io.In)
	root.SetOut(d.io.Out)
	root.SetErr(d.io.Err)
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return remedy.New(usageError{err}, "see its flags: "+cmd.CommandPath()+" --help")
	})
	root.PersistentFlags().StringVar(&d.labsDir, "labs", d.labsDir, "Folder of labs to use in place of the built-in ones")
	root.AddGroup(&cobra.Group{ID: groupLabs, Title: "Labs:"}, &cobra.Group{ID: groupClusters, Title: "Clusters:"})
	root.AddCommand(newListCommand(d), newShowCommand(d), newStartCommand(d), newCheckCommand(d), newWatchCommand(d), newAnswerCommand(d),
		newHintCommand(d), newSolutionCommand(d), newDiffCommand(d), newResetCommand(d), newStopCommand(d))
	root.AddCommand(newUpCommand(d), newDownCommand(d), newStatusCommand(d), newDoctorCommand(d), newImageCommand(d),
		newKubectlCommand(d))
	root.AddCommand(newVersionCommand(d))
	root.AddCommand(newNewCommand(d), newLintCommand(d), newVerifyCommand(d), newExplainFormatCommand(d), newLabTopic(d))
	root.AddCommand(newHelpTopics()...)
	root.SetCompletionCommandGroupID("")
	return root
}
