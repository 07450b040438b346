package grade

import (
	"context"
	"reflect"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// DefaultQuiet is how long a cluster has to be at rest before a watched task is called failed.
const DefaultQuiet = time.Second

// watchTimeout is for one run of one check while watching, where checks look once and do not wait.
const watchTimeout = 15 * time.Second

// Watch grades a plan, and again whatever a change of the cluster may have decided anew. It calls see with each change
// of a verdict, one at a time, until see returns false or ctx ends, which is the only error besides a task that does
// not exist. A Change that is Done comes when everything has passed and stood, and nothing is left to look at.
//
// A task turns passed the moment it is. It turns failed when the cluster has been at rest for Quiet and a look since
// then says so again; until then it is settling, unless it was failed before. Checks that change the cluster are never
// run: their task is blocked.
func (g *Grader) Watch(ctx context.Context, p *Plan, see func(report.Change) (more bool), tasks ...string) error {
	parts, err := p.choose(tasks)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWatch(g, p, parts)
	w.connect(ctx)
	go w.feel(ctx)
	return w.run(ctx, see)
}

// watch is owned by the goroutine in run. All others reach it by the inbox.
type watch struct {
	grader  *Grader
	plan    *Plan
	cluster *check.Cluster
	started time.Time

	tasks   []*standing
	looks   []*look
	inbox   chan func() // each is called by run
	changed time.Time   // when an object that a check reads changed last
	told    bool        // that all is done

	outage string        // why the API server cannot be asked; "" while it can
	misses int           // vain readings of the API server in a row
	poke   chan struct{} // asks for a reading now

	// A connection is the watches and the runs between two outages.
	connection context.Context //nolint:containedctx // of many runs, each begun by another message
	hangUp     context.CancelFunc
	epoch      int // counts connections: what an earlier one has to say is not listened to
}

func newWatch(g *Grader, p *Plan, parts []part) *watch {
	quick := check.Cluster{}
	if g.Cluster != nil {
		quick = *g.Cluster
	}
	quick.Quick = true
	w := &watch{
		grader: g, plan: p, cluster: &quick, started: time.Now(),
		inbox: make(chan func()), poke: make(chan struct{}, 1),
	}
	for _, chosen := range parts {
		t := &standing{part: chosen}
		for _, c := range chosen.checks {
			t.looks = append(t.looks, &look{compiled: c, probes: probes(c)})
		}
		w.tasks = append(w.tasks, t)
		w.looks = append(w.looks, t.looks...)
	}
	return w
}

// post hands the loop something to do.
func (w *watch) post(ctx context.Context, do func()) {
	select {
	case w.inbox <- do:
	case <-ctx.Done():
	}
}

func (w *watch) run(ctx context.Context, see func(report.Change) bool) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if c := w.decide(ctx, now); len(c.Changed) > 0 && !see(c) {
			return nil
		}
		complete := w.complete(now)
		if complete && !w.told && !see(report.Change{Time: now.UTC(), Report: w.report(ctx, now), Done: true}) {
			return nil
		}
		w.told = complete
		w.ask(now) //nolint:contextcheck // runs end with their connection, and that with ctx
		timer.Reset(w.next(now))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case do := <-w.inbox:
			do()
			w.drain()
		case <-timer.C:
		}
	}
}

// drain makes a burst of messages one decision.
func (w *watch) drain() {
	for {
		select {
		case do := <-w.inbox:
			do()
		default:
			return
		}
	}
}

// decide says what the answers so far make of each task.
func (w *watch) decide(ctx context.Context, now time.Time) report.Change {
	var changed []string
	for _, t := range w.tasks {
		if w.outage != "" {
			t.hide(w.outage)
		} else {
			w.judge(t, now)
		}
		if !same(t.told, t.task) {
			t.told = t.task
			changed = append(changed, t.task.ID)
		}
	}
	if changed == nil {
		return report.Change{}
	}
	return report.Change{Time: now.UTC(), Report: w.report(ctx, now), Changed: changed}
}

// same tells whether two grades of a task are the same news. How long they took is none; and an error has other words
// each time, a port or an address, for the same trouble.
func same(a, b report.Task) bool {
	if a.Verdict == report.Unknown && b.Verdict == report.Unknown {
		return a.Findings[0].Check == b.Findings[0].Check
	}
	return a.Verdict == b.Verdict && reflect.DeepEqual(a.Findings, b.Findings)
}

func (w *watch) report(ctx context.Context, now time.Time) report.Report {
	tasks, safeguards := []report.Task{}, []report.Task(nil)
	for _, t := range w.tasks {
		if t.safeguard {
			safeguards = append(safeguards, t.task)
		} else {
			tasks = append(tasks, t.task)
		}
	}
	return w.grader.report(ctx, w.plan, w.started, now, tasks, safeguards)
}

// ask starts the checks that are due and whose turn it is.
func (w *watch) ask(now time.Time) {
	if w.outage != "" {
		return
	}
	for _, t := range w.tasks {
		for _, l := range t.turn() {
			if !l.running && !l.due.After(now) {
				w.start(l, now)
			}
		}
	}
}

// start runs a check beside the loop. A slow one holds up nobody, and there is never a second run of it meanwhile.
func (w *watch) start(l *look, now time.Time) {
	l.running, l.began, l.outdated = true, now, false
	run, abandon := context.WithCancelCause(w.connection)
	l.abandon = abandon
	connection, epoch := w.connection, w.epoch
	go func() {
		defer abandon(nil)
		err := w.grader.once(run, l.check, w.cluster, orDefault(w.grader.Timeout, watchTimeout))
		w.post(connection, func() {
			if w.epoch == epoch {
				l.answer(err, time.Now())
			}
		})
	}()
}

// next is how long there is nothing to do unless a message comes.
func (w *watch) next(now time.Time) time.Duration {
	wait := time.Hour
	if w.outage != "" {
		return wait
	}
	for _, t := range w.tasks {
		for _, l := range t.turn() {
			if !l.running {
				wait = min(wait, max(0, l.due.Sub(now)))
			}
		}
	}
	return wait
}

// calm is how long everything has to stand before it is over: a network may follow the API a second or two later, and
// what passed on its old ways is not to be believed.
const calm = 2 * time.Second

// complete tells whether all that can be seen by looking has passed, and did so once more when the cluster had been at
// rest for a while. It orders the looks that are missing.
func (w *watch) complete(now time.Time) bool {
	if w.outage != "" {
		return false
	}
	for _, t := range w.tasks {
		if t.task.Verdict != report.Passed && !t.remains {
			return false
		}
	}
	stood, rest := true, w.changed.Add(calm)
	for _, t := range w.tasks {
		for _, l := range t.turn() {
			if !l.current {
				stood = false
			} else if l.seen.Before(rest) {
				stood = false
				l.due = earliest(l.due, latest(rest, now))
			}
		}
	}
	return stood
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
