// Package lab is a lab as data: a folder with a story, manifests, tasks and the
// checks that grade them. It loads and validates that folder; it never talks to
// a cluster, and it does not know what a check means: a Validator does.
package lab

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// A Lab is one folder of the catalogue, as its lab.yaml describes it.
type Lab struct {
	Name  string // topic and id as learners type them: "services/clusterip"
	Topic string
	ID    string

	Title   string
	Level   string // beginner, intermediate or advanced
	Minutes int    // a calm learner's time

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

	fsys fs.FS  // the file system the lab came from
	dir  string // its folder in fsys
}

// Setup is what the learner finds on the cluster.
type Setup struct {
	Apply string `yaml:"apply,required"` // a manifest or a folder of them
	Run   string `yaml:"run"`            // a shell script, run after Apply in a container of its own
	Ready []Ref  `yaml:"ready"`          // workloads that must have arrived before the learner begins
}

// A Task is one thing to achieve. It passes when all its checks do.
type Task struct {
	ID     string   `yaml:"name,required"`
	Title  string   `yaml:"title,required"`
	Points int      `yaml:"points"`
	After  []string `yaml:"after"` // tasks that must pass first
	Checks []Check  `yaml:"checks,required"`
}

// A Check is one question to the cluster: a kind and its undecoded parameters.
type Check struct {
	Kind   string
	Params Node
}

// A Solution is one right answer. It has Apply, Run or Delete.
type Solution struct {
	Title  string `yaml:"title,required"`
	Apply  string `yaml:"apply"`
	Run    string `yaml:"run"`    // a shell script, run after Apply in a container of its own
	Delete []Ref  `yaml:"delete"` // removed before Apply
}

// A Mistake is one plausible wrong answer: proof that the grader is not fooled.
type Mistake struct {
	Title  string   `yaml:"title,required"`
	Apply  string   `yaml:"apply"`
	Run    string   `yaml:"run"` // a shell script, run after Apply in a container of its own
	Delete []Ref    `yaml:"delete"`
	Fails  []string `yaml:"fails,required"` // exactly these tasks fail, or safeguards; the others pass or are blocked
	Says   string   `yaml:"says,required"`  // words that the learner reads in the finding
	Tell   string   `yaml:"tell"`           // what a teacher would say to who made it; shown when it is recognised
}

// A File is a manifest of the lab, for printing.
type File struct {
	Path    string // relative to the lab's folder
	Content string
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
	parts := strings.Split("\n"+strings.TrimSpace(text)+"\n", "\n---\n")
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	return parts
}

// Files returns the manifests at p, a file or a folder of the lab, in the
// order in which they are applied.
func (l *Lab) Files(p string) ([]File, error) {
	names, err := manifests(l.fsys, path.Join(l.dir, p))
	if err != nil {
		return nil, fmt.Errorf("reading %s of lab %s: %w", p, l.Name, err)
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		b, err := fs.ReadFile(l.fsys, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s of lab %s: %w", p, l.Name, err)
		}
		files = append(files, File{Path: strings.TrimPrefix(name, l.dir+"/"), Content: string(b)})
	}
	return files, nil
}

func (l *Lab) read(name string) (string, error) {
	b, err := fs.ReadFile(l.fsys, path.Join(l.dir, name))
	if err != nil {
		return "", fmt.Errorf("reading %s of lab %s: %w", name, l.Name, err)
	}
	return string(b), nil
}

// manifests lists the YAML files at p, sorted by name.
func manifests(fsys fs.FS, p string) ([]string, error) {
	info, err := fs.Stat(fsys, p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{p}, nil
	}
	entries, err := fs.ReadDir(fsys, p)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			names = append(names, path.Join(p, e.Name()))
		}
	}
	return names, nil
}
