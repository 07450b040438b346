package verify

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// APIVersion and Kind mark the JSON form. Fields are added to it, never changed.
const (
	APIVersion = "kindlab.dev/v1"
	Kind       = "Verification"
)

// A Report is what was proved of labs.
type Report struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Seconds    float64            `json:"seconds"`
	Labs       []Lab              `json:"labs"`
	Phases     map[string]float64 `json:"phases"` // seconds of all labs, which may be proved side by side
}

// A Lab is what was proved of one.
type Lab struct {
	Name      string             `json:"name"`
	Hash      string             `json:"hash"` // of its folder
	Tasks     int                `json:"tasks"`
	Proved    bool               `json:"proved"`
	Cached    bool               `json:"cached,omitempty"` // known from before
	Known     int                `json:"known,omitempty"`  // states of a lab that has changed, known from before
	Seconds   float64            `json:"seconds"`
	Listed    Strength           `json:"listed"`
	Generated Strength           `json:"generated"`
	Refused   int                `json:"refused"` // generated, but the API server does not take them
	Excused   int                `json:"excused"`
	Mutants   []Tried            `json:"mutants"`
	Findings  []Finding          `json:"findings"`
	Doubts    []Finding          `json:"doubts,omitempty"` // what looks saw that were taken again
	Phases    map[string]float64 `json:"phases"`
	Steps     []Step             `json:"steps,omitempty"` // in their order
}

// A Step is what one state of a lab took.
type Step struct {
	Name   string             `json:"name"`
	Phases map[string]float64 `json:"phases"` // seconds
}

// Seconds of all phases.
func (s Step) Seconds() float64 {
	sum := 0.0
	for _, seconds := range s.Phases {
		sum += seconds
	}
	return sum
}

// ExitCode is 2 when a lab is badly written, 1 when one is wrong or too weak, 3 when no fault was found but not all
// could be told, and otherwise 0.
func (r Report) ExitCode() int {
	wrong, unclear := false, false
	for _, l := range r.Labs {
		for _, f := range l.Findings {
			switch {
			case f.Bad:
				return 2
			case f.Unclear:
				unclear = true
			default:
				wrong = true
			}
		}
		unclear = unclear || !l.Proved
	}
	switch {
	case wrong:
		return 1
	case unclear:
		return 3
	}
	return 0
}

// A Collector makes a report of events.
type Collector struct{ labs map[string]*Lab }

// NewCollector returns an empty one.
func NewCollector() *Collector { return &Collector{map[string]*Lab{}} }

// Add takes one event in.
func (c *Collector) Add(e Event) {
	l := c.labs[e.Lab]
	if l == nil {
		l = &Lab{Name: e.Lab, Mutants: []Tried{}, Findings: []Finding{}, Phases: map[string]float64{}}
		c.labs[e.Lab] = l
	}
	switch e.What {
	case Began:
		l.Tasks, l.Hash = e.Tasks, e.Hash
	case Spent:
		l.spent(e)
	case Found:
		l.Findings = append(l.Findings, *e.Finding)
	case Doubted:
		l.Doubts = append(l.Doubts, *e.Finding)
	case Listed:
		l.Listed.Tried++
		if e.Caught {
			l.Listed.Caught++
		}
	case MadeUp:
		l.Mutants = append(l.Mutants, *e.Mutant)
		switch e.Mutant.Outcome {
		case Caught:
			l.Generated.Tried++
			l.Generated.Caught++
		case Slipped:
			l.Generated.Tried++
		case Refused:
			l.Refused++
		case Excused:
			l.Excused++
		case Unclear:
		}
	case Known:
		l.Known++
	case Recall:
		*l = *e.Cached
		l.Known = 0
		l.Cached, l.Phases, l.Steps, l.Doubts = true, map[string]float64{}, nil, nil
	case Ended:
		l.Seconds = e.Took.Seconds()
		l.Proved = e.Whole && len(l.Findings) == 0
	}
}

func (l *Lab) spent(e Event) {
	l.Phases[string(e.Phase)] += e.Took.Seconds()
	i := slices.IndexFunc(l.Steps, func(s Step) bool { return s.Name == e.Step })
	if i < 0 {
		i = len(l.Steps)
		l.Steps = append(l.Steps, Step{e.Step, map[string]float64{}})
	}
	l.Steps[i].Phases[string(e.Phase)] += e.Took.Seconds()
}

// lab returns what is known of one so far.
func (c *Collector) lab(name string) Lab {
	if l := c.labs[name]; l != nil {
		known := *l
		known.Proved = len(l.Findings) == 0
		return known
	}
	return Lab{Name: name}
}

// Report returns what is known of all.
func (c *Collector) Report(took time.Duration) Report {
	r := Report{APIVersion: APIVersion, Kind: Kind, Seconds: took.Seconds(), Labs: []Lab{}, Phases: map[string]float64{}}
	for _, name := range slices.Sorted(maps.Keys(c.labs)) {
		r.Labs = append(r.Labs, *c.labs[name])
		for phase, seconds := range c.labs[name].Phases {
			r.Phases[phase] += seconds
		}
	}
	return r
}

// Records are the labs that were proved, as they are kept beside the catalogue.
func (r Report) Records(kubernetes, cni string) []Record {
	var records []Record
	for _, l := range r.Labs {
		if l.Proved {
			records = append(records, Record{
				Lab: l.Name, Hash: l.Hash, Tasks: l.Tasks, Listed: l.Listed, Generated: l.Generated,
				Kubernetes: kubernetes, CNI: cni,
			})
		}
	}
	return records
}

// findings of all labs.
func (r Report) findings() []Finding {
	var all []Finding
	for _, l := range r.Labs {
		all = append(all, l.Findings...)
	}
	return all
}

func (r Report) proved() int {
	n := 0
	for _, l := range r.Labs {
		if l.Proved {
			n++
		}
	}
	return n
}

// slipped names the generated mistakes that passed.
func (l Lab) slipped() []string {
	var names []string
	for _, m := range l.Mutants {
		if m.Outcome == Slipped {
			names = append(names, m.Name)
		}
	}
	return names
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Refuse adds labs that could not be read.
func (r *Report) Refuse(bad map[string]error) {
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		r.Labs = append(r.Labs, Lab{
			Name: name, Mutants: []Tried{}, Phases: map[string]float64{},
			Findings: []Finding{{Lab: name, Phase: Load, Step: "lab.yaml", Is: bad[name].Error(), Bad: true}},
		})
	}
	slices.SortStableFunc(r.Labs, func(a, b Lab) int { return strings.Compare(a.Name, b.Name) })
}
