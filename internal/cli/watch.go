package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/site"
)

type watchOptions struct {
	place   placeFlags
	tasks   []string
	output  report.Format
	keep    bool
	timeout time.Duration
}

func newWatchCommand(d *deps) *cobra.Command {
	o := watchOptions{output: report.Human}
	cmd := &cobra.Command{
		Use:   "watch [TASK...]",
		Short: "Grade your work as you work, until all has passed",
		Long: `Grade your work on the lab you started, again whenever something changes that a
task depends on: leave it running beside your shell. It ends when all has passed,
with exit code 0. Tasks whose checks change the cluster (deleting a pod, say) are
graded by kindlab check only; when they are what remains, it ends with 1.

On a terminal the grade is drawn again in place; in a pipe each change is one
line: time, name, verdict and reason, separated by tabs.`,
		Example: `  kindlab watch
  kindlab watch --keep
  kindlab watch -o json --timeout 10m`,
		GroupID:           groupLabs,
		ValidArgsFunction: d.completeTasks(&o.place, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.tasks = args
			return o.run(cmd.Context(), d)
		},
	}
	o.place.add(cmd)
	enumVarP(cmd, &o.output, "output", "o", []report.Format{report.Human, report.JSON}, "Output format")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "Go on watching when all has passed")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "Give up after this time, such as 10m (default: never)")
	return cmd
}

func (o *watchOptions) run(ctx context.Context, d *deps) error {
	if o.timeout < 0 {
		return usageErrorf("--timeout %s: a time to wait is longer than nothing", o.timeout)
	}
	l, place, err := d.underWay(ctx, &o.place)
	if err != nil {
		return err
	}
	for _, task := range o.tasks {
		if err := needTask(l, task); err != nil {
			return err
		}
	}
	w := &watcher{deps: d, keep: o.keep, whole: len(o.tasks) == 0, passed: map[string]bool{}}
	if err := d.on(ctx, &o.place, place, func(s *site.Site) (err error) {
		if l, err = d.attempt(ctx, s, l.Name); err != nil {
			return err
		}
		return o.watch(ctx, d, s.Cluster, l, w)
	}); err != nil {
		return err
	}
	return w.end(l)
}

// watch shows what changes until all is done, the time is up, or ctx ends.
func (o *watchOptions) watch(ctx context.Context, d *deps, c *check.Cluster, l *lab.Lab, w *watcher) error {
	grader := grade.Grader{Kinds: check.Builtin(), Cluster: c, Recognise: true}
	plan, err := grader.Compile(l)
	if err != nil {
		return err
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if o.timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, o.timeout)
	}
	defer cancel()
	w.show = o.show(d, l)
	err = grader.Watch(limited, plan, w.see, o.tasks...)
	w.show.close()
	switch {
	case w.err != nil:
		return w.err
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		d.io.Sayf("gave up after %s: %s", o.timeout, w.last.Summary())
		return nil
	}
	return err
}

// watcher takes the changes of a watched lab.
type watcher struct {
	deps   *deps
	show   shower
	keep   bool            // go on when all is done
	whole  bool            // all tasks are watched
	passed map[string]bool // the tasks that have passed before
	last   report.Report
	done   bool
	err    error
}

// shower is a way to show changes.
type shower interface {
	change(report.Change) error
	close()
}

func (o *watchOptions) show(d *deps, l *lab.Lab) shower {
	if o.output == report.Human && d.io.OutView.Terminal {
		return newBoard(d.io, l, d.now)
	}
	return lines{d: d, format: o.output}
}

// see shows a change, and keeps a grade when a task passes for the first time: a watch may end with the window it is in.
func (w *watcher) see(c report.Change) (more bool) {
	w.last, w.done = c.Report, c.Done
	if w.err = w.show.change(c); w.err != nil {
		return false
	}
	news := false
	for _, t := range c.Report.Tasks {
		if t.Verdict == report.Passed && !w.passed[t.ID] {
			w.passed[t.ID], news = true, true
		}
	}
	// Done is news too: what passed on the way there may have been lost and won again.
	if news || c.Done {
		w.err = w.deps.record(c.Report, w.whole && decided(c.Report))
	}
	return w.err == nil && (!c.Done || w.keep)
}

// end says what is next, and returns the exit code.
func (w *watcher) end(l *lab.Lab) error {
	if len(w.last.Tasks) == 0 {
		return exitStatus(exitTrouble) // the time was up before there was anything to tell
	}
	w.deps.sayNext(l, w.last)
	if w.done && w.last.Count(report.Blocked) > 0 {
		w.deps.io.Sayf("the rest takes more than looking: kindlab check")
	}
	if code := w.last.ExitCode(); code != exitOK {
		return exitStatus(code)
	}
	return nil
}

// decided tells whether every task has a verdict.
func decided(r report.Report) bool {
	return !slices.ContainsFunc(r.Tasks, func(t report.Task) bool { return t.Verdict == "" })
}

// lines shows changes as lines.
type lines struct {
	d      *deps
	format report.Format
}

func (s lines) change(c report.Change) error { return s.format.WriteEvents(s.d.io.Out, c) }
func (s lines) close()                       {}
