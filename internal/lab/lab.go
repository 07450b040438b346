// Package lab is a lab as data: a folder with a story, manifests, tasks and the
// checks that grade them. It loads and validates that folder; it never talks to
// a cluster, and it does not know what a check means: a Validator does.
package lab

import (
	"io/fs"
	"strings"
)

// A Lab is one folder of the catalogue, as its lab.yaml describes it.
type Lab struct {
	Name  string // topic and id as learners type them: "services/clusterip"
	Topic string
	ID    string

	Title   string
	Answers []string // the questions that a learner can answer afterwards
	Level   string   // beginner, intermediate or advanced
	Minutes int      // a calm learner's time

	Needs      []string // what the cluster must enforce, e.g. "network-policy"
	Namespaces []string // the first is the default of manifests and checks
	// Touches are objects outside the lab's namespaces that setup, solutions or the learner may change, and that a
	// reset brings back, such as kube-system/configmap/coredns.
	Touches    []Ref
	Setup      Setup
	Tasks      []Task
	Safeguards []Check // true at the start, and to stay true
	Solutions  []Solution
	Mistakes   []Mistake
	Exceptions []Exception

	// Params are what is drawn for each attempt, and Values what was: what ${params.…} stands for in this Lab. Values is
	// nil in a Catalogue, where nothing is drawn yet.
	Params map[string]Param
	Values Values
	// Folder is the absolute path of a lab that LoadDir read, and "" for others.
	Folder string

	fsys  fs.FS  // the file system the lab came from
	dir   string // its folder in fsys
	moved moved  // of a twin
}

// Setup is what the learner finds on the cluster.
type Setup struct {
	Apply string `yaml:"apply,required" fixed:"true" doc:"a manifest or a folder of them, put on the cluster at the start"`
	Run   string `yaml:"run" fixed:"true" form:"script" doc:"run after apply, in a container of its own that has kubectl"`
	Ready []Ref  `yaml:"ready" doc:"workloads (deployment, statefulset, daemonset, pod) that must have arrived before the learner begins"`
}

// A Task is one thing to achieve. It passes when all its checks do.
type Task struct {
	ID     string   `yaml:"name,required" fixed:"true" form:"label" doc:"what learners type: kindlab check NAME, kindlab hint NAME"`
	Title  string   `yaml:"title,required" doc:"the goal in one line, never the way"`
	Points int      `yaml:"points" fixed:"true" range:"1-100" doc:"what it is worth; 1 unless told"`
	After  []string `yaml:"after" fixed:"true" doc:"earlier tasks that must pass first; until then this one is blocked"`
	Checks []Check  `yaml:"checks,required" least:"1" doc:"the task passes when all of them do"`
}

// A Check is one question to the cluster: a kind and its undecoded parameters.
type Check struct {
	Kind   string
	Params Node
}

// A Solution is one right answer. It has Apply, Run or Delete.
type Solution struct {
	Title  string `yaml:"title,required" doc:"what is particular about this answer"`
	Apply  string `yaml:"apply" fixed:"true" doc:"a manifest or a folder of them"`
	Run    string `yaml:"run" fixed:"true" form:"script" doc:"run after apply, in a container of its own that has kubectl"`
	Delete []Ref  `yaml:"delete" doc:"objects removed before apply, for fields that cannot be changed in place"`
}

// A Mistake is one plausible wrong answer: proof that the grader is not fooled.
type Mistake struct {
	Title  string   `yaml:"title,required" doc:"what was done wrong"`
	Apply  string   `yaml:"apply" fixed:"true" doc:"a manifest or a folder of them"`
	Run    string   `yaml:"run" fixed:"true" form:"script" doc:"run after apply, in a container of its own that has kubectl"`
	Delete []Ref    `yaml:"delete" doc:"objects removed before apply"`
	Fails  []string `yaml:"fails,required" fixed:"true" least:"1" doc:"exactly these tasks fail, or the word safeguards; the others pass or are blocked"`
	Says   string   `yaml:"says,required" doc:"words that the learner reads in the finding"`
	Tell   string   `yaml:"tell" doc:"what a teacher would say to who made it; shown when it is recognised"`
	When   []Check  `yaml:"when" doc:"its marks, where another mistake fails the same in the same words: checks that pass only where this one was made"`
}

// An Exception excuses a generated mistake that the grader does not catch. Generated mistakes are nobody's answer, so
// some are no mistakes at all; their author says why.
type Exception struct {
	From    string `yaml:"from,required" fixed:"true" doc:"the generated mistake, as kindlab verify calls it: scale-to-zero deployment/stall"`
	Because string `yaml:"because,required" fixed:"true" doc:"why it is no mistake here"`
}

// A File is a manifest or a script of the lab.
type File struct {
	Path    string // relative to the lab's folder
	Content string // with this attempt's values in the place of ${params.…}
}

// Task finds a task by its id.
func (l *Lab) Task(id string) (Task, bool) {
	for _, t := range l.Tasks {
		if t.ID == id {
			return t, true
		}
	}
	return Task{}, false
}

// MaxPoints is the sum over all tasks.
func (l *Lab) MaxPoints() int {
	sum := 0
	for _, t := range l.Tasks {
		sum += t.Points
	}
	return sum
}

// Story is the README: what happened, and what the learner is to do.
func (l *Lab) Story() (string, error) { return l.read("README.md") }

// Debrief is what to take home once the lab is solved.
func (l *Lab) Debrief() (string, error) { return l.read("debrief.md") }

// HintTiers is the number of hints each task has, weakest first.
const HintTiers = 3

// Hints returns the tiers of a task, weakest first. They are the parts of
// hints/<task>.md, separated by lines that hold only "---".
func (l *Lab) Hints(task string) ([]string, error) {
	text, err := l.read("hints/" + task + ".md")
	if err != nil {
		return nil, err
	}
	return tiers(text), nil
}

func tiers(text string) []string {
	var parts []string
	var part strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimRight(line, " \t\r\n") == "---" {
			parts = append(parts, strings.TrimSpace(part.String()))
			part.Reset()
			continue
		}
		part.WriteString(line)
	}
	return append(parts, strings.TrimSpace(part.String()))
}
