package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// proof is the verification of one lab, or of what falls to a twin of it.
type proof struct {
	*Verifier
	name  string // the lab's, also where a twin is proved
	lab   *lab.Lab
	facts facts
	scene Scene
	// turns is held for reading while a state is looked at, and for writing while one concerns the whole cluster.
	turns *sync.RWMutex
	// memory holds the states that need no proof, and may be nil; states are their keys.
	memory *memory
	states *states
	round  int
	// hasty tells that the last state was undone in place: the network may still go by it for a moment.
	hasty bool
	// left is the state that is there still, to be undone before the next one.
	left string
	// held tells that the solution is there, and what is undone goes back to it.
	held bool
	// sound tells that the solution passes which mistakes are made from, or any of them would seem to be caught.
	sound bool
	// In a twin nothing that seems wrong is told: doubts counts it, and the lab itself decides.
	twin   bool
	doubts int
	owed   []owed
	// passed are the tasks and safeguards that passed in states that were as they should be.
	passed map[string]bool
	pace   *pace
}

// errGivenUp ends a proof whose finding has been told.
var errGivenUp = errors.New("the proof cannot go on")

// run proves a lab in all its states. What is wrong is told as findings; the error is that nothing more can be proved.
func (p *proof) run(ctx context.Context) (err error) {
	p.round = 1
	rest := p.plan()
	if rest.left() == 0 && p.Repeat == 1 {
		return nil
	}
	err = p.timed(ctx, Setup, "start", func(ctx context.Context) error { return p.scene.Start(ctx, p.lab) })
	if !errors.Is(err, errThere) && !errors.Is(err, stage.ErrNotOurs) {
		defer func() { err = errors.Join(err, p.stop(ctx)) }()
	}
	if err != nil {
		p.trouble(ctx, Setup, "start", err)
		return errGivenUp
	}
	if err := p.first(ctx, rest); err != nil {
		return err
	}
	for p.round = 2; p.round <= p.Repeat; p.round++ {
		if len(p.lab.Params) > 0 {
			if err := p.redraw(ctx); err != nil {
				return err
			}
		}
		if err := p.answers(ctx); err != nil {
			return err
		}
	}
	p.round = 0 // what follows is of no round
	return nil
}

// first is the round in which wrong answers are tried, too. Twins try what the lab itself does not get to; what they have
// doubts about is tried last, by the lab itself.
func (p *proof) first(ctx context.Context, rest *tries) error {
	began, helped, err := p.Now(), func() {}, error(nil)
	if p.facts.changes { // each state takes long, and a twin may look at the untouched one meanwhile
		rest.answers, rest.untouched = append(rest.untouched, rest.answers...), nil
		helped = p.helpers(ctx, rest)
	} else {
		err = p.each(ctx, rest, func() try { return take(&rest.untouched) })
	}
	if err == nil {
		err = p.solvedOnce(ctx, rest)
	}
	if err == nil && !p.facts.changes && p.Now().Sub(began) > brisk {
		helped = p.helpers(ctx, rest)
	}
	if err == nil {
		err = p.work(ctx, rest)
	}
	if err != nil {
		rest.drop()
	}
	helped()
	if err != nil {
		return err
	}
	return p.work(ctx, rest.again())
}

// redraw goes on with other values, as another learner gets them.
func (p *proof) redraw(ctx context.Context) error {
	other, err := p.lab.Filled(p.lab.Draw(p.random(p.name, p.round)), p.Kinds)
	if err != nil {
		p.found(Finding{Phase: Load, Is: err.Error(), Bad: true})
		return errGivenUp
	}
	p.lab = other
	return p.reset(ctx, "other values")
}

// answers are what the learner finds, and the right ones.
func (p *proof) answers(ctx context.Context) error {
	if err := p.untouched(ctx); err != nil {
		return err
	}
	for i := range p.lab.Solutions {
		if err := p.solution(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// untouched proves that what the learner finds is not solved yet.
func (p *proof) untouched(ctx context.Context) error {
	return p.stateOf(ctx, "untouched", nil, func(r report.Report) *complaint { return untouched(p.lab, r) }, p.back())
}

// solution proves that one passes.
func (p *proof) solution(ctx context.Context, i int) error { return p.solutionTo(ctx, i, p.back()) }

// solutionTo is solution with what is done afterwards.
func (p *proof) solutionTo(ctx context.Context, i int, back func(context.Context, string) error) error {
	s := p.lab.Solutions[i]
	return p.stateOf(ctx, nameOf(s), nil, func(r report.Report) *complaint {
		c := solved(r)
		for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
			if c == nil {
				p.pace.note(t.ID, t.Seconds)
			}
		}
		p.sound = p.sound || c == nil && i == original(p.lab)
		return c
	}, back, stage.Step{Delete: s.Delete, Apply: s.Apply, Run: s.Run})
}

// mistake proves that a listed one fails what it names.
func (p *proof) mistake(ctx context.Context, i int, name string) error {
	m, right, before := p.lab.Mistakes[i], false, p.doubts
	// Of wrong answers, the first shows that a reset clears up after one; the others are undone in the quickest way.
	back := p.undo
	if i == 0 {
		back = p.reset
	}
	err := p.stateOf(ctx, name, mistakeNotShown(m), func(r report.Report) *complaint {
		c := mistaken(p.lab, m, r)
		right = c == nil
		return c
	}, back, stage.Step{Delete: m.Delete, Apply: m.Apply, Run: m.Run})
	if ctx.Err() == nil && p.doubts == before {
		p.tell(Event{What: Listed, Step: name, Caught: right})
	}
	return err
}

// back puts the lab back: by a reset, which the first round shows to work, and later in the quickest way.
func (p *proof) back() func(context.Context, string) error {
	if p.round > 1 {
		return p.undo
	}
	return p.reset
}

// stateOf makes one state of the lab, grades it, and puts the lab back. A first look may come too early. The error is that
// the lab cannot be put back.
func (p *proof) stateOf(ctx context.Context, name string, early func(report.Report) bool, judge func(report.Report) *complaint,
	back func(context.Context, string) error, steps ...stage.Step,
) error {
	p.turns.RLock()
	defer p.turns.RUnlock()
	if err := p.tidy(ctx); err != nil {
		return err
	}
	wrong := p.wrong(ctx, name, early, judge, steps)
	// The state before was undone in place, and what follows rules may not have followed: a second look is a fair one.
	if p.hasty && wrong != nil {
		p.doubt(*wrong)
		if err := p.reset(ctx, name); err != nil {
			return err
		}
		wrong = p.wrong(ctx, name, early, judge, steps)
	}
	if wrong != nil {
		p.found(*wrong)
	}
	if len(steps) == 0 && !p.scene.Touched() {
		return ctx.Err()
	}
	err := back(ctx, name)
	if ctx.Err() != nil {
		p.memory.forget(Finding{Step: name}) // that the lab can be put back is a part of the proof
	}
	return err
}

// wrong makes a state and returns what is not as it should be; nil where all is.
func (p *proof) wrong(ctx context.Context, name string, early func(report.Report) bool, judge func(report.Report) *complaint,
	steps []stage.Step,
) *Finding {
	r, phase, err := p.look(ctx, name, false, early, steps)
	if err != nil {
		return p.problem(ctx, phase, name, err)
	}
	c := judge(r)
	if c == nil {
		p.saw(r)
		p.memory.passed(name, r)
		return nil
	}
	is := strings.Join(c.is, "; ")
	if gone := p.scene.Deleted(ctx); len(gone) > 0 {
		is = fmt.Sprintf("namespace %s was deleted: %s", strings.Join(gone, ", "), is)
	}
	return &Finding{Phase: Grade, Step: name, Is: is, Unclear: c.unclear}
}

// mistakeNotShown tells whether a task passes that the mistake is to fail.
func mistakeNotShown(m lab.Mistake) func(report.Report) bool {
	return func(r report.Report) bool {
		return slices.ContainsFunc(r.Tasks, func(t report.Task) bool {
			return t.Verdict == report.Passed && slices.Contains(m.Fails, t.ID)
		})
	}
}

// look performs steps and grades what came of them. A grade that tells of what was there before, because a wrong answer
// has not shown yet, is made again while patience lasts, and once at least: nothing else is a second time.
func (p *proof) look(ctx context.Context, name string, quick bool, early func(report.Report) bool, steps []stage.Step) (r report.Report, phase Phase, err error) {
	for _, step := range steps {
		err := p.timed(ctx, Perform, name, func(ctx context.Context) error { return p.scene.Perform(ctx, step) })
		if err != nil {
			return r, Perform, err
		}
	}
	performed := p.Now()
	for pause := p.Patience / 16; ; pause *= 2 {
		err = p.timed(ctx, Grade, name, func(ctx context.Context) (err error) {
			r, err = p.scene.Grade(ctx, quick)
			return err
		})
		again := pause == p.Patience/16 || p.Now().Sub(performed)+pause <= p.Patience
		if err != nil || early == nil || !early(r) || pause == 0 || !again {
			return r, Grade, err
		}
		select {
		case <-ctx.Done():
			return r, Grade, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// reset puts the lab back and compares it with its beginning. One that cannot be put back is taken off and begun anew,
// because the other states can be proved still.
func (p *proof) reset(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.hasty, p.held, p.left = false, false, ""
	var differences []stage.Difference
	err := p.timed(ctx, Reset, name, func(ctx context.Context) (err error) {
		differences, err = p.scene.Reset(ctx, p.lab)
		return err
	})
	switch {
	case err != nil:
		p.trouble(ctx, Reset, name, err)
	case len(differences) > 0:
		words := make([]string, len(differences))
		for i, d := range differences {
			words[i] = d.String()
		}
		p.found(Finding{Phase: Reset, Step: name, Is: "after the reset the cluster is not as it was: " + strings.Join(words, "; ")})
	default:
		return nil
	}
	again := p.stop(ctx)
	if again == nil {
		again = p.timed(ctx, Setup, "start again", func(ctx context.Context) error { return p.scene.Start(ctx, p.lab) })
	}
	if again != nil {
		return errGivenUp // the reset's finding says why
	}
	return nil
}

// stop takes the lab off, also when nobody waits for it any more.
func (p *proof) stop(ctx context.Context) error {
	err := p.timed(context.WithoutCancel(ctx), Stop, "stop", p.scene.Stop)
	if err != nil {
		p.trouble(ctx, Stop, "stop", err)
	}
	return err
}

// timed gives a step its time.
func (p *proof) timed(ctx context.Context, phase Phase, step string, do func(context.Context) error) error {
	began := p.Now()
	limited, cancel := context.WithTimeoutCause(ctx, p.Limit, fmt.Errorf("it did not end within %s", p.Limit))
	defer cancel()
	err := do(limited)
	p.tell(Event{What: Spent, Step: step, Phase: phase, Took: p.Now().Sub(began)})
	return err
}
