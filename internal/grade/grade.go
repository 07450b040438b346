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
	Poll    time.Duration // between two looks at a moving cluster, at least
	Timeout time.Duration // for one run of one check
	Quiet   time.Duration // how long a watched cluster has to be at rest before a task is called failed
	// Observe is called with each task as it is decided, one at a time. It may
	// be nil.
	Observe func(report.Task)
	// Changing is called before a check that changes the cluster. It may be nil.
	Changing func(check.Check)
	// Recognise adds the author's words to a report that looks like one of the lab's known mistakes.
	Recognise bool
}

// Run grades the tasks named, or all. A task whose After has not passed is
// blocked; the tasks it waits for are graded too. The error is a bad lab, also
// one that asks for what the cluster does not know, or a task that does not
// exist; trouble with the cluster is in the report.
func (g *Grader) Run(ctx context.Context, l *lab.Lab, tasks ...string) (report.Report, error) {
	p, err := g.Compile(l)
	if err != nil {
		return report.Report{}, err
	}
	return g.Grade(ctx, p, tasks...)
}

// Grade is Run for a lab that is compiled already.
func (g *Grader) Grade(ctx context.Context, p *Plan, tasks ...string) (report.Report, error) {
	start := time.Now()
	parts, err := p.choose(tasks)
	if err != nil {
		return report.Report{}, err
	}
	units := make([]*unit, len(parts))
	for i, chosen := range parts {
		units[i] = &unit{part: chosen, changes: chosen.changes()}
	}
	g.work(ctx, units)
	var bad lab.Problems
	for _, u := range units {
		bad = append(bad, u.bad...)
	}
	if len(bad) > 0 {
		return report.Report{}, bad
	}
	graded, safeguards := []report.Task{}, []report.Task(nil)
	for _, u := range units {
		if u.safeguard {
			safeguards = append(safeguards, u.task)
		} else {
			graded = append(graded, u.task)
		}
	}
	return g.report(ctx, p, start, time.Now(), graded, safeguards), ctx.Err()
}

// unit is a task, or a safeguard, on its way to a verdict.
type unit struct {
	part
	changes bool         // one of the checks changes the cluster
	bad     lab.Problems // what only a cluster could tell is wrong with the lab
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
		if g.Changing != nil && c.check.Changes() {
			g.Changing(c.check)
		}
		err := g.settle(ctx, c.check)
		if err == nil {
			continue
		}
		u.bad, _ = errors.AsType[lab.Problems](err)
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

// passing tells whether err is trouble that a look a moment later may be free of.
func passing(err error) bool {
	_, goes := errors.AsType[*check.Passing](err)
	return goes
}

// settle runs a check until it passes, is wrong for good, cannot be told by
// waiting, or time is up. What it saw last says more than "deadline exceeded",
// so it returns that.
func (g *Grader) settle(ctx context.Context, c check.Check) error {
	began := time.Now()
	deadline := began.Add(orDefault(g.Settle, DefaultSettle))
	timeout := orDefault(g.Timeout, DefaultTimeout)
	var seen *check.Failure
	for {
		err := g.once(ctx, c, g.Cluster, timeout)
		if cut, ok := errors.AsType[cutError](err); ok && seen != nil {
			f := *seen
			f.More = append(slices.Clone(f.More), "looking once more: "+cut.Error())
			return &f
		}
		f, no := errors.AsType[*check.Failure](err)
		switch {
		case !time.Now().Before(deadline):
			return err
		case no && f.Settling:
			seen = f
		case passing(err):
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(min(g.pause(time.Since(began)), time.Until(deadline))):
		}
	}
}

// pause is how long to wait for the next look, after looking for so long: a tenth of that is soon enough for what is slow,
// and looks take from the processors what the cluster needs to get there.
func (g *Grader) pause(looked time.Duration) time.Duration {
	return max(orDefault(g.Poll, DefaultPoll), looked/10)
}

// cutError is why a run was not waited for: it took too long, or nobody wants its answer any more.
type cutError struct{ error }

func (e cutError) Unwrap() error { return e.error }

// once runs a check within its time. A check that hangs says nothing about the learner's work.
func (g *Grader) once(ctx context.Context, c check.Check, on *check.Cluster, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the check did not end within %s", timeout))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- guarded(ctx, c, on) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return cutError{context.Cause(ctx)}
	}
}

// guarded runs a check here. Neither a panic nor what it made of a cut-off answer is a verdict.
func guarded(ctx context.Context, c check.Check, on *check.Cluster) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the check has a bug: %v\n%s", r, debug.Stack())
		}
	}()
	err = c.Run(ctx, on)
	if ctx.Err() != nil {
		return cutError{context.Cause(ctx)}
	}
	return err
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
