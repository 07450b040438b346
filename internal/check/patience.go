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
	// calm is how long the objects must have been as they are before "nobody
	// else answers" is believed, where a pod that must not answer could.
	calm = 2 * time.Second
)

// patience returns how long each outcome is disbelieved. A cluster that came to
// rest long ago is not waited for: that is what makes a wrong answer quick.
// Nothing is read from the cluster unless an outcome is wrong.
func (c *Cluster) patience(ctx context.Context, deps []Dependency, clients []corev1.Pod) func(probe.Outcome) time.Duration {
	start := time.Now()
	changed := sync.OnceValue(func() time.Duration {
		return min(maxPatience, max(minPatience, maxPatience-start.Sub(c.lastChange(ctx, deps))))
	})
	var born time.Time
	for _, p := range clients {
		if t := p.Status.StartTime; t != nil && t.After(born) {
			born = t.Time
		}
	}
	return func(o probe.Outcome) time.Duration {
		if o.Result.Denied() {
			return max(changed(), youth-start.Sub(born))
		}
		return changed()
	}
}

// lastChange is when one of the objects changed last, as their managed fields
// tell it; now, when they cannot be read.
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
	return latest
}
