package verify

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kindlab-dev/kindlab/internal/report"
)

// try tells what becomes of one generated mistake, where it can be told already. Nothing is told of a lab whose solution
// does not pass.
func (p *proof) try(ctx context.Context, m Mutant) error {
	if !p.sound && !p.twin {
		return nil
	}
	tried, err := p.judge(ctx, m.moved(p.lab))
	if err != nil || tried == nil {
		return err
	}
	if p.twin && tried.Outcome == Caught && !p.passed[tried.By] {
		p.owed = append(p.owed, owed{m, tried})
		return nil
	}
	p.madeUp(m, tried)
	return nil
}

func (p *proof) madeUp(m Mutant, tried *Tried) {
	p.memory.tried(m.step(), tried)
	p.tell(Event{What: MadeUp, Step: m.step(), Mutant: tried})
}

// judge makes a generated mistake, and undoes it. It returns nil where the mistake has to be made again.
func (p *proof) judge(ctx context.Context, m Mutant) (tried *Tried, err error) {
	if m.Everyone {
		p.turns.Lock()
		defer p.turns.Unlock()
	} else {
		p.turns.RLock()
		defer p.turns.RUnlock()
	}
	name, before := m.step(), p.doubts
	if err := p.tidy(ctx); err != nil {
		return nil, err
	}
	began := p.Now()
	tried = &Tried{Name: m.Name, Change: m.Change}
	excuse, excused := p.excuse(m)
	// That an excused one passes is expected, and believed at once.
	doubtful := func(o Outcome) bool { return o == Unclear || o == Slipped && !excused }
	early := func(r report.Report) bool {
		if t, _ := deciding(r); t.Verdict == report.Settling {
			tried.waited += t.Seconds
			return !p.pace.settled(t.ID, tried.waited)
		}
		tried.waited = 0
		o, _ := caught(r)
		return doubtful(o)
	}
	// What was undone may last a moment in the network, and would seem to be caught again.
	if p.held && p.hasty && !p.stands(ctx, name) {
		if err := p.reset(ctx, name); err != nil {
			return nil, err
		}
	}
	if p.held && m.OnTop != nil {
		m.Steps, early = m.OnTop, atMost(2, early)
	}
	tried.Outcome, tried.By = p.outcome(ctx, name, m, early)
	// On top of a solution some mistakes show nothing, as what was read is not read again: such a one is kept, to be made
	// from the beginning.
	if p.held && tried.Outcome != Caught {
		p.doubts++
		return nil, p.undo(ctx, name)
	}
	// A wrong outcome is waited for, but a right one is taken at once, and may be owed to the mistake before.
	if p.hasty && doubtful(tried.Outcome) {
		p.doubt(slipped(name, *tried))
		if err := p.reset(ctx, name); err != nil {
			return nil, err
		}
		tried.Outcome, tried.By = p.outcome(ctx, name, m, early)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch {
	case tried.Outcome == Slipped && excused:
		tried.Outcome, tried.By = Excused, excuse
	case tried.Outcome == Unclear, tried.Outcome == Slipped && p.twin:
		p.found(slipped(name, *tried))
	}
	err = p.undo(ctx, name)
	if p.doubts > before {
		return nil, err
	}
	tried.Seconds = p.Now().Sub(began).Seconds()
	return tried, err
}

// solvedOnce proves the solution that mistakes are made from, and tries some of them on top of it, which takes no second
// solution, before it puts the lab back.
func (p *proof) solvedOnce(ctx context.Context, all *tries) error {
	at := original(p.lab)
	if all.solved {
		return nil
	}
	if !all.quicker() {
		return p.solution(ctx, at)
	}
	if err := p.solutionTo(ctx, at, p.hold); err != nil || !p.held {
		return err
	}
	err := p.each(ctx, all, func() try {
		if !p.held {
			return nil
		}
		return all.top()
	})
	if ctx.Err() != nil && p.held {
		p.memory.forget(Finding{Step: nameOf(p.lab.Solutions[at])}) // it was not put back
	}
	if err != nil || !p.held {
		return err
	}
	p.turns.RLock()
	defer p.turns.RUnlock()
	return p.reset(ctx, nameOf(p.lab.Solutions[at]))
}

// hold leaves a solution there where there is something to make of it.
func (p *proof) hold(ctx context.Context, name string) error {
	if !p.sound || p.scene.Hold(ctx) != nil {
		return p.reset(ctx, name)
	}
	p.held = true
	return nil
}

// stands waits until the solution that is held passes as it did, as far as that can be seen by looking.
func (p *proof) stands(ctx context.Context, name string) bool {
	err := p.timed(ctx, Grade, name, func(ctx context.Context) error {
		return wait.PollUntilContextTimeout(ctx, p.Patience/16, p.Patience, true, p.scene.Passes)
	})
	return err == nil
}

// atMost asks so many times.
func atMost(times int, ask func(report.Report) bool) func(report.Report) bool {
	return func(r report.Report) bool {
		times--
		return times >= 0 && ask(r)
	}
}

// slipped is the finding about a generated mistake that was not caught, or not seen.
func slipped(step string, t Tried) Finding {
	if t.Outcome == Unclear {
		return Finding{Phase: Generated, Step: step, Is: "could not be told: " + t.By, Unclear: true}
	}
	return Finding{Phase: Generated, Step: step, Is: "everything passed"}
}

// excuse is the reason that the lab gives for not catching a generated mistake.
func (p *proof) excuse(m Mutant) (because string, found bool) {
	for _, e := range p.lab.Exceptions {
		if e.From == m.Name {
			return e.Because, true
		}
	}
	return "", false
}

// outcome makes a generated mistake and grades it, again while it comes too early.
func (p *proof) outcome(ctx context.Context, name string, m Mutant, early func(report.Report) bool) (Outcome, string) {
	var r report.Report
	err := p.empowered(ctx, m.Everyone, func() (err error) {
		r, _, err = p.look(ctx, name, true, early, m.Steps)
		return err
	})
	switch {
	case refused(err):
		return Refused, err.Error()
	case err != nil:
		return Unclear, err.Error()
	}
	return caught(r)
}

// undo leaves a state there, to be undone before the next one. After the last one the lab is taken off as it is: nobody
// would look at the pods that were started once more.
func (p *proof) undo(ctx context.Context, name string) error {
	p.left = name
	return ctx.Err()
}

// tidy undoes the state before, if it is there still. It is a reset in the quickest way that is safe.
func (p *proof) tidy(ctx context.Context) error {
	if p.left == "" || ctx.Err() != nil {
		return ctx.Err()
	}
	name, undone := p.left, false
	p.left = ""
	err := p.timed(ctx, Reset, name, func(ctx context.Context) (err error) {
		undone, err = p.scene.Undo(ctx)
		return err
	})
	if err != nil || !undone {
		return p.reset(ctx, name)
	}
	p.hasty = true
	return nil
}

// empowered calls do while everyone is an administrator, if so told.
func (p *proof) empowered(ctx context.Context, everyone bool, do func() error) (err error) {
	if !everyone {
		return do()
	}
	revoke, err := p.scene.Empower(ctx)
	if err != nil {
		return err
	}
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.Limit)
		defer cancel()
		err = errors.Join(err, revoke(after))
	}()
	return do()
}

// refused tells whether the API server did not take what nobody can apply then.
func refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}
