package cli

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/skeleton"
	"github.com/kindlab-dev/kindlab/internal/term"
)

type newOptions struct {
	dir string
}

func newNewCommand(d *deps) *cobra.Command {
	var o newOptions
	cmd := &cobra.Command{
		Use:   "new TOPIC/NAME",
		Short: "Begin a lab of your own",
		Long: `Begin a lab of your own: a folder with a small lab that starts and grades, and in
which the solutions, the mistakes and the texts are yours to write. What is there
already is never overwritten.`,
		Example: `  kindlab new services/front-door
  kindlab new services/front-door --dir labs  # in a checkout of kindlab`,
		GroupID:           groupLabs,
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(_ *cobra.Command, args []string) error { return o.run(d, args[0]) },
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "Folder to make TOPIC/NAME in; the one of --labs, or this one")
	return cmd
}

func (o *newOptions) run(d *deps, name string) error {
	o.dir = cmp.Or(o.dir, d.labsDir, ".")
	topic, id, ok := strings.Cut(name, "/")
	form, _ := lab.FormOf("label")
	for _, word := range []string{topic, id} {
		if !ok || !form.MatchString(word) {
			return remedy.New(usageErrorf("expected TOPIC/NAME in %s, found %q", form.Words, name), "as in: kindlab new services/front-door")
		}
	}
	folder, err := skeleton.Write(o.dir, topic, id)
	switch {
	case errors.Is(err, skeleton.ErrThere):
		return remedy.New(usageError{err}, "take another name, or go on with it: kindlab lint "+asPath(filepath.Join(o.dir, topic, id)))
	case err != nil:
		return err
	}
	at := asPath(folder)
	view := d.io.OutView
	var b strings.Builder
	fmt.Fprintf(&b, "%s is there. Its comments say what to write. Then:\n\n", at)
	for _, line := range [][2]string{
		{"kindlab start " + at, "learn it yourself; then kindlab check"},
		{"kindlab lint " + at, "what is wrong with how it is written"},
		{"kindlab verify " + at, "whether it grades right, on a cluster"},
	} {
		fmt.Fprintf(&b, "  %s  %s\n", view.Paint(term.Cyan, fmt.Sprintf("%-*s", len("kindlab verify "+at), line[0])), line[1])
	}
	return d.print(b.String())
}

// asPath is a folder as commands take it, told from the name of a lab.
func asPath(folder string) string {
	if isPath(folder) {
		return folder
	}
	return "./" + filepath.ToSlash(folder)
}
