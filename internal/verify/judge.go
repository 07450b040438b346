package verify

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// A complaint is what is not as a state of a lab should be.
type complaint struct {
	is      []string
	unclear bool // nothing is wrong, but not all could be seen
}

func (c *complaint) add(format string, args ...any) {
	c.is = append(c.is, fmt.Sprintf(format, args...))
}

// wanted is the verdict that each task and each safeguard should have; "safeguards" stands for any of those.
type wanted func(t report.Task, safeguard bool) report.Verdict

// compare returns nil where a report is as it should be. What could not be looked at is never as it should be, and
// never wrong either.
func compare(r report.Report, want wanted) *complaint {
	var wrong, unseen complaint
	each := func(t report.Task, safeguard bool) {
		expected := want(t, safeguard)
		switch t.Verdict {
		case expected:
		case report.Unknown:
			unseen.add("%s could not be told%s", t.ID, because(t))
		default:
			wrong.add("%s is %s, want %s%s", t.ID, t.Verdict, expected, because(t))
		}
	}
	for _, t := range r.Tasks {
		each(t, false)
	}
	for _, t := range r.Safeguards {
		each(t, true)
	}
	switch {
	case wrong.is != nil:
		wrong.is = append(wrong.is, unseen.is...)
		return &wrong
	case unseen.is != nil:
		unseen.unclear = true
		return &unseen
	}
	return nil
}

func because(t report.Task) string {
	if len(t.Findings) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(t.Findings[0].Is)
}

// untouched: every task fails, or waits for one that does, and every safeguard holds.
func untouched(l *lab.Lab, r report.Report) *complaint {
	return compare(r, func(t report.Task, safeguard bool) report.Verdict {
		defined, _ := l.Task(t.ID)
		switch {
		case safeguard:
			return report.Passed
		case len(defined.After) > 0 && t.Verdict == report.Blocked:
			return report.Blocked
		}
		return report.Failed
	})
}

// solved: everything passes.
func solved(r report.Report) *complaint {
	return compare(r, func(report.Task, bool) report.Verdict { return report.Passed })
}

// mistaken: exactly the tasks that the mistake names fail, what waits for them is blocked, and the learner is told so in
// the promised words.
func mistaken(l *lab.Lab, m lab.Mistake, r report.Report) *complaint {
	const safeguards = "safeguards"
	open := map[string]bool{}
	for _, t := range l.Tasks { // in their order: a task waits for earlier ones only
		blocked := slices.ContainsFunc(t.After, func(id string) bool { return open[id] })
		open[t.ID] = blocked || slices.Contains(m.Fails, t.ID)
	}
	broken := slices.ContainsFunc(r.Safeguards, func(t report.Task) bool { return t.Verdict == report.Failed })
	c := compare(r, func(t report.Task, safeguard bool) report.Verdict {
		defined, _ := l.Task(t.ID)
		switch {
		case safeguard && slices.Contains(m.Fails, safeguards) && (t.Verdict == report.Failed || broken && t.Verdict == report.Passed):
			return t.Verdict // any of them
		case safeguard && slices.Contains(m.Fails, safeguards):
			return report.Failed
		case safeguard:
			return report.Passed
		case slices.ContainsFunc(defined.After, func(id string) bool { return open[id] }):
			return report.Blocked
		case slices.Contains(m.Fails, t.ID):
			return report.Failed
		}
		return report.Passed
	})
	if c != nil {
		return c
	}
	c = &complaint{}
	if words := findings(r); !slices.ContainsFunc(words, func(f report.Finding) bool { return f.Says(m.Says) }) {
		c.add("no finding says %q; the learner reads %q", m.Says, spoken(words))
	}
	if m.Tell != "" && (r.Tell == nil || r.Tell.Mistake != m.Title) {
		c.add("it is not recognised, so the learner does not get its tell: another mistake fails the same tasks in words that fit both")
	}
	if c.is == nil {
		return nil
	}
	return c
}

func findings(r report.Report) []report.Finding {
	var all []report.Finding
	for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
		all = append(all, t.Findings...)
	}
	return all
}

func spoken(all []report.Finding) string {
	words := make([]string, len(all))
	for i, f := range all {
		words[i] = f.Is
	}
	return strings.Join(words, "; ")
}

// caught returns the outcome of grading a generated mistake, and the task that decided it.
func caught(r report.Report) (Outcome, string) {
	if t, found := deciding(r); found {
		return Caught, t.ID
	}
	if t, found := withVerdict(r, report.Unknown); found {
		return Unclear, t.ID + because(t)
	}
	return Slipped, ""
}

// deciding is the task that catches a mistake: one that failed rather than one that may be on its way.
func deciding(r report.Report) (t report.Task, found bool) {
	if t, found = withVerdict(r, report.Failed); found {
		return t, true
	}
	return withVerdict(r, report.Settling)
}

// withVerdict is the first task or safeguard of which v was said.
func withVerdict(r report.Report, v report.Verdict) (t report.Task, found bool) {
	all := slices.Concat(r.Tasks, r.Safeguards)
	i := slices.IndexFunc(all, func(t report.Task) bool { return t.Verdict == v })
	if i < 0 {
		return t, false
	}
	return all[i], true
}

// pace is how many seconds each task needed at most to pass in a right answer, in a lab or in a twin of it. That a mistake
// makes it pass late, as a longer sleep does, says nothing of others.
type pace struct {
	mu      sync.Mutex
	seconds map[string]float64
}

func (p *pace) note(task string, seconds float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seconds[task] = max(p.seconds[task], seconds)
}

// settled tells whether a task that was settling for so many seconds would have passed by then if it ever does: it had
// twice the time that it needed in any right answer. A busy cluster is slow in both.
func (p *pace) settled(task string, waited float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return waited == 0 || waited >= 2*p.seconds[task]
}
