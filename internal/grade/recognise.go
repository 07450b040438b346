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
	failed := map[string]bool{} // as a mistake names them: each task, and the safeguards as one
	var findings []report.Finding
	for i, t := range all {
		if t.Verdict != report.Failed {
			continue
		}
		findings = append(findings, t.Findings...)
		if i < len(r.Tasks) {
			failed[t.ID] = true
		} else {
			failed[lab.Safeguards] = true
		}
	}
	var found []lab.Mistake
	for _, m := range mistakes {
		if resembles(m, failed, findings) {
			found = append(found, m)
		}
	}
	if len(found) != 1 || found[0].Tell == "" {
		return nil
	}
	return &report.Remark{Mistake: found[0].Title, Text: strings.TrimSpace(found[0].Tell)}
}

// resembles tells whether a mistake fails exactly what failed, in its words.
func resembles(m lab.Mistake, failed map[string]bool, findings []report.Finding) bool {
	return len(failed) == len(m.Fails) &&
		!slices.ContainsFunc(m.Fails, func(name string) bool { return !failed[name] }) &&
		slices.ContainsFunc(findings, func(f report.Finding) bool { return f.Says(m.Says) })
}
