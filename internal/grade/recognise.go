package grade

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// recognise returns what a teacher says to whoever made one of the known mistakes. It is nil unless exactly one of them
// looks like the report: a remark on a mistake that was not made misleads. Where several fail the same in the same
// words, one by whose marks the cluster is known to have it comes before those that have none.
func (g *Grader) recognise(ctx context.Context, p *Plan, r report.Report) *report.Remark {
	failed, findings, decided := outcome(r)
	if !decided {
		return nil
	}
	var marked, plain []lab.Mistake
	for i, m := range p.lab.Mistakes {
		switch {
		case !resembles(m, failed, findings):
		case len(p.marks[i]) == 0:
			plain = append(plain, m)
		case g.bears(ctx, p.marks[i]):
			marked = append(marked, m)
		}
	}
	found := marked
	if len(found) == 0 {
		found = plain
	}
	if len(found) != 1 || found[0].Tell == "" {
		return nil
	}
	return &report.Remark{Mistake: found[0].Title, Text: strings.TrimSpace(found[0].Tell)}
}

// outcome is what failed, as a mistake names it: each task, and the safeguards as one. It is not decided while any of
// them may still turn out otherwise.
func outcome(r report.Report) (failed map[string]bool, findings []report.Finding, decided bool) {
	failed = map[string]bool{}
	for i, t := range slices.Concat(r.Tasks, r.Safeguards) {
		switch t.Verdict {
		case "", report.Settling, report.Unknown:
			return nil, nil, false
		case report.Failed:
			findings = append(findings, t.Findings...)
			if i < len(r.Tasks) {
				failed[t.ID] = true
			} else {
				failed[lab.Safeguards] = true
			}
		default:
		}
	}
	return failed, findings, true
}

// resembles tells whether a mistake fails exactly what failed, in its words.
func resembles(m lab.Mistake, failed map[string]bool, findings []report.Finding) bool {
	return len(failed) == len(m.Fails) &&
		!slices.ContainsFunc(m.Fails, func(name string) bool { return !failed[name] }) &&
		slices.ContainsFunc(findings, func(f report.Finding) bool { return f.Says(m.Says) })
}

// markPatience is for each mark of a mistake. The grade is done, and waits for a remark no longer than that.
const markPatience = 3 * time.Second

// bears tells whether all marks of a mistake are on the cluster. They are looked for once.
func (g *Grader) bears(ctx context.Context, marks []compiled) bool {
	return !slices.ContainsFunc(marks, func(c compiled) bool {
		return g.once(ctx, c.check, g.Cluster, markPatience) != nil
	})
}
