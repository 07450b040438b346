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
			attempt := func() <-chan Outcome {
				answer := make(chan Outcome, 1)
				go func() { answer <- probe(ctx, []Job{e.Job})[0] }()
				return answer
			}
			var next <-chan Outcome
			for streak := 0; ; {
				now := next
				if now == nil {
					now = attempt()
				}
				out[i], next = overlapping(now, attempt, streak+1 < e.Streak)
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

// overlap is how long an attempt is alone before the one that is to confirm it begins: silence is waited for once, and
// not once for each.
const overlap = 100 * time.Millisecond

// overlapping returns an attempt's outcome, and the next attempt if it had to begin meanwhile.
func overlapping(now <-chan Outcome, attempt func() <-chan Outcome, more bool) (Outcome, <-chan Outcome) {
	if !more {
		return <-now, nil
	}
	select {
	case o := <-now:
		return o, nil
	case <-time.After(overlap):
	}
	next := attempt()
	return <-now, next
}
