// Package report is what grading found, as plain data, and the formats it is
// written in. Every format is written from the one Report.
package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Verdict is how a task stands.
type Verdict string

// The verdicts. Unknown is never failed: it says something about us.
const (
	Passed   Verdict = "passed"
	Failed   Verdict = "failed"   // looked, the cluster has arrived, and it is not right
	Settling Verdict = "settling" // the cluster is still on its way
	Blocked  Verdict = "blocked"  // another task has to pass first
	Unknown  Verdict = "unknown"  // could not look
)

// APIVersion and Kind mark the JSON form. Fields are added to it, never changed.
const (
	APIVersion = "kindlab.dev/v1"
	Kind       = "Report"
)

// A Report is the grade of one lab at one moment.
type Report struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Lab        string    `json:"lab"`
	Title      string    `json:"title"`
	Time       time.Time `json:"time"`
	Seconds    float64   `json:"seconds"` // how long grading took
	Points     int       `json:"points"`
	MaxPoints  int       `json:"maxPoints"`
	Tasks      []Task    `json:"tasks"`
	Safeguards []Task    `json:"safeguards,omitempty"`
	Tell       *Remark   `json:"tell,omitempty"` // on a mistake that was recognised
}

// A Remark is what a teacher says to whoever made a known mistake.
type Remark struct {
	Mistake string `json:"mistake"` // its title
	Text    string `json:"text"`
}

// A Task is the grade of one task, or of one safeguard.
type Task struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Verdict   Verdict   `json:"verdict"`
	Points    int       `json:"points"`
	MaxPoints int       `json:"maxPoints"`
	After     []string  `json:"after,omitempty"`
	Findings  []Finding `json:"findings,omitempty"`
	Seconds   float64   `json:"seconds"`
}

// A Finding is why a task did not pass.
type Finding struct {
	Check string   `json:"check"`          // the kind of the check; "" when none could be asked
	Is    string   `json:"is"`             // what was seen, in the learner's object names
	Want  string   `json:"want,omitempty"` // what was wanted
	Look  string   `json:"look,omitempty"` // the command that shows the evidence
	More  []string `json:"more,omitempty"` // lines such as the rows of a table
}

// Says tells whether words stand in what was seen.
func (f Finding) Says(words string) bool {
	return strings.Contains(f.Is, words) || slices.ContainsFunc(f.More, func(s string) bool { return strings.Contains(s, words) })
}

// Count returns how many of the tasks stand as v.
func (r Report) Count(v Verdict) int {
	n := 0
	for _, t := range r.Tasks {
		if t.Verdict == v {
			n++
		}
	}
	return n
}

// Summary is how far the learner is, in one line.
func (r Report) Summary() string {
	return fmt.Sprintf("%d of %d tasks passed, %d of %d points", r.Count(Passed), len(r.Tasks), r.Points, r.MaxPoints)
}

// ExitCode is 0 when every graded task passed and every safeguard held, 1 when
// something did not, and 3 when nothing is wrong as far as we could tell, but
// we could not tell all.
func (r Report) ExitCode() int {
	unknown, blocked := false, false
	for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
		switch t.Verdict {
		case Failed, Settling:
			return 1
		case Passed:
		case Blocked:
			blocked = true
		default:
			unknown = true
		}
	}
	switch {
	case unknown: // what is blocked may be so because of it
		return 3
	case blocked: // by what was not asked
		return 1
	}
	return 0
}
