package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
)

// enum is a flag that takes one of a few words.
type enum[T ~string] struct {
	value   *T
	choices []T
}

func (e enum[T]) String() string { return string(*e.value) }
func (e enum[T]) Type() string   { return "string" }

func (e enum[T]) Set(s string) error {
	if !slices.Contains(e.choices, T(s)) {
		return fmt.Errorf("want %s", e.list("|"))
	}
	*e.value = T(s)
	return nil
}

func (e enum[T]) list(separator string) string {
	words := make([]string, len(e.choices))
	for i, c := range e.choices {
		words[i] = string(c)
	}
	return strings.Join(words, separator)
}

// enumVarP adds a flag that takes one of choices, and completes them.
func enumVarP[T ~string](cmd *cobra.Command, value *T, name, short string, choices []T, usage string) {
	e := enum[T]{value: value, choices: choices}
	cmd.Flags().VarP(e, name, short, fmt.Sprintf("%s: %s", usage, e.list("|")))
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(e.list(" "), " "), cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // only for a flag that does not exist: it was added two lines above
	}
}

// format is how status, doctor and version write what they found.
type format string

const (
	formatHuman format = "human"
	formatJSON  format = "json"
)

func formatVar(cmd *cobra.Command, value *format) {
	*value = formatHuman
	enumVarP(cmd, value, "output", "o", []format{formatHuman, formatJSON}, "Output format")
}

// defaultCluster is the name of the cluster for those who never choose one.
const defaultCluster = "kindlab"

// placeFlags say which cluster is meant.
type placeFlags struct {
	name, context, engine string
}

func (f *placeFlags) add(cmd *cobra.Command) {
	f.addOwn(cmd)
	cmd.Flags().StringVar(&f.context, "context", "", "Use an existing cluster, by its context in your kubeconfig")
	cmd.MarkFlagsMutuallyExclusive("name", "context")
	cmd.MarkFlagsMutuallyExclusive("engine", "context")
}

// addOwn adds the flags of commands that work on clusters of kindlab's own only.
func (f *placeFlags) addOwn(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.name, "name", "", `Name of the cluster (default: the one you used last, or "`+defaultCluster+`")`)
	enumVarP(cmd, &f.engine, "engine", "", []string{"docker", "podman", "nerdctl"}, "Container engine (default: the first that answers)")
}

// complete returns the cluster that is meant: flags come first, then where the learner works, then the default. The
// engine of a known cluster needs no flag.
func (f *placeFlags) complete(s *journal.State) journal.Place {
	p := s.Place
	switch {
	case f.context != "":
		p = journal.Place{Context: f.context}
	case f.name != "":
		p = journal.Place{Name: f.name}
	case p == journal.Place{}:
		p = journal.Place{Name: defaultCluster}
	}
	if f.engine == "" && p.Context == "" {
		f.engine = s.Engines[p.Name]
	}
	return p
}
