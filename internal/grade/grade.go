// Package grade runs a lab's checks against a cluster and emits a report. It
// waits only while the cluster is moving: what has arrived and is wrong is
// called wrong at once, and what could not be looked at is never called wrong.
package grade

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// The defaults of a Grader.
const (
	DefaultSettle  = 30 * time.Second
	DefaultPoll    = 200 * time.Millisecond
	DefaultTimeout = 60 * time.Second
)

// A Grader grades labs on one cluster.
type Grader struct {
	Kinds   check.Registry
	Cluster *check.Cluster
	Settle  time.Duration // how long a moving cluster is waited for, for each check
	Poll    time.Duration // between two looks at a moving cluster
	Timeout time.Duration // for one run of one check
	// Observe is called with each task as it is decided, one at a time. It may
	// be nil.
	Observe func(report.Task)
}

// Run grades the tasks named, or all. A task whose After has not passed is
// blocked; the tasks it waits for are graded too. The error is a bad lab or a
// task that does not exist; trouble with the cluster is in the report.
func (g *Grader) Run(ctx context.Context, l *lab.Lab, tasks ...string) (report.Report, error) {
	start := time.Now()
	units, err := g.plan(l, tasks)
	if err != nil {
		return report.Report{}, err
	}
	g.work(ctx, units)
	r := report.Report{
		APIVersion: report.APIVersion, Kind: report.Kind,
		Lab: l.Name, Title: l.Title, Time: start.UTC(), Seconds: time.Since(start).Seconds(),
	}
	for _, u := range units {
		if u.safeguard {
			r.Safeguards = append(r.Safeguards, u.task)
			continue
		}
		r.Tasks = append(r.Tasks, u.task)
		r.Points += u.task.Points
		r.MaxPoints += u.task.MaxPoints
	}
	return r, ctx.Err()
}

// unit is a task, or a safeguard, on its way to a verdict.
type unit struct {
	task      report.Task
	checks    []compiled
	changes   bool // one of the checks changes the cluster
	safeguard bool
}

type compiled struct {
	kind  string
	check check.Check
}

func (g *Grader) plan(l *lab.Lab, names []string) ([]*unit, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		if _, ok := l.Task(name); !ok {
			return nil, fmt.Errorf("lab %s has no task %q", l.Name, name)
		}
		wanted[name] = true
	}
	// From the last to the first, because a task waits for earlier ones only.
	for _, t := range slices.Backward(l.Tasks) {
		for _, after := range t.After {
			wanted[after] = wanted[after] || wanted[t.ID]
		}
	}
	var units []*unit
	var problems lab.Problems
	add := func(u *unit, checks []lab.Check) {
		for _, c := range checks {
			compiledCheck, found := g.Kinds.Compile(check.ScopeOf(l), c)
			problems = append(problems, found...)
			if found == nil {
				u.checks = append(u.checks, compiled{c.Kind, compiledCheck})
				u.changes = u.changes || compiledCheck.Changes()
			}
		}
		units = append(units, u)
	}
	for _, t := range l.Tasks {
		if len(names) == 0 || wanted[t.ID] {
			add(&unit{task: report.Task{ID: t.ID, Title: t.Title, MaxPoints: t.Points, After: t.After}}, t.Checks)
		}
	}
	for i, c := range l.Safeguards {
		id := fmt.Sprintf("safeguard-%d", i+1)
		add(&unit{safeguard: true, task: report.Task{ID: id, Title: "What worked before still works"}}, []lab.Check{c})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return units, nil
}

// work decides all units: in each round those whose turn it is, together. What
// changes the cluster goes alone, when there is nothing else left to look at.
func (g *Grader) work(ctx context.Context, units []*unit) {
	passed := map[string]bool{}
	for {
		var round []*unit
		var alone *unit
		for _, u := range units {
			switch {
			case u.task.Verdict != "" || !ready(u, passed):
			case !u.changes:
				round = append(round, u)
			case alone == nil:
				alone = u
			}
		}
		if len(round) == 0 {
			if alone == nil {
				break
			}
			round = []*unit{alone}
		}
		g.together(ctx, round)
		for _, u := range round {
			passed[u.task.ID] = u.task.Verdict == report.Passed
		}
	}
	for _, u := range units {
		if u.task.Verdict == "" {
			u.task.Verdict = report.Blocked
			g.observe(u.task)
		}
	}
}

func ready(u *unit, passed map[string]bool) bool {
	return !slices.ContainsFunc(u.task.After, func(id string) bool { return !passed[id] })
}

func (g *Grader) together(ctx context.Context, units []*unit) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for _, u := range units {
		wait.Go(func() {
			start := time.Now()
			g.decide(ctx, u)
			u.task.Seconds = time.Since(start).Seconds()
			mu.Lock()
			defer mu.Unlock()
			g.observe(u.task)
		})
	}
	wait.Wait()
}

func (g *Grader) observe(t report.Task) {
	if g.Observe != nil {
		g.Observe(t)
	}
}

// decide runs the checks in their order and stops at the first that does not
// pass: the later ones build on it.
func (g *Grader) decide(ctx context.Context, u *unit) {
	for _, c := range u.checks {
		err := g.settle(ctx, c.check)
		if err == nil {
			continue
		}
		u.task.Verdict, u.task.Findings = verdict(c.kind, err)
		return
	}
	u.task.Verdict, u.task.Points = report.Passed, u.task.MaxPoints
}

func verdict(kind string, err error) (report.Verdict, []report.Finding) {
	f, ok := errors.AsType[*check.Failure](err)
	if !ok {
		return report.Unknown, []report.Finding{{Check: kind, Is: err.Error()}}
	}
	v := report.Failed
	if f.Settling {
		v = report.Settling
	}
	return v, []report.Finding{{Check: kind, Is: f.Is, Want: f.Want, Look: f.Look, More: f.More}}
}

// settle runs a check until it passes, is wrong for good, or time is up. What
// it saw last says more than "deadline exceeded", so it returns that.
func (g *Grader) settle(ctx context.Context, c check.Check) error {
	deadline := time.Now().Add(orDefault(g.Settle, DefaultSettle))
	for {
		err := g.once(ctx, c)
		f, ok := errors.AsType[*check.Failure](err)
		if !ok || !f.Settling || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(orDefault(g.Poll, DefaultPoll)):
		}
	}
}

// once runs a check within its time. A check that panics or hangs says nothing
// about the learner's work.
func (g *Grader) once(ctx context.Context, c check.Check) error {
	timeout := orDefault(g.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the check did not end within %s", timeout))
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("the check has a bug: %v\n%s", r, debug.Stack())
			}
		}()
		err := c.Run(ctx, g.Cluster)
		if ctx.Err() != nil {
			// Whatever it made of a cut-off answer is not a verdict.
			err = context.Cause(ctx)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
