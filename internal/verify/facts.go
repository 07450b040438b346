package verify

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// facts are what a lab's checks look at: what decides which wrong answers they can be expected to see.
type facts struct {
	namespace    string // the lab's first
	words        []string
	dependencies []check.Dependency
	changes      bool // grading changes the cluster
	marks        bool // and in ways that no object shows, which takes a reset
	waits        bool // by a script of the lab's own, and what that does takes its time to show
}

func factsOf(l *lab.Lab, kinds check.Registry) (facts, error) {
	f := facts{namespace: l.Namespaces[0]}
	var problems lab.Problems
	add := func(task string, checks []lab.Check) {
		scope := check.ScopeOf(l)
		scope.Task = task
		for _, c := range checks {
			f.words = append(f.words, c.Kind)
			c.Params.Words(func(text string) { f.words = append(f.words, text) })
			compiled, found := kinds.Compile(scope, c)
			problems = append(problems, found...)
			if found == nil {
				f.dependencies = append(f.dependencies, compiled.Objects()...)
				f.changes = f.changes || compiled.Changes()
				f.marks = f.marks || check.Marks(compiled)
				f.waits = f.waits || compiled.Changes() && c.Kind == "exec"
			}
		}
	}
	for _, t := range l.Tasks {
		add(t.ID, t.Checks)
	}
	add("", l.Safeguards)
	if len(problems) > 0 {
		return facts{}, problems
	}
	return f, nil
}

// asks tells whether a kind of check is used.
func (f facts) asks(kinds ...string) bool {
	return slices.ContainsFunc(f.words, func(word string) bool { return slices.Contains(kinds, word) })
}

// tabled tells whether a truth table has a word.
func (f facts) tabled(word string) bool {
	return slices.ContainsFunc(f.words, func(text string) bool {
		return strings.Contains(text, "\n") && slices.Contains(strings.Fields(text), word)
	})
}

// mentions tells whether one of the words stands anywhere in the checks, within a longer text too.
func (f facts) mentions(words ...string) bool {
	return slices.ContainsFunc(f.words, func(text string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
	})
}

// names tells whether the checks call an object by its name: as kind/name, in an address, or as what they read.
func (f facts) names(o object) bool {
	for _, d := range f.dependencies {
		if d.Name == o.name() && d.Resource.Resource == plural(o.kind()) {
			return true
		}
	}
	if o.kind() != "Service" {
		return false
	}
	// A host in a URL, or what a name server is asked for.
	name := regexp.QuoteMeta(o.name())
	host := regexp.MustCompile(`//` + name + `($|[.:/])|^` + name + `[.]|[.]` + name + `[.:/]`)
	return slices.ContainsFunc(f.words, host.MatchString) || f.asks("resolve") && slices.Contains(f.words, o.name())
}

// reads tells whether the checks look at a workload or its pods in particular.
func (f facts) reads(workload object, l *lab.Lab) bool {
	ns, name := workload.namespace(l), workload.name()
	set := labels.Set(pairs(find(workload.root, "spec", "template", "metadata", "labels")))
	if workload.kind() == "Pod" {
		set = pairs(find(workload.root, "metadata", "labels"))
	}
	if workload.kind() == "StatefulSet" {
		set["statefulset.kubernetes.io/pod-name"] = name + "-0"
		set["apps.kubernetes.io/pod-index"] = "0"
	}
	for _, d := range f.dependencies {
		if d.Namespace != ns {
			continue
		}
		switch d.Resource.Resource {
		case plural(workload.kind()):
			if d.Name == name {
				return true
			}
		case "pods":
			selector, err := labels.Parse(d.Selector)
			if d.Selector != "" && err == nil && selector.Matches(set) || strings.HasPrefix(d.Name, name+"-") {
				return true
			}
		}
	}
	return false
}

func plural(kind string) string {
	kind = strings.ToLower(kind)
	switch {
	case strings.HasSuffix(kind, "y"):
		return strings.TrimSuffix(kind, "y") + "ies"
	case strings.HasSuffix(kind, "s"):
		return kind + "es"
	}
	return kind + "s"
}
