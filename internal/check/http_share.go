package check

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
)

// share is a part of the answers: a canary's, say.
type share struct {
	Of      podSet `yaml:"of,required" doc:"the pods whose answers are counted"`
	Between []int  `yaml:"between,required" doc:"the least and the most of them in percent, such as [10, 30]"`
}

// The numbers behind a share. Answers fall like coins: where a share p is true, that of n answers strays from it by
// sqrt(p(1-p)/n), the standard error.
const (
	// sure is how many standard errors make a verdict: one in 16 000 answers to the question is further off by chance.
	sure = 4
	// mostRequests bounds what a narrow band, or a share close to its edge, may cost.
	mostRequests = 4096
	// atOnce keeps a burst within what a small server takes.
	atOnce = 64
)

func (s *share) compile(scope Scope, n lab.Node) lab.Problems {
	problems := s.Of.compile(scope, n.Field("of"))
	at := n.Field("between")
	if len(s.Between) != 2 || s.Between[0] < 0 || s.Between[1] > 100 || s.Between[0] >= s.Between[1] {
		return append(problems, at.Problem("expected two percentages, the smaller one first, such as [10, 30]"))
	}
	if s.requests() > mostRequests {
		problems = append(problems, at.Problem("expected a wider band: it would take %d requests to tell, and %d is the most", s.requests(), mostRequests))
	}
	return problems
}

// requests is how many it takes for a share in the middle of the band to be found inside of it: half the band's width
// has to be sure standard errors. [10, 30] takes 256 and [40, 60] takes 400.
func (s *share) requests() int {
	low, high := float64(s.Between[0])/100, float64(s.Between[1])/100
	middle, half := (low+high)/2, (high-low)/2
	return int(math.Round(sure * sure * middle * (1 - middle) / (half * half)))
}

// close tells whether a count is so near to an edge of the band that chance may have put it on its side.
func (s *share) close(of, n int) bool {
	// Of no answer at all, or of all, a coin's error would be nothing: one answer more or less keeps it from that.
	p := (float64(of) + 1) / (float64(n) + 2)
	err := sure * math.Sqrt(p*(1-p)/float64(n))
	for _, edge := range s.Between {
		if edge > 0 && edge < 100 && math.Abs(p-float64(edge)/100) < err {
			return true
		}
	}
	return false
}

func (s *share) inside(of, n int) bool {
	percent := 100 * float64(of) / float64(n)
	return percent >= float64(s.Between[0]) && percent <= float64(s.Between[1])
}

// shared counts whose answers they are. Close to an edge of the band it asks for as many again, and again.
func (h httpCheck) shared(ctx context.Context, c *Cluster, origins []origin, answerers []string) (probe.Outcome, error) {
	counted, err := readyOf(ctx, c, &h.share.Of)
	if err != nil {
		return probe.Outcome{}, err
	}
	answered, of, n := map[string]int{}, 0, 0
	for more := h.share.requests(); ; more = min(n, mostRequests-n) {
		jobs, owners := h.requests(origins, (more+len(origins)-1)/len(origins))
		for len(jobs) > 0 {
			k := min(atOnce, len(jobs))
			out := c.probeTwice(ctx, jobs[:k])
			if worst, err := h.judge(ctx, c, out, owners[:k], answerers); err != nil {
				return worst, err
			}
			for _, o := range out {
				n++
				answered[o.Body]++
				if slices.Contains(counted, o.Body) {
					of++
				}
			}
			jobs, owners = jobs[k:], owners[k:]
		}
		if n >= mostRequests || !h.share.close(of, n) {
			break
		}
	}
	if h.share.inside(of, n) {
		return probe.Outcome{}, nil
	}
	return probe.Outcome{}, &Failure{
		Is: fmt.Sprintf("%d of %d answers at %s (%.0f %%) come from pods with labels %s",
			of, n, h.url, 100*float64(of)/float64(n), h.share.Of.Pods),
		Want: fmt.Sprintf("%d to %d %%", h.share.Between[0], h.share.Between[1]), Look: h.look(),
		certain: h.splits(ctx, c, counted, answered),
	}
}
