package grade

import (
	"context"
	"errors"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
)

// How soon a check is asked again.
const (
	// debounce lets the changes of one command come together; debounceMax bounds it where they never end.
	debounce    = 40 * time.Millisecond
	debounceMax = 200 * time.Millisecond

	// brisk is for a no right after a change: an authorizer or a network follows the API a moment later, and tells
	// nobody when it has.
	brisk = 250 * time.Millisecond
	// eager is how long after a change a probe that says no is asked briskly.
	eager = 6 * time.Second

	probeFailing = 2 * time.Second  // nothing tells when packets find their way again
	probePassing = 10 * time.Second // nor when they lose it
	settling     = 2 * time.Second  // a rollout may get stuck without an event
	unwatched    = 2 * time.Second  // no informer tells of the objects yet
	// onceInAWhile is for checks that events speak for: it would mend a change that nobody told of.
	onceInAWhile = 30 * time.Second
)

// look is a check as watching knows it: what it said last, and when it is asked next.
type look struct {
	compiled
	probes bool

	unsynced int       // the informers that do not tell of changes yet
	changed  time.Time // when an object it reads changed last

	due      time.Time // when to ask
	running  bool
	began    time.Time // the latest run
	outdated bool      // something changed since that run began
	burst    time.Time // when it changed first
	behind   time.Time // since when answers are dropped for being outdated; zero after one was taken
	abandon  context.CancelCauseFunc

	current bool // err answers for the cluster as it is, as far as we know
	err     error
	seen    time.Time // when the run began that err is of
	took    time.Duration
}

// touch notes that something the check reads has changed. A run that has begun may or may not have seen it, so it is
// abandoned, and there is another.
func (l *look) touch(now time.Time) {
	if !l.outdated {
		l.outdated, l.burst = true, now
	}
	if l.running && l.drops(now) {
		l.abandon(errOutdated)
	}
	l.current, l.changed = false, now
	l.due = earliest(now.Add(debounce), l.burst.Add(debounceMax))
}

// restless is how long outdated answers are dropped. Some clusters never rest, and a late word is better than none.
const restless = 2 * time.Second

var errOutdated = errors.New("what it read has changed")

// drops tells whether an answer is dropped that may be of before a change.
func (l *look) drops(now time.Time) bool {
	if l.behind.IsZero() {
		l.behind = now
	}
	return now.Sub(l.behind) < restless
}

// answer takes what a run found, unless it is outdated. That a check did not end in time is true all the same.
func (l *look) answer(err error, now time.Time) {
	l.running = false
	_, cut := errors.AsType[cutError](err)
	if errors.Is(err, errOutdated) || l.outdated && !cut && l.drops(now) {
		return
	}
	l.behind = time.Time{}
	before := l.err
	l.current, l.err, l.seen, l.took = true, err, l.began, now.Sub(l.began)
	if !l.outdated {
		l.due = now.Add(l.pause(before, now))
	}
}

func (l *look) passed() bool { return l.current && l.err == nil }

// pause is how long an answer stands unless something changes.
func (l *look) pause(before error, now time.Time) time.Duration {
	age := now.Sub(l.changed)
	f, no := errors.AsType[*check.Failure](l.err)
	_, wasNo := errors.AsType[*check.Failure](before)
	d := onceInAWhile
	switch {
	case l.err == nil && l.probes && age < eager:
		d = time.Second // it may have passed on the old ways
	case l.err == nil && l.probes:
		d = probePassing
	case l.err == nil:
	case passing(l.err):
		d = brisk
	case !no && (before == nil || wasNo):
		d = brisk // one error is no news
	case !no:
		d = probeFailing
	case l.probes && age < eager, age < DefaultQuiet:
		d = brisk
	case l.probes:
		d = probeFailing
	case f.Settling, age < eager:
		d = settling
	}
	if l.unsynced > 0 {
		d = min(d, unwatched)
	}
	return d
}

// prober is a check that asks more than the API: packets, processes, files, what the learner wrote. Nothing tells when
// its answer changes, so it is asked again and again.
type prober interface{ Probes() bool }

func probes(c compiled) bool {
	p, ok := c.check.(prober)
	return ok && p.Probes()
}
