package lab

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// APIVersion and Kind are what every lab.yaml begins with.
const (
	APIVersion = "kindlab.dev/v1"
	Kind       = "Lab"
)

// document is lab.yaml as written. Its field types and their tags are the format: the loader obeys them, and the
// reference and the schema are made from them.
//
//	yaml:"name,required"  the key, and whether it may be left out
//	doc:"..."             one line for authors
//	enum:"a,b"            a string that is one of these
//	form:"label"          a string, or each of a list, that is of a Form
//	range:"1-120"         a number, both ends included
//	least:"2"             a list of at least so many
//	fixed:"true"          the same in every attempt: no ${params.…} within
type document struct {
	APIVersion string `yaml:"apiVersion,required" fixed:"true" enum:"kindlab.dev/v1" doc:"the version of this format"`
	Kind       string `yaml:"kind,required" fixed:"true" enum:"Lab" doc:"what the file describes"`
	Metadata   struct {
		Name  string `yaml:"name,required" form:"label" doc:"the lab's short name; its folder is called so"`
		Topic string `yaml:"topic,required" form:"label" doc:"what it belongs to; the folder above is called so"`
	} `yaml:"metadata,required" fixed:"true" doc:"the lab's full name is topic/name"`
	Spec struct {
		Title      string           `yaml:"title,required" fixed:"true" doc:"what kindlab list shows"`
		Answers    []string         `yaml:"answers" fixed:"true" doc:"the questions that a learner can answer afterwards, as an interviewer would ask them"`
		Level      string           `yaml:"level,required" fixed:"true" enum:"beginner,intermediate,advanced" doc:"how much the learner should know before"`
		Minutes    int              `yaml:"minutes,required" fixed:"true" range:"1-120" doc:"how long a calm learner takes"`
		Needs      []string         `yaml:"needs" fixed:"true" doc:"what the cluster must really do, such as network-policy or storage"`
		Namespaces []string         `yaml:"namespaces,required" fixed:"true" form:"label" least:"1" doc:"the lab's own namespaces, made at the start; the first is meant wherever a name has none"`
		Params     map[string]Param `yaml:"params" fixed:"true" doc:"values drawn for each attempt and kept until reset; ${params.NAME} stands for one"`
		Touches    []Ref            `yaml:"touches" doc:"objects outside the lab's namespaces that may be changed and that a reset brings back: kube-system/configmap/coredns, storageclass/standard, node/*"`
		Setup      Setup            `yaml:"setup,required" doc:"what the learner finds on the cluster"`
		Tasks      []Task           `yaml:"tasks,required" least:"1" doc:"what there is to achieve, in the order to tackle it"`
		Safeguards []Check          `yaml:"safeguards" doc:"checks that hold before the learner begins and must go on holding"`
		Solutions  []Solution       `yaml:"solutions,required" least:"2" doc:"right answers that differ in kind: each passes every task"`
		Mistakes   []Mistake        `yaml:"mistakes,required" least:"3" doc:"plausible wrong answers: each fails exactly the tasks it names"`
		Exceptions []Exception      `yaml:"exceptions" doc:"generated mistakes that kindlab verify makes up and that are none in this lab"`
	} `yaml:"spec,required" doc:"the lab itself"`
}

// Document returns a zero value of lab.yaml's type, for those who describe the format.
func Document() any { return document{} }

// A Form is a syntax for strings that has a name in `form` tags.
type Form struct {
	*regexp.Regexp
	Words string // what it means: "expected " + Words
}

// FormOf returns the form of a name, and ok whether there is one.
func FormOf(name string) (f Form, ok bool) {
	switch name {
	case "label":
		return Form{dnsLabel, "lower case letters, digits and dashes"}, true
	case "script":
		return Form{scriptName, "a shell script whose name ends in .sh"}, true
	}
	return Form{}, false
}

var (
	dnsLabel   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	scriptName = regexp.MustCompile(`\.sh$`)
)

// constraints reports what breaks the tags of type t. Values of another type than wanted are reported already, and
// passed over.
func constraints(n Node, t reflect.Type) Problems {
	var problems Problems
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[Decoder]()):
	case t.Kind() == reflect.Struct:
		for field := range t.Fields() {
			name, required := tagOf(field)
			value, given := n.lookup(name)
			if name == "" || !given {
				continue
			}
			if text, ok := value.Text(); ok && required && strings.TrimSpace(text) == "" {
				problems = append(problems, value.Problem("expected some text for %s, found nothing", name))
				continue
			}
			problems = append(problems, value.obeys(name, field.Tag)...)
			problems = append(problems, constraints(value, field.Type)...)
		}
	case t.Kind() == reflect.Map:
		for _, e := range n.entries() {
			problems = append(problems, constraints(e.value, t.Elem())...)
		}
	case t.Kind() == reflect.Slice:
		for _, item := range n.items() {
			problems = append(problems, constraints(item, t.Elem())...)
		}
	}
	return problems
}

// obeys reports what breaks the tag of the field that n is the value of.
func (n Node) obeys(name string, tag reflect.StructTag) Problems {
	var problems Problems
	expect := func(n Node, ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, n.Problem(format, args...))
		}
	}
	if options := tag.Get("enum"); options != "" && n.is("!!str") {
		one := "one of "
		if !strings.Contains(options, ",") {
			one = ""
		}
		expect(n, slices.Contains(strings.Split(options, ","), n.yaml.Value), "expected %s%s, found %q",
			one, strings.ReplaceAll(options, ",", ", "), n.yaml.Value)
	}
	if form, ok := FormOf(tag.Get("form")); ok {
		for _, one := range append(n.items(), n) {
			if text, ok := one.Text(); ok && one.is("!!str") && text != "" {
				expect(one, form.MatchString(text), "expected %s, found %q", form.Words, text)
			}
		}
	}
	if number, ok := n.number(); ok {
		if low, high, limited := RangeOf(tag); limited {
			expect(n, number >= low && number <= high, "expected %s from %d to %d, found %d", name, low, high, number)
		}
	}
	if least, err := strconv.Atoi(tag.Get("least")); err == nil && n.yaml.Kind == yaml.SequenceNode {
		switch found := len(n.yaml.Content); least {
		case 1:
			expect(n, found >= 1, "expected %s to hold at least one, found none", name)
		default:
			expect(n, found >= least, "expected at least %d %s, found %d", least, name, found)
		}
	}
	if tag.Get("fixed") != "" {
		if filled, ok := n.filled(); ok {
			expect(filled, false, "%s is the same in every attempt, so no ${params.…} can stand here", name)
		}
	}
	return problems
}

// RangeOf reads a `range` tag.
func RangeOf(tag reflect.StructTag) (low, high int, ok bool) {
	from, to, _ := strings.Cut(tag.Get("range"), "-")
	low, err := strconv.Atoi(from)
	if err != nil {
		return 0, 0, false
	}
	high, err = strconv.Atoi(to)
	return low, high, err == nil
}

// filled finds the first scalar within n that a parameter's value stands in.
func (n Node) filled() (Node, bool) {
	if n.yaml.Tag == filledTag {
		return n, true
	}
	for _, child := range n.yaml.Content {
		if found, ok := (Node{n.File, child}).filled(); ok {
			return found, true
		}
	}
	return Node{}, false
}
