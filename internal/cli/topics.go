package cli

import "github.com/spf13/cobra"

// newHelpTopics returns documentation that ships in the binary.
func newHelpTopics() []*cobra.Command {
	return []*cobra.Command{
		{
			Use:   "exit-codes",
			Short: "What the exit codes mean",
			Long: `kindlab's exit codes follow diff and grep: a grade that is not a pass is an
answer, and not an error.

    0  done; when grading, every task passed
    1  graded, and some task has not passed
    2  wrong use: an unknown flag, lab or task, no lab started, or a bad lab.yaml
    3  could not do it, or could not tell: no container engine, no cluster, an
       API that does not answer, a finding of doctor or status that is an error
  130  interrupted (Ctrl-C)

"kindlab kubectl" passes on the exit code of kubectl.`,
		},
		{
			Use:   "environment",
			Short: "The environment variables that kindlab reads",
			Long: `    KINDLAB_LABS     Folder of labs to use in place of the built-in ones (--labs).
    XDG_STATE_HOME   Where clusters, their kubeconfigs and the journal are kept,
                     in a folder kindlab. Default: ~/.local/state
    XDG_CACHE_HOME   Where the outputs of image builds are kept, in a folder
                     kindlab. Safe to delete. Default: ~/.cache
    KUBECONFIG       Where --context looks for existing clusters, and where
                     up --export-kubeconfig writes. Nothing else touches it.
    CONTAINERS_CONF  podman's configuration. Set it and kindlab leaves podman's
                     configuration to you.
    NO_COLOR         Set and not empty: no colours.
    TERM             "dumb": no colours, and no line is drawn twice.`,
		},
	}
}
