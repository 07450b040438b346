package verify

import (
	"fmt"
	"time"
)

// A Phase is what verification spends its time on, and where a finding was made.
type Phase string

// The phases. Strong and Generated are of findings only: what is done for a generated mistake is to perform, to grade and
// to reset.
const (
	Load      Phase = "load"
	Setup     Phase = "setup"
	Perform   Phase = "perform"
	Grade     Phase = "grade"
	Reset     Phase = "reset"
	Generated Phase = "generated"
	Stop      Phase = "stop"
	Strong    Phase = "strength"
)

// phases are those that take time, in their order.
func phases() []Phase { return []Phase{Setup, Perform, Grade, Reset, Stop} }

// An Event is one thing that happened. All that is told of a verification, while it runs and afterwards, is made of
// these. Of the fields below Lab those are set that matter.
type Event struct {
	Lab  string
	What What
	// Step is what was being proved: "untouched", "solution: One policy for both directions".
	Step    string
	Phase   Phase
	Took    time.Duration
	Finding *Finding
	Mutant  *Tried
	Tasks   int
	Hash    string
	Caught  bool // a listed mistake
	Cached  *Lab
	Whole   bool // the proof was not interrupted
}

// What happened.
type What int

// The kinds of events.
const (
	Began   What = iota // the lab's proof: Tasks, Hash
	Spent               // a phase of a step ended: Step, Phase, Took
	Found               // Finding
	Doubted             // Finding, of a look that is taken again
	Listed              // a listed mistake was judged: Step, Caught
	MadeUp              // a generated mistake was judged: Mutant
	Known               // a state was proved before: Step
	Recall              // the lab's proof was known: Cached
	Ended               // the lab's proof: Took, Whole
)

// A Finding is why a lab is not proved.
type Finding struct {
	Lab   string `json:"lab"`
	Phase Phase  `json:"phase"`
	Step  string `json:"step,omitempty"`
	Is    string `json:"is"`             // what is, and what was wanted
	Look  string `json:"look,omitempty"` // what to do about it
	// Unclear tells that this says nothing about the lab: the cluster did not answer, or a check could not look.
	Unclear bool `json:"unclear,omitempty"`
	// Bad tells that the lab could not even be read.
	Bad bool `json:"bad,omitempty"`
}

func (f Finding) String() string {
	where := f.Lab + ", " + string(f.Phase)
	if f.Step != "" {
		where += ", " + f.Step
	}
	return fmt.Sprintf("%s: %s", where, f.Is)
}

// Outcome is what became of a generated mistake.
type Outcome string

// The outcomes.
const (
	Caught  Outcome = "caught"
	Slipped Outcome = "slipped" // everything passed
	Refused Outcome = "refused" // the API server does not take it, so nobody can make it
	Excused Outcome = "excused" // it passed, and lab.yaml says why that is right
	Unclear Outcome = "unclear" // a check could not look
)

// Tried is a generated mistake and what became of it.
type Tried struct {
	Name    string  `json:"name"`
	Change  string  `json:"change"`
	Outcome Outcome `json:"outcome"`
	By      string  `json:"by,omitempty"` // the task that caught it, the exception's reason, or the server's words
	Seconds float64 `json:"seconds"`

	waited float64 // seconds that a task was looked at while it was settling, where that decided
}
