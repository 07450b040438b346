package check

import (
	"testing"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// One late answer of many is asked for again; where more are missing, they stay missing.
func TestLateAnswersAreAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		late       int // of twenty, at the first time
		later      dial.Result
		want       dial.Result // of the first
		askedAgain int
	}{
		{"none", 0, dial.OK, dial.OK, 0},
		{"one, and then it comes", 1, dial.OK, dial.OK, 1},
		{"one, and it never comes", 1, dial.Timeout, dial.Timeout, 1},
		{"two", 2, dial.OK, dial.OK, 2},
		{"so many that it is no accident", 3, dial.OK, dial.Timeout, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			again := 0
			p := &prober{}
			n := 0
			p.answer = func(j probe.Job) probe.Outcome {
				if j.Timeout > allowTimeout {
					again++
					return probe.Outcome{Result: tt.later}
				}
				if n++; n <= tt.late {
					return probe.Outcome{Result: dial.Timeout}
				}
				return probe.Outcome{Result: dial.OK}
			}
			jobs := make([]probe.Job, 20)
			for i := range jobs {
				jobs[i].Timeout = allowTimeout
			}
			out := (&Cluster{Prober: p}).probeTwice(t.Context(), jobs)
			if len(out) != 20 || out[0].Result != tt.want || again != tt.askedAgain {
				t.Errorf("%d outcomes, the first %s, asked again %d times; want %s and %d", len(out), out[0].Result, again, tt.want, tt.askedAgain)
			}
		})
	}
}
