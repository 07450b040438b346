package probe

import (
	"context"
	"sync"
	"time"
)

// An Expectation is a job and what its outcome should be.
type Expectation struct {
	Job    Job
	Accept func(Outcome) bool
	// Streak is how many outcomes in a row must be right. Denials need two: one
	// lost packet looks the same.
	Streak int
}

// Interval is the pause between two attempts.
const Interval = 250 * time.Millisecond

// Converge tries every job, all at once, until its outcome is as expected or
// patience is over, and returns the last outcomes. Retrying only towards the
// expectation is how Kubernetes' own suite meets networks that change a moment
// after the API did. patience is asked after each wrong outcome, and never when
// all is right: it says how long, from the start, such an outcome is disbelieved.
// A negative one means that the first is believed.
func Converge(ctx context.Context, probe func(context.Context, []Job) []Outcome, all []Expectation, patience func(Outcome) time.Duration) []Outcome {
	start := time.Now()
	out := make([]Outcome, len(all))
	var wait sync.WaitGroup
	for i, e := range all {
		wait.Go(func() {
			for streak := 0; ; {
				out[i] = probe(ctx, []Job{e.Job})[0]
				if e.Accept(out[i]) {
					if streak++; streak >= e.Streak {
						return
					}
					continue
				}
				streak = 0
				if time.Since(start) > patience(out[i]) {
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(Interval):
				}
			}
		})
	}
	wait.Wait()
	return out
}
