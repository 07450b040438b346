package verify

import (
	"context"
	"sync"
)

// A try proves one state, in the lab or in a twin of it. The error is that whoever tried cannot go on.
type try func(ctx context.Context, p *proof) error

// tries are what is still to be tried, by whoever is free.
type tries struct {
	untouched []try // one or none, for the lab itself
	solved    bool  // the solution that mistakes are made from is known to pass

	mu      sync.Mutex
	answers []try // the untouched state and right ones, first
	waiting []try
	onTop   []try // of a solution that is there, quicker
	doubted []try // by twins, and what showed nothing on top of the solution
}

// answer takes one of the first; nil means that there are no more.
func (t *tries) answer() try {
	t.mu.Lock()
	defer t.mu.Unlock()
	return take(&t.answers)
}

// next takes one; nil means that there are no more.
func (t *tries) next() try {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := take(&t.answers); one != nil {
		return one
	}
	if one := take(&t.waiting); one != nil {
		return one
	}
	return take(&t.onTop)
}

func (t *tries) quicker() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.onTop) > 0
}

// top takes one that is quicker where the solution is there.
func (t *tries) top() try {
	t.mu.Lock()
	defer t.mu.Unlock()
	return take(&t.onTop)
}

func take(from *[]try) try {
	if len(*from) == 0 {
		return nil
	}
	one := (*from)[0]
	*from = (*from)[1:]
	return one
}

func (t *tries) doubt(one try) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doubted = append(t.doubted, one)
}

// left counts what is still to be tried.
func (t *tries) left() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.untouched) + len(t.answers) + len(t.waiting) + len(t.onTop)
	if !t.solved {
		n++
	}
	return n
}

// drop leaves nothing to try.
func (t *tries) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers, t.waiting, t.onTop = nil, nil, nil
}

// again are those that were doubted.
func (t *tries) again() *tries {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &tries{waiting: t.doubted}
}

// work tries what there is.
func (p *proof) work(ctx context.Context, all *tries) error { return p.each(ctx, all, all.next) }

func (p *proof) each(ctx context.Context, all *tries, next func() try) error {
	for {
		one := next()
		if one == nil {
			return ctx.Err()
		}
		if err := p.one(ctx, all, one); err != nil {
			return err
		}
	}
}

// one makes one try, and keeps it for the lab itself where this twin has doubts.
func (p *proof) one(ctx context.Context, all *tries, this try) error {
	before := p.doubts
	err := this(ctx, p)
	if p.doubts > before || p.twin && err != nil {
		all.doubt(this)
	}
	return err
}
