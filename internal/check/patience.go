package check

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kindlab-dev/kindlab/internal/probe"
)

// How long a probe is repeated before a wrong outcome is believed.
const (
	maxPatience = 6 * time.Second
	// minPatience is for clusters where nothing is seen to have changed. It is
	// not zero, because a deletion leaves nothing to see.
	minPatience = 2 * time.Second
	// youth is how long a new pod may be refused for no fault of the learner:
	// its address reaches the policy engine and the node's rules a while after the
	// pod runs, and on a busy laptop that while is long.
	youth = 10 * time.Second
	// lag is how long a denial is disbelieved that no policy explains. One that was deleted leaves nothing to see but
	// this, and on a busy cluster the network takes seconds to follow.
	lag = 10 * time.Second
	// calm is how long the objects must have been as they are before an answer
	// is believed that may be owed to how they were before.
	calm = 2 * time.Second
)

// patience tells which wrong outcomes are not believed yet. A cluster that came to
// rest long ago is not waited for: that is what makes a wrong answer quick.
// Nothing is read from the cluster unless an outcome is wrong.
type patience struct {
	start   time.Time            // when the asking began; for a quick look, when the answers turned wrong
	changed func() time.Duration // how long any wrong outcome is disbelieved, from start
	restive func() bool          // whether something has changed a moment ago, also since the asking began
	born    time.Time            // when the youngest client started
	quick   bool
}

// patience is for one run of a check that reads deps, and asks from clients. before is what the check remembers.
func (c *Cluster) patience(ctx context.Context, deps []Dependency, clients []corev1.Pod, before *past) *patience {
	p := &patience{start: time.Now(), quick: c.Quick}
	if c.Quick {
		p.start = before.wrongSince(p.start)
	}
	p.changed = sync.OnceValue(func() time.Duration {
		return min(maxPatience, max(minPatience, maxPatience-p.start.Sub(c.lastChange(ctx, deps))))
	})
	p.restive = func() bool { return time.Since(c.lastChange(ctx, deps)) < calm }
	for _, pod := range clients {
		if t := pod.Status.StartTime; t != nil && c.Clock.Here(t.Time).After(p.born) {
			p.born = c.Clock.Here(t.Time)
		}
	}
	return p
}

// of is how long, from start, an outcome is disbelieved.
func (p *patience) of(o probe.Outcome) time.Duration {
	if o.Result.Denied() {
		return max(p.changed(), youth-p.start.Sub(p.born))
	}
	return p.changed()
}

// disbelieves tells whether a wrong outcome might still come right by itself: for as long as patience lasts, and for a
// while more where something changes even then.
func (p *patience) disbelieves(o probe.Outcome) bool {
	waited := time.Since(p.start)
	return waited <= p.of(o) || waited <= 2*maxPatience && p.restive()
}

// lagging tells whether a denial that no policy explains may still be owed to one that is gone.
func (p *patience) lagging() bool { return time.Since(p.start) <= lag }

// repeats is how long, from start, this run goes on asking. A quick look does not: whoever wants to know looks again.
func (p *patience) repeats(o probe.Outcome) time.Duration {
	if p.quick {
		return -1
	}
	return p.of(o)
}

// past is what a check keeps from one quick look to the next: since when it has been wrong. What has been wrong for
// long is not disbelieved anew by each look.
type past struct {
	mu    sync.Mutex
	since time.Time // zero while it is right
}

// wrongSince returns when the answers turned wrong; now, when they were right the last time.
func (m *past) wrongSince(now time.Time) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.IsZero() {
		return now
	}
	return m.since
}

// note remembers a look that began at start.
func (m *past) note(start time.Time, right bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case right:
		m.since = time.Time{}
	case m.since.IsZero():
		m.since = start
	}
}

// lastChange is when one of the objects changed last by this machine's clock, as
// their managed fields tell it; now, when they cannot be read.
func (c *Cluster) lastChange(ctx context.Context, deps []Dependency) time.Time {
	var latest time.Time
	for _, d := range deps {
		list, err := c.list(ctx, d)
		if err != nil {
			return time.Now()
		}
		for _, o := range list {
			for _, f := range o.GetManagedFields() {
				if f.Time != nil && f.Time.After(latest) {
					latest = f.Time.Time
				}
			}
		}
	}
	return c.Clock.Here(latest)
}
