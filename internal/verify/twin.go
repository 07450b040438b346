package verify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// brisk is how long the untouched state and one solution of a lab may take together for it to be quick.
const brisk = 6 * time.Second

// helpers sets up twins of a slow lab, which try states beside it, and returns what waits until they have ended. A lab is
// slow whose checks change the cluster, as what they change has to come to rest and is put back after each, and one that
// turns out to be. A quick one has no twins, as they take from the processors what it has itself.
//
// A twin is an accelerator and no more: one that cannot be made, or in which a solution does not pass, does not help,
// and what seems wrong to one is looked at again in the lab itself.
func (p *proof) helpers(ctx context.Context, all *tries) (wait func()) {
	var working sync.WaitGroup
	if wantsNodePorts(p.lab) { // of these there is one each
		return working.Wait
	}
	twins := p.scenes - 1
	if p.facts.waits {
		twins *= 2 // such a lab leaves the processors idle
	}
	twins = min(twins, all.left()/2) // one that finds nothing to try has only taken time
	for n := range twins {
		l, err := p.lab.Twin(n+1, p.Kinds)
		if err != nil {
			break
		}
		t := &proof{Verifier: p.Verifier, name: p.name, lab: l, facts: p.facts, scene: p.Scene(false), turns: p.turns, memory: p.memory, round: 1, pace: p.pace}
		t.twin, t.passed = true, map[string]bool{}
		working.Go(func() { t.help(ctx, all) })
	}
	return working.Wait
}

// help tries what there is, if the twin is as good as its lab.
func (p *proof) help(ctx context.Context, all *tries) {
	begin := func(ctx context.Context) error { return p.scene.Start(ctx, p.lab) }
	err := p.timed(ctx, Setup, "start", begin)
	if errors.Is(err, errThere) { // a verification that was killed has left it behind: by its name it is nobody's work
		if p.stop(ctx) == nil {
			err = p.timed(ctx, Setup, "start", begin)
		}
	}
	if errors.Is(err, stage.ErrNotOurs) {
		return
	}
	defer func() { _ = p.stop(ctx) }() // a doubt more, when nobody counts any more
	if err != nil {
		return
	}
	// Where these are not as they should be, nothing else is.
	for right := all.answer(); right != nil; right = all.answer() {
		if err := p.one(ctx, all, right); err != nil || p.doubts > 0 {
			return
		}
	}
	err = p.work(ctx, all) // what it could not do is doubted
	p.settle(ctx, all, err == nil)
}

// owed is a generated mistake that a twin caught by a task which has not passed in it yet.
type owed struct {
	mutant Mutant
	tried  *Tried
}

// settle tells of what is owed. A task that has passed in no state by now has to in the solution, if that can be made: it
// might fail in this twin whatever is done.
func (p *proof) settle(ctx context.Context, all *tries, solvable bool) {
	for _, o := range p.owed {
		if !p.passed[o.tried.By] && solvable {
			solvable = false
			_ = p.solution(ctx, original(p.lab))
		}
		if p.passed[o.tried.By] && p.pace.settled(o.tried.By, o.tried.waited) {
			p.madeUp(o.mutant, o.tried)
		} else {
			all.doubt(func(ctx context.Context, in *proof) error { return in.try(ctx, o.mutant) })
		}
	}
}

// saw takes note of what passes in a state that is as it should be.
func (p *proof) saw(r report.Report) {
	for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
		if t.Verdict == report.Passed {
			p.passed[t.ID] = true
		}
	}
}

// moved is the mutant for a lab that may be a twin.
func (m Mutant) moved(l *lab.Lab) Mutant {
	m.Steps, m.OnTop = movedSteps(m.Steps, l), movedSteps(m.OnTop, l)
	return m
}

func movedSteps(steps []stage.Step, l *lab.Lab) []stage.Step {
	steps = slices.Clone(steps)
	for i := range steps {
		s := &steps[i]
		s.Delete, s.Manifests = slices.Clone(s.Delete), slices.Clone(s.Manifests)
		for n := range s.Delete {
			s.Delete[n].Namespace, s.Delete[n].Name = l.Moved(s.Delete[n].Namespace), l.Moved(s.Delete[n].Name)
		}
		for n := range s.Manifests {
			s.Manifests[n].Content = l.Moved(s.Manifests[n].Content)
		}
	}
	return steps
}
