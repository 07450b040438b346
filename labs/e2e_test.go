//go:build e2e

// The proof of the catalogue on a real cluster: an untouched lab fails every
// task, each solution passes them all, and each mistake fails exactly the tasks
// it names, in the words it promises. The grader here is the one learners use.
package labs_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/e2e-framework/pkg/env"
	"sigs.k8s.io/e2e-framework/pkg/envconf"
	"sigs.k8s.io/e2e-framework/pkg/features"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/labs"
)

func TestLabs(t *testing.T) {
	s, _ := sitetest.Open(t)
	catalogue, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	testenv := env.NewWithConfig(envconf.New())
	for _, entry := range catalogue {
		l, err := lab.Load(labs.FS(), entry.Name, check.Builtin())
		if err != nil {
			t.Fatal(err)
		}
		f := features.New(l.Name).WithLabel("topic", l.Topic).
			WithSetup("start", func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
				// The framework skips its teardown when a setup fails; this does not.
				t.Cleanup(func() {
					if err := stage.Stop(context.Background(), s.Cluster, l, s.Options(nil, nil)); err != nil {
						t.Errorf("stopping: %v", err)
					}
				})
				if err := stage.Start(ctx, s.Cluster, l, s.Options(nil, nil)); err != nil {
					t.Fatal(err)
				}
				return ctx
			}).
			Assess("untouched: every task fails", step(s, l, func(t *testing.T, r report.Report) {
				for _, task := range r.Tasks {
					if task.Verdict != report.Failed && task.Verdict != report.Blocked {
						t.Errorf("task %s is %s, want failed", task.ID, task.Verdict)
					}
				}
				holds(t, r)
				if r.ExitCode() != 1 {
					t.Errorf("exit code %d, want 1", r.ExitCode())
				}
			}))
		for _, right := range l.Solutions {
			f = f.Assess("solution passes: "+right.Title, step(s, l, func(t *testing.T, r report.Report) {
				if r.ExitCode() != 0 || r.Points != l.MaxPoints() {
					t.Errorf("exit code %d with %d points, want 0 with %d", r.ExitCode(), r.Points, l.MaxPoints())
				}
				holds(t, r)
			}, stage.Step{Delete: right.Delete, Apply: right.Apply, Run: right.Run}))
		}
		for _, m := range l.Mistakes {
			f = f.Assess("mistake fails: "+m.Title, step(s, l, func(t *testing.T, r report.Report) {
				mistaken(t, l, m, r)
			}, stage.Step{Delete: m.Delete, Apply: m.Apply, Run: m.Run}))
		}
		testenv.Test(t, f.Feature())
	}
}

// step applies changes to a lab as it was set up, grades it, and resets it: then the cluster is as it was.
func step(s *site.Site, l *lab.Lab, judge func(*testing.T, report.Report), changes ...stage.Step) features.Func {
	return func(ctx context.Context, t *testing.T, _ *envconf.Config) context.Context {
		before, err := stage.Recorded(ctx, s.Cluster, l.Name)
		if err != nil {
			t.Error(err)
			return ctx
		}
		for _, ch := range changes {
			if err := stage.Perform(ctx, s.Cluster, l, ch, s.Home.Scripts()); err != nil {
				t.Error(err)
				return ctx
			}
		}
		graded := *s.Cluster
		graded.Baseline = before.Baseline
		g := grade.Grader{Kinds: check.Builtin(), Cluster: &graded, Recognise: true}
		r, err := g.Run(ctx, l)
		if err != nil {
			t.Error(err)
			return ctx
		}
		judge(t, r)
		var text strings.Builder
		if err := report.Human.Write(&text, r, report.Style{Terminal: true}); err != nil {
			t.Error(err)
		}
		t.Log("\n" + text.String())
		if len(changes) > 0 {
			start := time.Now()
			if err := stage.Reset(ctx, s.Cluster, l, s.Options(nil, nil)); err != nil {
				t.Errorf("resetting: %v", err)
			}
			t.Logf("reset in %.1f s", time.Since(start).Seconds())
			differences, err := before.Diff(ctx, s.Cluster, l)
			if err != nil || len(differences) > 0 {
				t.Errorf("after the reset the cluster is not as it was: %v, %v", differences, err)
			}
		}
		return ctx
	}
}

func holds(t *testing.T, r report.Report) {
	t.Helper()
	for _, s := range r.Safeguards {
		if s.Verdict != report.Passed {
			t.Errorf("%s is %s, want passed", s.ID, s.Verdict)
		}
	}
}

func mistaken(t *testing.T, l *lab.Lab, m lab.Mistake, r report.Report) {
	t.Helper()
	said := false
	for _, task := range r.Tasks {
		defined, _ := l.Task(task.ID)
		want := report.Passed
		switch {
		case slices.Contains(m.Fails, task.ID):
			want = report.Failed
		case slices.ContainsFunc(defined.After, func(id string) bool { return slices.Contains(m.Fails, id) }):
			want = report.Blocked
		}
		if task.Verdict != want {
			t.Errorf("task %s is %s, want %s", task.ID, task.Verdict, want)
		}
		for _, f := range task.Findings {
			said = said || strings.Contains(f.Is, m.Says)
		}
	}
	if !said {
		t.Errorf("no finding says %q", m.Says)
	}
}

// connect opens the cluster named by KINDLAB_E2E_CLUSTER. There is no skipping:
// a suite that silently proves nothing is worse than one that fails.
