package grade

import (
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// recognise returns what a teacher says to whoever made one of the known mistakes. It is nil unless exactly one of them
// looks like the report: a remark on a mistake that was not made misleads.
func recognise(mistakes []lab.Mistake, r report.Report) *report.Remark {
	all := slices.Concat(r.Tasks, r.Safeguards)
	undecided := func(t report.Task) bool {
		return t.Verdict == "" || t.Verdict == report.Settling || t.Verdict == report.Unknown
	}
	if slices.ContainsFunc(all, undecided) {
		return nil
	}
	var failed []report.Task
	for _, t := range all {
		if t.Verdict == report.Failed {
			failed = append(failed, t)
		}
	}
	var found []lab.Mistake
	for _, m := range mistakes {
		if resembles(m, failed) {
			found = append(found, m)
		}
	}
	if len(found) != 1 || found[0].Tell == "" {
		return nil
	}
	return &report.Remark{Mistake: found[0].Title, Text: strings.TrimSpace(found[0].Tell)}
}

// resembles tells whether a mistake fails exactly these tasks, in its words.
func resembles(m lab.Mistake, failed []report.Task) bool {
	if len(failed) != len(m.Fails) {
		return false
	}
	said := false
	for _, t := range failed {
		if !slices.Contains(m.Fails, t.ID) {
			return false
		}
		said = said || slices.ContainsFunc(t.Findings, func(f report.Finding) bool { return f.Says(m.Says) })
	}
	return said
}
