package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lint"
	"github.com/kindlab-dev/kindlab/internal/nodeimage"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/term"
	"github.com/kindlab-dev/kindlab/manifests"
)

type lintOptions struct {
	output lint.Format
}

func newLintCommand(d *deps) *cobra.Command {
	o := lintOptions{output: lint.Human}
	cmd := &cobra.Command{
		Use:   "lint [LAB|FOLDER...]",
		Short: "Find faults in how labs are written",
		Long: `Find faults in how labs are written, without a cluster: in all labs, or in those
you name. A folder is a lab, or holds labs as <topic>/<lab>.

Each finding is one line: file, line, column, level, what is, and what to do about
it. An error keeps a lab out of the catalogue; advice is for its author to weigh.
The exit code is 0 without errors, and 2 with some: a bad lab. -o github is for
continuous integration.`,
		Example: `  kindlab lint
  kindlab lint services/clusterip
  kindlab lint ./my-lab
  kindlab lint -o github ./labs`,
		GroupID: groupLabs,
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			labs, _ := d.completeLabs(cmd, nil, word)
			return labs, cobra.ShellCompDirectiveDefault // folders as well
		},
		RunE: func(_ *cobra.Command, args []string) error { return o.run(d, args) },
	}
	enumVarP(cmd, &o.output, "output", "o", lint.Formats(), "Output format")
	return cmd
}

func (o *lintOptions) run(d *deps, args []string) error {
	all, err := d.labSources()
	if err != nil {
		return err
	}
	chosen := all
	if len(args) > 0 {
		if chosen, err = sourcesOf(all, args); err != nil {
			return err
		}
	}
	images, err := labImages()
	if err != nil {
		return err
	}
	neighbours := slices.DeleteFunc(slices.Clone(all), func(s lint.Source) bool {
		return slices.ContainsFunc(chosen, func(c lint.Source) bool { return c.Shown == s.Shown })
	})
	findings := lint.Linter{Kinds: check.Builtin(), Images: images}.Lint(chosen, neighbours)
	paint := func(l lint.Level, text string) string {
		if l == lint.Error {
			return d.io.OutView.Paint(term.Red, text)
		}
		return d.io.OutView.Paint(term.Yellow, text)
	}
	if err := o.output.Write(d.io.Out, findings, paint); err != nil {
		return err
	}
	errors := lint.Count(findings, lint.Error)
	d.io.Sayf("%s, %s, %d of advice", counted(len(chosen), "lab"), counted(errors, "error"), lint.Count(findings, lint.Advice))
	if errors > 0 {
		return exitStatus(exitUsage)
	}
	return nil
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// labSources are all labs of the catalogue, also those that cannot be loaded.
func (d *deps) labSources() ([]lint.Source, error) {
	files, err := d.labFiles()
	if err != nil {
		return nil, err
	}
	shown := d.labsDir
	if shown == "" {
		shown = "labs" // where the built-in ones are written
	}
	return sourcesIn(files, filepath.ToSlash(shown))
}

// sourcesIn are the labs of a catalogue's files; shown is its folder for people.
func sourcesIn(files fs.FS, shown string) ([]lint.Source, error) {
	names, err := fs.Glob(files, "*/*/lab.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the labs: %w", err)
	}
	var sources []lint.Source
	for _, name := range names {
		dir := path.Dir(name)
		sources = append(sources, lint.Source{Files: files, Dir: dir, Shown: path.Join(shown, dir)})
	}
	return sources, nil
}

// sourcesOf are the labs that are named: by their names, by their short names, by folders, or by a folder of labs.
func sourcesOf(all []lint.Source, args []string) ([]lint.Source, error) {
	var chosen []lint.Source
	add := func(more ...lint.Source) {
		for _, s := range more {
			if !slices.ContainsFunc(chosen, func(c lint.Source) bool { return c.Shown == s.Shown }) {
				chosen = append(chosen, s)
			}
		}
	}
	for _, arg := range args {
		if isPath(arg) {
			sources, err := sourcesAt(arg)
			if err != nil {
				return nil, err
			}
			add(sources...)
			continue
		}
		var named []lint.Source
		var names []string
		for _, s := range all {
			names = append(names, s.Dir, path.Base(s.Dir))
			if s.Dir == arg || path.Base(s.Dir) == arg {
				named = append(named, s)
			}
		}
		if len(named) == 0 {
			return nil, unknown("lab", arg, names, "see all labs: kindlab list; a folder begins with ./")
		}
		add(named...)
	}
	return chosen, nil
}

// sourcesAt is the lab in a folder, or the labs in a folder of labs.
func sourcesAt(folder string) ([]lint.Source, error) {
	shown := filepath.ToSlash(filepath.Clean(folder))
	if _, err := os.Stat(filepath.Join(folder, "lab.yaml")); err == nil {
		return []lint.Source{{Folder: filepath.Clean(folder), Shown: shown}}, nil
	}
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return nil, usageErrorf("reading the labs: %w", err)
	case !info.IsDir():
		return nil, remedy.New(usageErrorf("%s is not a folder", folder), "name the lab's folder: "+filepath.Dir(folder))
	}
	sources, err := sourcesIn(os.DirFS(folder), shown)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, remedy.New(usageErrorf("%s holds no lab: a lab is a folder with a lab.yaml", folder), "make one: kindlab new topic/name")
	}
	return sources, nil
}

// labImages are those on every node.
func labImages() ([]string, error) {
	files, err := manifests.Node()
	if err != nil {
		return nil, err
	}
	recipe, err := nodeimage.LoadRecipe(files)
	if err != nil {
		return nil, err
	}
	return recipe.Workloads, nil
}
