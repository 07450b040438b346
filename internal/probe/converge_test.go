package probe

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// script answers a host's probes in order, the last one for ever, and counts them.
type script struct {
	says map[string][]Result

	mu    sync.Mutex
	asked map[string]int
}

func (s *script) probe(_ context.Context, jobs []Job) []Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Outcome, len(jobs))
	for i, j := range jobs {
		says := s.says[j.Host]
		out[i] = Outcome{ID: j.ID, Result: says[min(s.asked[j.Host], len(says)-1)]}
		s.asked[j.Host]++
	}
	return out
}

func allowed(host string) Expectation {
	return Expectation{Job: Job{Host: host}, Streak: 1, Accept: func(o Outcome) bool { return o.Result == dial.OK }}
}

func denied(host string) Expectation {
	return Expectation{Job: Job{Host: host}, Streak: 2, Accept: func(o Outcome) bool { return o.Result.Denied() }}
}

func waitFor(d time.Duration) func(Outcome) time.Duration {
	return func(Outcome) time.Duration { return d }
}

func TestConverge(t *testing.T) {
	t.Parallel()
	const patience = 2 * time.Second
	// The first attempt is at once, then one each interval, and one after patience.
	const all = int(patience/Interval) + 2
	tests := []struct {
		name   string
		says   []Result
		expect func(string) Expectation
		want   Result
		asked  int
		took   time.Duration
	}{
		{"allowed at once", []Result{dial.OK}, allowed, dial.OK, 1, 0},
		{"allowed after a while", []Result{dial.Refused, dial.Timeout, dial.OK}, allowed, dial.OK, 3, 2 * Interval},
		{"one refusal could be a lost packet", []Result{dial.Timeout, dial.OK}, denied, dial.OK, all + 1, patience + Interval},
		{"refused twice", []Result{dial.Refused, dial.Timeout}, denied, dial.Timeout, 2, 0},
		{"the streak begins anew", []Result{dial.Refused, dial.OK, dial.Refused, dial.Refused}, denied, dial.Refused, 4, Interval},
		{"denied after a while", []Result{dial.OK, dial.OK, dial.Timeout}, denied, dial.Timeout, 4, 2 * Interval},
		{"never allowed", []Result{dial.Refused}, allowed, dial.Refused, all, patience + Interval},
		{"never denied", []Result{dial.OK}, denied, dial.OK, all, patience + Interval},
		{"trouble is no denial", []Result{dial.Error}, denied, dial.Error, all, patience + Interval},
		{"a missing name is no denial", []Result{dial.NXDomain}, denied, dial.NXDomain, all, patience + Interval},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{says: map[string][]Result{"db": tt.says}, asked: map[string]int{}}
				start := time.Now()
				out := Converge(t.Context(), s.probe, []Expectation{tt.expect("db")}, waitFor(patience))
				if out[0].Result != tt.want || s.asked["db"] != tt.asked || time.Since(start) != tt.took {
					t.Errorf("%s after %d probes in %s, want %s after %d in %s",
						out[0].Result, s.asked["db"], time.Since(start), tt.want, tt.asked, tt.took)
				}
			})
		})
	}
}

func TestConvergeRetriesOnlyWhatIsWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{says: map[string][]Result{
			"right": {dial.OK}, "late": {dial.Refused, dial.OK}, "shut": {dial.Refused},
		}, asked: map[string]int{}}
		out := Converge(t.Context(), s.probe, []Expectation{allowed("right"), allowed("late"), denied("shut")}, waitFor(time.Minute))
		want := []Outcome{{Result: dial.OK}, {Result: dial.OK}, {Result: dial.Refused}}
		if diff := cmp.Diff(want, out); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]int{"right": 1, "late": 2, "shut": 2}, s.asked); diff != "" {
			t.Error(diff)
		}
	})
}

func TestConvergeAsksForPatienceOnlyWhenSomethingIsWrong(t *testing.T) {
	t.Parallel()
	s := &script{says: map[string][]Result{"db": {dial.OK}}, asked: map[string]int{}}
	Converge(t.Context(), s.probe, []Expectation{allowed("db")}, func(o Outcome) time.Duration {
		t.Errorf("asked for patience with %+v", o)
		return 0
	})
}

func TestConvergeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := &script{says: map[string][]Result{"db": {dial.Refused}}, asked: map[string]int{}}
		start := time.Now()
		out := Converge(ctx, s.probe, []Expectation{allowed("db")}, waitFor(time.Hour))
		if time.Since(start) != time.Second || out[0].Result != dial.Refused {
			t.Errorf("%+v after %s, want the last outcome after a second", out[0], time.Since(start))
		}
	})
}

// Silence takes as long as an attempt may. What confirms it does not take as long again.
func TestConvergeWaitsForSilenceOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		silent := func(context.Context, []Job) []Outcome {
			asked.Add(1)
			time.Sleep(700 * time.Millisecond)
			return []Outcome{{Result: dial.Timeout}}
		}
		start := time.Now()
		out := Converge(t.Context(), silent, []Expectation{denied("db")}, waitFor(time.Minute))
		if took := time.Since(start); took != 700*time.Millisecond+overlap || asked.Load() != 2 || out[0].Result != dial.Timeout {
			t.Errorf("%+v after %d probes in %s, want two that overlap", out, asked.Load(), took)
		}
	})
}

// An answer that is late is an answer, although the next attempt is on its way already.
func TestConvergeKeepsOrderAmongOverlappingAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		says := []Result{dial.OK, dial.Refused, dial.Refused, dial.Refused}
		late := func(context.Context, []Job) []Outcome {
			n := asked.Add(1)
			time.Sleep(2 * overlap)
			return []Outcome{{Result: says[min(int(n), len(says))-1]}}
		}
		out := Converge(t.Context(), late, []Expectation{denied("db")}, waitFor(time.Minute))
		if out[0].Result != dial.Refused || asked.Load() != 3 {
			t.Errorf("%+v after %d probes, want two denials in a row after the answer", out, asked.Load())
		}
	})
}
