package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// plan is what is to be proved of a lab. What is known from before is told at once, and is no part of it.
func (p *proof) plan() *tries {
	p.states = statesOf(p.lab)
	rest := &tries{solved: p.knowsSolution(original(p.lab))}
	p.sound = rest.solved
	if _, known := p.knows("untouched", p.states.untouched()); !known {
		rest.untouched = []try{func(ctx context.Context, in *proof) error { return in.untouched(ctx) }}
	}
	rest.answers = p.others()
	subtle, whole, onTop := p.generated()
	if rest.solved { // it is not there for anything to be made on top of it
		whole, onTop = append(whole, onTop...), nil
	}
	// What takes long goes first, or it would be waited for alone in the end.
	rest.waiting, rest.onTop = slices.Concat(subtle, p.listed(), whole), onTop
	return rest
}

func (p *proof) knowsSolution(i int) bool {
	known, found := p.knows(nameOf(p.lab.Solutions[i]), p.states.solution(i))
	for task, seconds := range known.Passed {
		p.pace.note(task, seconds)
	}
	return found
}

// nameOf is how the state with a solution is called.
func nameOf(s lab.Solution) string { return "solution: " + s.Title }

// others are the solutions that mistakes are not made from.
func (p *proof) others() []try {
	var all []try
	for i := range p.lab.Solutions {
		if i != original(p.lab) && !p.knowsSolution(i) {
			all = append(all, func(ctx context.Context, in *proof) error { return in.solution(ctx, i) })
		}
	}
	return all
}

// listed are the wrong answers that the author wrote down. Those of which more tasks pass take longer.
func (p *proof) listed() []try {
	var all []try
	order := make([]int, len(p.lab.Mistakes))
	for i := range order {
		order[i] = i
	}
	passes := func(i int) int {
		first := slices.IndexFunc(p.lab.Tasks, func(t lab.Task) bool { return slices.Contains(p.lab.Mistakes[i].Fails, t.ID) })
		if first < 0 {
			return len(p.lab.Tasks)
		}
		return first
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(passes(b), passes(a)) })
	for _, i := range order {
		name := "mistake: " + p.lab.Mistakes[i].Title
		if _, known := p.knows(name, p.states.mistake(i)); known {
			p.tell(Event{What: Listed, Step: name, Caught: true})
			continue
		}
		all = append(all, func(ctx context.Context, in *proof) error { return in.mistake(ctx, i, name) })
	}
	return all
}

// generated are the wrong answers that nobody wrote down, those apart that can be made on top of the solution. Where a
// check takes a reset afterwards, that is for those of which something is missing: the others get as far as that check.
func (p *proof) generated() (subtle, all, onTop []try) {
	mutants, err := Mutants(p.lab, p.Kinds, p.Enforced, p.Generate)
	if err != nil {
		p.found(Finding{Phase: Generated, Is: err.Error(), Bad: true})
		return nil, nil, nil
	}
	if all, err := Mutants(p.lab, p.Kinds, true, -1); err == nil { // whatever number is tried
		p.staleExceptions(all)
	}
	for _, m := range mutants {
		excuse, _ := p.excuse(m)
		if known, found := p.knows(m.step(), p.states.mutant(m, excuse)); found && known.Mutant != nil {
			p.tell(Event{What: MadeUp, Step: m.step(), Mutant: known.Mutant})
			continue
		}
		list := &all
		switch {
		case p.facts.marks && m.Subtle:
			list = &subtle
		case m.OnTop != nil:
			list = &onTop
		}
		*list = append(*list, func(ctx context.Context, in *proof) error { return in.try(ctx, m) })
	}
	return subtle, all, onTop
}

// staleExceptions tells of excuses for what is not a generated mistake of this lab.
func (p *proof) staleExceptions(all []Mutant) {
	names := map[string]bool{}
	for _, m := range all {
		names[m.Name] = true
	}
	for _, e := range p.lab.Exceptions {
		if !names[e.From] {
			p.found(Finding{
				Phase: Load, Step: "exceptions", Is: fmt.Sprintf("no generated mistake is called %q", e.From),
				Look: "kindlab verify " + p.name + " --generated all -o json names them",
			})
		}
	}
}
