package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/site"
)

type checkOptions struct {
	place  placeFlags
	tasks  []string
	output report.Format
	chosen bool // the format was asked for
}

func newCheckCommand(d *deps) *cobra.Command {
	o := checkOptions{output: report.Human}
	cmd := &cobra.Command{
		Use:   "check [TASK...]",
		Short: "Grade your work",
		Long: `Grade your work on the lab you started: all of it, or the tasks you name with
those they build on. The exit code is 0 when all passed, 1 when something did
not, and 3 when kindlab could not tell.

On a terminal the grade is laid out for reading; in a pipe it is one line per
task: name, verdict, points and reason, separated by tabs. -o wide adds times,
kinds of checks and commands to look with. -o junit and -o github are for
continuous integration.`,
		Example: `  kindlab check
  kindlab check -o json
  kindlab check -o junit > report.xml`,
		GroupID:           groupLabs,
		ValidArgsFunction: d.completeTasks(&o.place, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.tasks, o.chosen = args, cmd.Flags().Changed("output")
			return o.run(cmd.Context(), d)
		},
	}
	o.place.add(cmd)
	enumVarP(cmd, &o.output, "output", "o", report.Formats(), "Output format")
	return cmd
}

func (o *checkOptions) run(ctx context.Context, d *deps) error {
	l, place, err := d.underWay(ctx, &o.place)
	if err != nil {
		return err
	}
	for _, task := range o.tasks {
		if err := needTask(l, task); err != nil {
			return err
		}
	}
	var r report.Report
	if err := d.on(ctx, &o.place, place, func(s *site.Site) (err error) {
		if l, err = d.attempt(ctx, s, l.Name); err == nil {
			r, err = o.grade(ctx, d, s.Cluster, l)
		}
		return err
	}); err != nil {
		return err
	}
	style := report.Style{
		Terminal: d.io.OutView.Terminal || o.chosen && o.output == report.Human,
		Color:    d.io.OutView.Color, File: d.labFile(l),
	}
	var text strings.Builder
	if err := o.output.Write(&text, r, style); err != nil {
		return err
	}
	if err := d.printGrade(o.output, text.String()); err != nil {
		return err
	}
	if err := d.record(r, len(o.tasks) == 0); err != nil {
		return err
	}
	code := r.ExitCode()
	d.sayNext(l, r)
	if code != exitOK {
		return exitStatus(code)
	}
	return nil
}

func (o *checkOptions) grade(ctx context.Context, d *deps, c *check.Cluster, l *lab.Lab) (report.Report, error) {
	done := d.io.Waiting("grading " + l.Name)
	defer done()
	grader := grade.Grader{Kinds: check.Builtin(), Cluster: c, Recognise: true}
	return grader.Run(ctx, l, o.tasks...)
}

// printGrade folds what people read.
func (d *deps) printGrade(format report.Format, text string) error {
	if format == report.Human || format == report.Wide {
		text = d.io.OutView.Fold(text)
	}
	return d.print(text)
}

// labFile is the file that a remark on a lab can point at, where the labs are in a folder.
func (d *deps) labFile(l *lab.Lab) string {
	if d.labsDir == "" {
		return ""
	}
	return filepath.ToSlash(filepath.Join(d.labsDir, l.Name, "lab.yaml"))
}

// record keeps a grade in the journal.
func (d *deps) record(r report.Report, whole bool) error {
	result := journal.Result{
		Time: r.Time, Points: r.Points, MaxPoints: r.MaxPoints, Tasks: map[string]string{}, Passed: r.ExitCode() == exitOK,
	}
	for _, t := range r.Tasks {
		result.Tasks[t.ID] = string(t.Verdict)
	}
	return d.journal.Update(func(s *journal.State) error {
		s.Record(r.Lab, result, whole)
		return nil
	})
}

// sayNext says what to do next, to people: a script knows.
func (d *deps) sayNext(l *lab.Lab, r report.Report) {
	if !d.io.ErrView.Terminal {
		return
	}
	for _, t := range r.Tasks {
		if t.Verdict == report.Failed {
			d.io.Sayf("\nStuck? kindlab hint %s", t.ID)
			return
		}
	}
	if len(r.Tasks) == len(l.Tasks) && r.ExitCode() == exitOK {
		d.io.Sayf("\nWell done. What to take home: kindlab show %s --debrief", l.ID)
	}
}
