package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// EventKind marks the JSON form of an Event.
const EventKind = "Event"

// A Change is a report of a cluster that is watched, and what is new in it.
type Change struct {
	Time    time.Time
	Report  Report
	Changed []string // the ids of tasks and safeguards whose verdict or reason is new
	Done    bool     // everything that looking can decide has passed, and stands
}

// An Event is the news of one task or safeguard, or that all is done. Fields are added to it, never changed.
type Event struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Lab        string    `json:"lab"`
	Time       time.Time `json:"time"`
	Task       *Task     `json:"task,omitempty"` // nil in the last one
	Points     int       `json:"points"`         // of the whole report
	MaxPoints  int       `json:"maxPoints"`
	Tell       *Remark   `json:"tell,omitempty"`
	Done       bool      `json:"done"`
}

// Events returns the news one by one, in the order of the report.
func (c Change) Events() []Event {
	e := Event{
		APIVersion: APIVersion, Kind: EventKind, Lab: c.Report.Lab, Time: c.Time,
		Points: c.Report.Points, MaxPoints: c.Report.MaxPoints, Tell: c.Report.Tell,
	}
	var all []Event
	for _, t := range slices.Concat(c.Report.Tasks, c.Report.Safeguards) {
		if slices.Contains(c.Changed, t.ID) {
			e.Task = &t
			all = append(all, e)
		}
	}
	if c.Done {
		e.Task, e.Done = nil, true
		all = append(all, e)
	}
	return all
}

// WriteEvents writes the news of c, a line each: JSON objects, or for Human words between tabs (time, task, verdict,
// reason), where the end of the stream says that all is done.
func (f Format) WriteEvents(w io.Writer, c Change) error {
	var b strings.Builder
	for _, e := range c.Events() {
		switch {
		case f == JSON:
			if err := json.NewEncoder(&b).Encode(e); err != nil {
				return err
			}
		case e.Task != nil:
			fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", e.Time.Format(stamp), e.Task.ID, e.Task.Verdict, strings.Join(reasons(*e.Task), "; "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// stamp is RFC 3339 with milliseconds, always as wide.
const stamp = "2006-01-02T15:04:05.000Z07:00"
