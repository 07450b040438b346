package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// trouble tells of a step that failed.
func (p *proof) trouble(ctx context.Context, phase Phase, step string, err error) {
	if f := p.problem(ctx, phase, step, err); f != nil {
		p.found(*f)
	}
}

// problem is a step that failed, by the lab's fault or because the cluster does not answer. An interrupted one is none.
func (p *proof) problem(ctx context.Context, phase Phase, step string, err error) *Finding {
	if ctx.Err() != nil {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	silent := p.scene.Answers(asking)
	f := Finding{Phase: phase, Step: step, Is: err.Error()}
	if silent != nil {
		f.Is, f.Unclear = fmt.Sprintf("the cluster does not answer: %v; %v", silent, err), true
	}
	if errors.Is(err, errThere) {
		f.Unclear = true
	}
	return &f
}

// found tells what is wrong. Of what a twin finds, the lab itself has to be asked.
func (p *proof) found(f Finding) {
	if p.twin {
		p.doubts++
		p.doubt(f)
		return
	}
	p.memory.forget(f)
	p.about(Found, f)
}

// doubt tells what a look saw that is taken again, with the lab as it is after a reset: not a fault, but not nothing.
func (p *proof) doubt(f Finding) { p.about(Doubted, f) }

func (p *proof) about(what What, f Finding) {
	f.Lab = p.name
	if p.round > 1 {
		f.Step = fmt.Sprintf("%s (round %d)", f.Step, p.round)
	}
	p.tell(Event{What: what, Finding: &f})
}

func (p *proof) tell(e Event) {
	e.Lab = p.name
	p.events(e)
}

// knows tells whether a state need not be proved, as it was before: nothing has changed that it depends on.
func (p *proof) knows(step, key string) (proved, bool) {
	known, found := p.memory.recall(step, key)
	if found {
		p.tell(Event{What: Known, Step: step})
	}
	return known, found
}
