package grade

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// A Plan is a lab with its checks compiled. It is never changed, so one will do for any number of grades.
type Plan struct {
	lab   *lab.Lab
	parts []part       // the tasks in the lab's order, then the safeguards
	marks [][]compiled // of each of the lab's mistakes, by which it is told from others
}

// part is a task or a safeguard.
type part struct {
	task      report.Task // without a verdict
	checks    []compiled
	safeguard bool
}

type compiled struct {
	kind  string
	check check.Check
}

func (p part) changes() bool {
	return slices.ContainsFunc(p.checks, func(c compiled) bool { return c.check.Changes() })
}

// Compile makes a lab's checks runnable. The error is lab.Problems: all that is wrong with the lab.
func (g *Grader) Compile(l *lab.Lab) (*Plan, error) {
	p := &Plan{lab: l}
	var problems lab.Problems
	compile := func(task string, checks []lab.Check) []compiled {
		scope := check.ScopeOf(l)
		scope.Task = task
		var all []compiled
		for _, c := range checks {
			runnable, found := g.Kinds.Compile(scope, c)
			problems = append(problems, found...)
			if found == nil {
				all = append(all, compiled{c.Kind, runnable})
			}
		}
		return all
	}
	add := func(u part, checks []lab.Check) {
		task := u.task.ID
		if u.safeguard {
			task = ""
		}
		u.checks = compile(task, checks)
		p.parts = append(p.parts, u)
	}
	for _, t := range l.Tasks {
		add(part{task: report.Task{ID: t.ID, Title: t.Title, MaxPoints: t.Points, After: t.After}}, t.Checks)
	}
	for i, c := range l.Safeguards {
		id := fmt.Sprintf("safeguard-%d", i+1)
		add(part{safeguard: true, task: report.Task{ID: id, Title: "What worked before still works"}}, []lab.Check{c})
	}
	for _, m := range l.Mistakes {
		marks := compile("", m.When)
		for i, c := range marks {
			if c.check.Changes() {
				problems = append(problems, m.When[i].Params.Problem("expected a check that only looks: %s changes the cluster", c.kind))
			}
		}
		p.marks = append(p.marks, marks)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// choose returns the tasks named, or all, with those they wait for and every safeguard.
func (p *Plan) choose(names []string) ([]part, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		if _, ok := p.lab.Task(name); !ok {
			return nil, fmt.Errorf("lab %s has no task %q", p.lab.Name, name)
		}
		wanted[name] = true
	}
	// From the last to the first, because a task waits for earlier ones only.
	for _, t := range slices.Backward(p.lab.Tasks) {
		for _, after := range t.After {
			wanted[after] = wanted[after] || wanted[t.ID]
		}
	}
	chosen := make([]part, 0, len(p.parts))
	for _, u := range p.parts {
		if u.safeguard || len(names) == 0 || wanted[u.task.ID] {
			chosen = append(chosen, u)
		}
	}
	return chosen, nil
}

// report puts verdicts together.
func (g *Grader) report(ctx context.Context, p *Plan, started, now time.Time, tasks, safeguards []report.Task) report.Report {
	r := report.Report{
		APIVersion: report.APIVersion, Kind: report.Kind,
		Lab: p.lab.Name, Title: p.lab.Title, Time: started.UTC(), Seconds: now.Sub(started).Seconds(),
		Tasks: tasks, Safeguards: safeguards,
	}
	for _, t := range tasks {
		r.Points += t.Points
		r.MaxPoints += t.MaxPoints
	}
	if g.Recognise {
		r.Tell = g.recognise(ctx, p, r)
	}
	return r
}
