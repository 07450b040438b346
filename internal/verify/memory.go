package verify

import (
	"encoding/json"
	"os"
	"slices"
	"sync"

	"github.com/kindlab-dev/kindlab/internal/report"
)

// A memory holds the states of one lab that were proved, so that after a change only those are proved again that it
// concerns. It is kept also where something was found, and where a verification was interrupted: the next one goes on.
// A nil memory knows nothing.
type memory struct {
	cache *Cache
	name  string // the lab's

	mu     sync.Mutex
	before map[string]proved // by the states' keys, as they were kept
	keys   map[string]string // of this lab's states, by their steps' names
	now    map[string]proved
}

// proved is what the proof of a state has shown.
type proved struct {
	Passed map[string]float64 `json:"passed,omitempty"` // tasks and safeguards, and the seconds that each took
	Mutant *Tried             `json:"mutant,omitempty"`
}

// recollect returns the memory of a lab.
func (c *Cache) recollect(name string) *memory {
	if c == nil {
		return nil
	}
	m := &memory{cache: c, name: name, keys: map[string]string{}, now: map[string]proved{}}
	if b, err := os.ReadFile(c.path(name, "states")); err != nil || json.Unmarshal(b, &m.before) != nil {
		m.before = nil // a file that cannot be read is as good as none
	}
	return m
}

// recall tells what was shown of a state, whose step is then known by name.
func (m *memory) recall(step, key string) (proved, bool) {
	if m == nil || key == "" {
		return proved{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[step] = key
	known, found := m.before[key]
	if found {
		m.now[key] = known
	}
	return known, found
}

// passed remembers a state that is as it should be.
func (m *memory) passed(step string, r report.Report) {
	known := proved{Passed: map[string]float64{}}
	for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
		if t.Verdict == report.Passed {
			known.Passed[t.ID] = t.Seconds
		}
	}
	m.remember(step, known)
}

// tried remembers what became of a generated mistake, if that is as it should be.
func (m *memory) tried(step string, t *Tried) {
	if t.Outcome != Slipped && t.Outcome != Unclear {
		m.remember(step, proved{Mutant: t})
	}
}

func (m *memory) remember(step string, s proved) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if key := m.keys[step]; key != "" {
		m.now[key] = s
	}
}

// forget is for a step of which something was found. Where it is that a lab could not be put there, back or off, it
// concerns all states.
func (m *memory) forget(f Finding) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.Phase == Setup || f.Phase == Reset || f.Phase == Stop {
		clear(m.keys)
		clear(m.now)
		return
	}
	delete(m.now, m.keys[f.Step])
}

// keep writes down what this lab's states have shown, and nothing of states that it no longer has.
func (m *memory) keep() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b, err := json.Marshal(m.now); err == nil {
		m.cache.write(m.cache.path(m.name, "states"), b)
	}
}
