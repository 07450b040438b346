// Package verify proves labs on a real cluster: an untouched lab fails every task, each solution passes, each mistake
// fails exactly what it names and is explained in the promised words, and wrong answers that nobody wrote down are
// caught. The grader is the one that learners have.
package verify

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// The defaults of a Verifier.
const (
	// DefaultLimit is how long one step may take: a script, an apply, a grade or a reset.
	DefaultLimit = 90 * time.Second
	// DefaultPatience is how long a wrong answer may take to show: pods go and policies bite in their own time.
	DefaultPatience = 8 * time.Second
	// DefaultGenerate is how many wrong answers are made up for each lab.
	DefaultGenerate = 6
	// DefaultParallel is how many scenes there are at once: with fewer, two processors wait for pods half of the time; with
	// more, the scenes wait for each other.
	DefaultParallel = 3
)

// A Verifier proves labs on one cluster.
type Verifier struct {
	Kinds check.Registry
	// Scene makes a scene for one lab: Ground.Scene.
	Scene func(reaches bool) Scene
	// Cache remembers labs that were proved; nil remembers none.
	Cache *Cache
	// Enforced tells that the cluster enforces network policies.
	Enforced bool
	Repeat   int // rounds of the untouched state and the solutions; the rest is tried in the first
	Generate int // wrong answers to make up for each lab; a negative number means all
	Parallel int // scenes at once: labs, or where there are fewer of them, twins of these; more of a lab that waits
	Limit    time.Duration
	Patience time.Duration // how long a wrong answer that passes is looked at again
	Now      func() time.Time
	// Observe is called with each event, one at a time. It may be nil.
	Observe func(Event)

	events func(Event)
	scenes int // of each lab
}

// Run proves labs and returns what was found. Collisions are looked for among all labs, of which those to prove are
// some. The error is that ctx ended; then the report holds what was found until then.
func (v *Verifier) Run(ctx context.Context, labs, all []*lab.Lab) (Report, error) {
	began := v.Now()
	collector := NewCollector()
	var mu sync.Mutex
	v.events = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		collector.Add(e)
		if v.Observe != nil {
			v.Observe(e)
		}
	}
	var together, alone []*lab.Lab
	for i, l := range labs {
		switch text := collision(l, labs[:i], all); {
		case text != "":
			v.begin(l)
			v.events(Event{Lab: l.Name, What: Found, Finding: &Finding{Lab: l.Name, Phase: Load, Step: "namespaces", Is: text, Bad: true}})
			v.events(Event{Lab: l.Name, What: Ended})
		case reaches(l):
			alone = append(alone, l)
		default:
			together = append(together, l)
		}
	}
	v.together(ctx, together)
	for _, l := range alone {
		v.prove(ctx, l, true, &sync.RWMutex{})
	}
	return collector.Report(v.Now().Sub(began)), ctx.Err()
}

// together proves labs that keep to their namespaces side by side. Those that want the same ports of the nodes take
// turns.
func (v *Verifier) together(ctx context.Context, labs []*lab.Lab) {
	turns := &sync.RWMutex{}
	v.scenes = v.Parallel / max(1, len(labs))
	slots := make(chan struct{}, max(1, v.Parallel))
	var done sync.WaitGroup
	for _, row := range v.rows(labs) {
		slots <- struct{}{}
		done.Go(func() {
			defer func() { <-slots }()
			for _, l := range row {
				v.prove(ctx, l, false, turns)
			}
		})
	}
	done.Wait()
}

// rows are labs to prove one after the other, beside other rows. What takes longest begins, or it would be waited for
// alone in the end: labs whose checks change something, so that each look at them ends with a reset.
func (v *Verifier) rows(labs []*lab.Lab) [][]*lab.Lab {
	var ports []*lab.Lab
	var slow, quick [][]*lab.Lab
	for _, l := range labs {
		known, err := factsOf(l, v.Kinds)
		switch {
		case wantsNodePorts(l):
			ports = append(ports, l)
		case err == nil && known.changes:
			slow = append(slow, []*lab.Lab{l})
		default:
			quick = append(quick, []*lab.Lab{l})
		}
	}
	return slices.Concat([][]*lab.Lab{ports}, slow, quick)
}

func (v *Verifier) begin(l *lab.Lab) string {
	hash, err := l.Hash()
	v.events(Event{Lab: l.Name, What: Began, Tasks: len(l.Tasks), Hash: hash})
	if err != nil {
		v.events(Event{Lab: l.Name, What: Found, Finding: &Finding{Lab: l.Name, Phase: Load, Is: err.Error(), Bad: true}})
	}
	return hash
}

// prove proves one lab, or recalls that it was proved.
func (v *Verifier) prove(ctx context.Context, l *lab.Lab, reaches bool, turns *sync.RWMutex) {
	if ctx.Err() != nil {
		return
	}
	began := v.Now()
	defer func() {
		v.events(Event{Lab: l.Name, What: Ended, Took: v.Now().Sub(began), Whole: ctx.Err() == nil})
	}()
	hash := v.begin(l)
	if known := v.Cache.recall(l.Name, hash); known != nil {
		v.events(Event{Lab: l.Name, What: Recall, Cached: known})
		return
	}
	known, err := factsOf(l, v.Kinds)
	if err != nil {
		v.events(Event{Lab: l.Name, What: Found, Finding: &Finding{Lab: l.Name, Phase: Load, Is: err.Error(), Bad: true}})
		return
	}
	one := *v
	record := NewCollector()
	var mu sync.Mutex
	one.events = func(e Event) {
		mu.Lock()
		record.Add(e)
		mu.Unlock()
		v.events(e)
	}
	one.events(Event{Lab: l.Name, What: Began, Tasks: len(l.Tasks), Hash: hash})
	p := &proof{Verifier: &one, name: l.Name, lab: l, facts: known, scene: v.Scene(reaches), turns: turns}
	p.passed, p.pace = map[string]bool{}, &pace{seconds: map[string]float64{}}
	if v.Repeat == 1 && hash != "" { // who wants more rounds wants to see them
		p.memory = v.Cache.recollect(l.Name)
		defer p.memory.keep()
	}
	if err := p.run(ctx); err != nil && !errors.Is(err, errGivenUp) && ctx.Err() == nil {
		// All trouble is a finding; what is not has been told by a part that forgot to.
		p.trouble(ctx, Stop, "", err)
	}
	if ctx.Err() == nil {
		p.weak(record.lab(l.Name))
		v.Cache.keep(hash, record.lab(l.Name))
	}
}

// What a lab must catch.
const (
	listedBar    = 100 // percent of its own mistakes
	generatedBar = 90  // percent of those that nobody wrote down
)

// weak tells of a grader that lets wrong answers through. Listed mistakes have findings of their own.
func (p *proof) weak(known Lab) {
	if known.Generated.Percent() >= generatedBar {
		return
	}
	p.found(Finding{
		Phase: Strong, Step: "generated", Look: "check what they break, or excuse them in lab.yaml: spec.exceptions",
		Is: fmt.Sprintf("%s generated mistakes are caught, want %d %%; these pass: %s", known.Generated, generatedBar, strings.Join(known.slipped(), ", ")),
	})
}

// random draws the same values for the same lab and round each time.
func (v *Verifier) random(name string, round int) *rand.Rand {
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(name))                           // a hash takes everything
	return rand.New(rand.NewPCG(seed.Sum64(), uint64(round))) //nolint:gosec // values for exercises, not secrets
}

// collision says why a lab cannot be there beside the others; "" where it can.
func collision(l *lab.Lab, before, all []*lab.Lab) string {
	for _, other := range before {
		if other.Name == l.Name {
			return fmt.Sprintf("two labs are called %s; rename one", l.Name)
		}
	}
	for _, other := range all {
		if other.Name == l.Name {
			continue
		}
		for _, ns := range l.Namespaces {
			// The first by name keeps it: one finding for each pair.
			if slices.Contains(other.Namespaces, ns) && other.Name < l.Name {
				return fmt.Sprintf("namespace %s is lab %s's too, so a cluster cannot hold both; choose another", ns, other.Name)
			}
		}
	}
	return ""
}

// reaches tells whether a lab may change what lies outside its namespaces: then it is proved alone.
func reaches(l *lab.Lab) bool { return len(l.Touches) > 0 }

var nodePort = regexp.MustCompile(`(?i)nodePort|hostPort|loadBalancer`)

// wantsNodePorts tells whether one of the lab's manifests asks for a port of the nodes, of which there is one each.
func wantsNodePorts(l *lab.Lab) bool {
	paths := []string{l.Setup.Apply}
	for _, s := range l.Solutions {
		paths = append(paths, s.Apply)
	}
	for _, m := range l.Mistakes {
		paths = append(paths, m.Apply)
	}
	for _, path := range paths {
		files, err := l.Files(path)
		if err != nil {
			return true // it will be told
		}
		for _, f := range files {
			if nodePort.MatchString(f.Content) {
				return true
			}
		}
	}
	return false
}
