package journal

import (
	"maps"
	"slices"
	"time"
)

// State is what the journal says. Its JSON form is read by later versions: fields are added, never changed.
type State struct {
	Version int `json:"version"`
	// Place is where the learner works: the cluster that commands mean when they are not told.
	Place    Place               `json:"place,omitzero"`
	Engines  map[string]string   `json:"engines,omitempty"`  // the container engine of each cluster of kindlab's own
	Started  map[string]Started  `json:"started,omitempty"`  // by Place.Key
	Progress map[string]Progress `json:"progress,omitempty"` // by lab name
	Folders  map[string]string   `json:"folders,omitempty"`  // where labs lie that are not in the catalogue, by lab name
}

// Place names a cluster: one of kindlab's own by its name, or an existing one by the context of a kubeconfig.
type Place struct {
	Name    string `json:"name,omitempty"`
	Context string `json:"context,omitempty"`
}

// Key tells places apart, also a cluster and a context of the same name.
func (p Place) Key() string {
	if p.Context != "" {
		return "context/" + p.Context
	}
	return "cluster/" + p.Name
}

// String names the place as kindlab's flags do not: for people.
func (p Place) String() string {
	if p.Context != "" {
		return "context " + p.Context
	}
	return "cluster " + p.Name
}

// Started is what is under way on a cluster.
type Started struct {
	Lab  string    `json:"lab"`            // the one that commands mean when they are not told
	Time time.Time `json:"time"`           // when it was started
	Labs []string  `json:"labs,omitempty"` // all that were set up there, Lab too
}

// Progress is how far the learner has come with a lab, over all clusters and attempts.
type Progress struct {
	Checks int            `json:"checks"`          // how often it was graded
	Hints  map[string]int `json:"hints,omitempty"` // how many were taken, by task
	// Answers are what the learner wrote for tasks that ask a question.
	Answers map[string]string `json:"answers,omitempty"`
	Last    Result            `json:"last,omitzero"`   // the latest grade of the whole lab
	Solved  time.Time         `json:"solved,omitzero"` // when all tasks passed for the first time
}

// Result is one grade.
type Result struct {
	Time      time.Time         `json:"time"`
	Points    int               `json:"points"`
	MaxPoints int               `json:"maxPoints"`
	Tasks     map[string]string `json:"tasks,omitempty"` // verdicts by task
	Passed    bool              `json:"passed"`          // every task did
}

func (s State) complete() State {
	if s.Started == nil {
		s.Started = map[string]Started{}
	}
	if s.Engines == nil {
		s.Engines = map[string]string{}
	}
	if s.Folders == nil {
		s.Folders = map[string]string{}
	}
	if s.Progress == nil {
		s.Progress = map[string]Progress{}
	}
	return s
}

// Current returns the lab under way at a place, or "".
func (s *State) Current(p Place) string { return s.Started[p.Key()].Lab }

// Has tells whether a lab was set up at a place, and was not stopped since.
func (s *State) Has(p Place, lab string) bool { return slices.Contains(s.Started[p.Key()].Labs, lab) }

// Start notes that a lab is under way at a place, and that this is where the learner works.
func (s *State) Start(p Place, lab string, now time.Time) {
	s.Place = p
	labs := s.Started[p.Key()].Labs
	if !slices.Contains(labs, lab) {
		labs = append(slices.Clone(labs), lab)
	}
	s.Started[p.Key()] = Started{Lab: lab, Time: now, Labs: labs}
}

// Renew notes that a lab begins anew: hints are given from the first, nothing is answered, and the latest grade is of
// the past.
func (s *State) Renew(lab string) {
	if p, ok := s.Progress[lab]; ok {
		p.Hints, p.Answers, p.Last = nil, nil, Result{}
		s.Progress[lab] = p
	}
}

// Stop notes that a lab at a place has ended.
func (s *State) Stop(p Place, lab string) {
	here := s.Started[p.Key()]
	here.Labs = slices.DeleteFunc(slices.Clone(here.Labs), func(l string) bool { return l == lab })
	if here.Lab == lab {
		here.Lab = ""
	}
	s.Started[p.Key()] = here
	if here.Lab == "" && len(here.Labs) == 0 {
		delete(s.Started, p.Key())
	}
}

// Leave notes that a place is gone.
func (s *State) Leave(p Place) {
	delete(s.Started, p.Key())
	if p.Context == "" {
		delete(s.Engines, p.Name)
	}
	if s.Place == p {
		s.Place = Place{}
	}
}

// NextHint notes that one more hint on a task was taken, and returns which one: 0 is the first. There are n; the last
// is given again when all are taken.
func (s *State) NextHint(lab, task string, n int) int {
	p := s.Progress[lab]
	hints := maps.Clone(p.Hints)
	if hints == nil {
		hints = map[string]int{}
	}
	tier := min(hints[task], n-1)
	hints[task] = tier + 1
	p.Hints = hints
	s.Progress[lab] = p
	return tier
}

// Settle notes where a lab lies: in a folder, or with "" in the catalogue.
func (s *State) Settle(lab, folder string) {
	if folder == "" {
		delete(s.Folders, lab)
		return
	}
	s.Folders[lab] = folder
}

// Answer notes what the learner wrote for a task.
func (s *State) Answer(lab, task, text string) {
	p := s.Progress[lab]
	answers := maps.Clone(p.Answers)
	if answers == nil {
		answers = map[string]string{}
	}
	answers[task] = text
	p.Answers = answers
	s.Progress[lab] = p
}

// Record notes a grade. Only a grade of the whole lab counts as a result; one of a few tasks is still a check.
func (s *State) Record(lab string, r Result, whole bool) {
	p := s.Progress[lab]
	p.Checks++
	if whole {
		p.Last = r
		if r.Passed && p.Solved.IsZero() {
			p.Solved = r.Time
		}
	}
	s.Progress[lab] = p
}
