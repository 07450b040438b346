package grade

import (
	"slices"
	"time"

	"github.com/kindlab-dev/kindlab/internal/report"
)

// standing is how a task, or a safeguard, stands while it is watched.
type standing struct {
	part
	looks   []*look
	told    report.Task    // as it was last told of; part.task is as it is
	stands  report.Verdict // as part.task has it, but what an outage hides; "" before the first
	ready   bool           // the tasks it builds on have passed, or are only settling
	doubt   time.Time      // since when it may have got worse, while that is not believed yet
	unasked bool           // what is left to ask changes the cluster
	remains bool           // looking decides nothing more: it is unasked, or waits for none but such tasks
}

// turn returns the checks whose turn it is: the first that has not passed, and those before it.
func (t *standing) turn() []*look {
	if !t.ready {
		return nil
	}
	for i, l := range t.looks {
		if l.check.Changes() || i > 0 && !t.looks[i-1].passed() {
			return t.looks[:i]
		}
	}
	return t.looks
}

// set says how the task stands now.
func (t *standing) set(v report.Verdict, findings []report.Finding) {
	t.stands, t.task.Verdict, t.task.Findings = v, v, findings
	t.task.Points, t.task.Seconds = 0, 0
	if v == report.Passed {
		t.task.Points = t.task.MaxPoints
	}
	for _, l := range t.turn() {
		t.task.Seconds += l.took.Seconds()
	}
}

// hide shows the task as unknown while nothing can be asked, and forgets nothing.
func (t *standing) hide(why string) {
	if t.stands != report.Blocked {
		t.task.Verdict, t.task.Points, t.task.Findings = report.Unknown, 0, []report.Finding{{Is: why}}
	}
}

// judge decides a task from the answers to its checks, in their order, as decide does: the first that does not pass is
// the verdict. While an answer is outstanding, what stands, stands.
func (w *watch) judge(t *standing, now time.Time) {
	foundation := w.foundation(t)
	t.ready = foundation == report.Passed
	switch foundation {
	case report.Passed:
	case report.Blocked:
		t.unasked, t.remains, t.doubt = false, w.remains(t), time.Time{}
		t.set(report.Blocked, nil)
		return
	default:
		return
	}
	if t.stands == report.Blocked && !t.unasked {
		// Its turn has come. Whatever it says first comes right after a change, and is doubted.
		t.stands, t.remains = report.Settling, false
	}
	for _, l := range t.looks {
		switch {
		case l.check.Changes():
			t.unasked, t.remains, t.doubt = true, true, time.Time{}
			t.set(report.Blocked, []report.Finding{{Check: l.kind, Is: "it changes the cluster, so it is asked only by kindlab check"}})
			return
		case !l.current:
			return
		case l.err != nil:
			w.weigh(t, l, now)
			return
		}
	}
	t.unasked, t.remains, t.doubt = false, false, time.Time{}
	t.set(report.Passed, nil)
}

// foundation tells whether the tasks that t builds on have passed. One that is settling takes nothing away from a task
// that was decided before; "" is for not known yet.
func (w *watch) foundation(t *standing) report.Verdict {
	for _, below := range w.tasks {
		if !slices.Contains(t.task.After, below.task.ID) {
			continue
		}
		switch below.stands {
		case report.Passed:
		case "":
			return ""
		case report.Settling:
			if t.stands == "" || t.stands == report.Blocked {
				return report.Blocked
			}
		default:
			return report.Blocked
		}
	}
	return report.Passed
}

// remains tells whether t waits for nothing but tasks that looking cannot decide.
func (w *watch) remains(t *standing) bool {
	for _, below := range w.tasks {
		if slices.Contains(t.task.After, below.task.ID) && below.stands != report.Passed && !below.remains {
			return false
		}
	}
	return true
}

// weigh takes the answer of a check that did not pass. A no is believed at once where nothing better stood. Elsewhere
// the cluster may only be on its way: the task is settling until the check says no again after a quiet time. In a
// cluster that never rests the doubt ends too.
func (w *watch) weigh(t *standing, l *look, now time.Time) {
	v, findings := verdict(l.kind, l.err)
	if v != report.Unknown {
		t.unasked, t.remains = false, false
	}
	if passing(l.err) {
		w.await(t, findings, now)
		return
	}
	if v == t.stands || t.stands == "" {
		t.doubt = time.Time{}
		t.set(v, findings)
		return
	}
	if t.doubt.IsZero() {
		t.doubt = now
	}
	rest := latest(l.changed, t.doubt).Add(orDefault(w.grader.Quiet, DefaultQuiet))
	rest = earliest(rest, t.doubt.Add(orDefault(w.grader.Settle, DefaultSettle)))
	switch {
	case v == report.Unknown && !l.seen.After(t.doubt):
		// One error is no news: what stands, stands until the next look, which is soon.
	case v == report.Failed && l.seen.Before(rest):
		l.due = earliest(l.due, latest(rest, now))
		t.set(report.Settling, findings)
	default:
		t.doubt = time.Time{}
		t.set(v, findings)
	}
}

// await takes an answer of trouble that goes by itself: the task is settling for as long as a cluster is waited for, and
// then unknown until there is another answer.
func (w *watch) await(t *standing, findings []report.Finding, now time.Time) {
	if t.doubt.IsZero() {
		t.doubt = now
	}
	if t.stands != report.Unknown && now.Sub(t.doubt) < orDefault(w.grader.Settle, DefaultSettle) {
		t.set(report.Settling, findings)
		return
	}
	t.set(report.Unknown, findings)
}
