package cli

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/nearest"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// namedLab returns the lab that a learner means: one of the catalogue, one in a folder, or one that was started from a
// folder, which goes on being known by its name.
func (d *deps) namedLab(name string) (*lab.Lab, error) {
	if isPath(name) {
		return lab.LoadDir(name)
	}
	s, err := d.journal.Read()
	if err != nil {
		return nil, err
	}
	if folder := s.Folders[name]; folder != "" {
		return lab.LoadDir(folder)
	}
	labs, err := d.readCatalogue()
	if err != nil {
		return nil, err
	}
	l, unknown := labs.find(name)
	if unknown == nil {
		return l, nil
	}
	for full, folder := range s.Folders {
		if path.Base(full) == name {
			return lab.LoadDir(folder)
		}
	}
	return nil, unknown
}

// unknown is the error for a word that should have been one of names.
func unknown(what, name string, names []string, otherwise string) error {
	err := usageErrorf("unknown %s %q", what, name)
	if similar := nearest.Of(name, names); similar != "" {
		return remedy.New(err, "did you mean "+similar+"?")
	}
	return remedy.New(err, otherwise)
}

// taskIDs lists the tasks of a lab.
func taskIDs(l *lab.Lab) []string {
	ids := make([]string, len(l.Tasks))
	for i, t := range l.Tasks {
		ids[i] = t.ID
	}
	return ids
}

// needTask returns an error for a word that is no task of l.
func needTask(l *lab.Lab, id string) error {
	if slices.Contains(taskIDs(l), id) {
		return nil
	}
	return unknown("task", id, taskIDs(l), l.Name+" has "+strings.Join(taskIDs(l), ", "))
}

// currentLab returns the lab under way at the place that flags mean.
func (d *deps) currentLab(f *placeFlags) (*lab.Lab, journal.Place, error) {
	s, err := d.journal.Read()
	if err != nil {
		return nil, journal.Place{}, err
	}
	place := f.complete(&s)
	name := s.Current(place)
	if name == "" {
		return nil, place, remedy.New(usageErrorf("%w on %s", errNoLab, place), "choose one with `kindlab list`, then: kindlab start LAB")
	}
	return d.startedLab(name, place)
}

// errNoLab says that the journal knows no lab under way.
var errNoLab = errors.New("no lab is started")

// underWay is currentLab, and asks the cluster where the journal knows no lab: it may have been lost, and the cluster
// knows better.
func (d *deps) underWay(ctx context.Context, f *placeFlags) (*lab.Lab, journal.Place, error) {
	l, place, nothing := d.currentLab(f)
	if !errors.Is(nothing, errNoLab) || place.Context == "" && !cluster.Recorded(d.stateDir, place.Name) {
		return l, place, nothing
	}
	var there []string
	err := d.on(ctx, f, place, func(s *site.Site) (err error) {
		there, err = stage.Started(ctx, s.Cluster)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, place, ctx.Err()
	case err != nil || len(there) == 0: // no cluster, no lab
		return nil, place, nothing
	case len(there) > 1:
		return nil, place, remedy.New(usageErrorf("several labs are on %s: %s", place, strings.Join(there, ", ")),
			"say which one you work on: kindlab start "+there[0])
	}
	if l, place, err = d.startedLab(there[0], place); err != nil {
		return nil, place, err
	}
	return l, place, d.journal.Update(func(s *journal.State) error { s.Start(place, l.Name, d.now()); return nil })
}

// startedLab finds a lab that is on the cluster of a place in the catalogue.
func (d *deps) startedLab(name string, place journal.Place) (*lab.Lab, journal.Place, error) {
	if folder, err := d.folder(name); err != nil || folder != "" {
		if err != nil {
			return nil, place, err
		}
		l, err := lab.LoadDir(folder)
		return l, place, err
	}
	labs, err := d.readCatalogue()
	if err != nil {
		return nil, place, err
	}
	l, err := labs.find(name)
	if _, broken := errors.AsType[lab.Problems](err); broken {
		return nil, place, err
	}
	if err != nil {
		// Not the learner's typing: the catalogue has changed under the journal.
		return nil, place, remedy.New(usageErrorf("the started lab %s is not among the labs", name),
			"give its folder with --labs, or start another lab")
	}
	return l, place, nil
}

// completeLabs completes the name of one lab, with titles. It reads the catalogue and nothing else.
func (d *deps) completeLabs(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	labs, err := d.catalogue()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, l := range labs.labs {
		names = append(names, cobra.CompletionWithDesc(l.Name, l.Title))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeTasks completes the tasks of the lab under way that are not on the line yet, up to limit (0 for all).
func (d *deps) completeTasks(f *placeFlags, limit int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		l, _, err := d.currentLab(f)
		if err != nil || limit > 0 && len(args) >= limit {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var ids []string
		for _, t := range l.Tasks {
			if !slices.Contains(args, t.ID) {
				ids = append(ids, cobra.CompletionWithDesc(t.ID, t.Title))
			}
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// arguments wraps a cobra rule for the number of arguments, so that breaking it counts as wrong use.
func arguments(rule cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := rule(cmd, args); err != nil {
			return remedy.New(usageErrorf("%w", err), "use it like this: "+cmd.UseLine())
		}
		return nil
	}
}
