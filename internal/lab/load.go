package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
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

// A Validator judges a check's parameters: the registry of check kinds does.
type Validator interface {
	Validate(l *Lab, c Check) Problems
}

// document is lab.yaml as written; the field types are the reference.
type document struct {
	APIVersion string `yaml:"apiVersion,required"`
	Kind       string `yaml:"kind,required"`
	Metadata   struct {
		Name  string `yaml:"name,required"`
		Topic string `yaml:"topic,required"`
	} `yaml:"metadata,required"`
	Spec struct {
		Title      string     `yaml:"title,required"`
		Level      string     `yaml:"level,required"`
		Minutes    int        `yaml:"minutes,required"`
		Needs      []string   `yaml:"needs"`
		Namespaces []string   `yaml:"namespaces,required"`
		Touches    []Ref      `yaml:"touches"`
		Setup      Setup      `yaml:"setup,required"`
		Tasks      []Task     `yaml:"tasks,required"`
		Safeguards []Check    `yaml:"safeguards"`
		Solutions  []Solution `yaml:"solutions,required"`
		Mistakes   []Mistake  `yaml:"mistakes,required"`
	} `yaml:"spec,required"`
}

// Catalogue reads every lab.yaml of fsys, sorted by name. It looks at no other
// file and at no check's parameters, because listing must be instant; Load does.
func Catalogue(fsys fs.FS) ([]*Lab, error) {
	names, err := fs.Glob(fsys, "*/*/lab.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	var labs []*Lab
	var problems Problems
	for _, name := range names {
		l, _, found := parse(fsys, path.Dir(name))
		problems = append(problems, found...)
		labs = append(labs, l)
	}
	return labs, problems.err()
}

// Load reads the lab in folder dir of fsys and everything it refers to. The
// error is a Problems with all faults at once. Without validators the
// parameters of checks are not looked at.
func Load(fsys fs.FS, dir string, validators ...Validator) (*Lab, error) {
	l, root, problems := parse(fsys, dir)
	if root.yaml == nil {
		return nil, problems.err()
	}
	spec, ok := root.lookup("spec")
	if !ok {
		return nil, problems.err() // nothing to look at further
	}
	problems = append(problems, l.checkHead(root)...)
	problems = append(problems, l.checkFiles(spec)...)
	problems = append(problems, l.checkTasks(spec)...)
	for _, v := range validators {
		for _, t := range l.Tasks {
			for _, c := range t.Checks {
				problems = append(problems, validate(v, l, c)...)
			}
		}
		for _, c := range l.Safeguards {
			problems = append(problems, validate(v, l, c)...)
		}
	}
	if err := problems.err(); err != nil {
		return nil, err
	}
	return l, nil
}

// validate skips a check that did not even parse: that fault is reported.
func validate(v Validator, l *Lab, c Check) Problems {
	if c.Params.yaml == nil {
		return nil
	}
	return v.Validate(l, c)
}

// maxSize bounds a lab.yaml, in bytes: far above any real one, far below harm.
const maxSize = 1 << 20

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parse decodes lab.yaml without following what it refers to.
func parse(fsys fs.FS, dir string) (*Lab, Node, Problems) {
	l := &Lab{fsys: fsys, dir: path.Clean(dir)}
	file := path.Join(dir, "lab.yaml")
	b, err := fs.ReadFile(fsys, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l, Node{}, Problems{{File: file, Text: "no such file: a lab is a folder with a lab.yaml"}}
	case err != nil:
		return l, Node{}, Problems{{File: file, Text: err.Error()}}
	case len(b) > maxSize:
		return l, Node{}, Problems{{File: file, Text: "larger than 1 MiB"}}
	}

	var top, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&top); err != nil {
		return l, Node{}, Problems{syntaxProblem(file, err)}
	}
	root := Node{file, top.Content[0]}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return l, Node{}, Problems{root.Problem("expected one YAML document, found more")}
	}

	var doc document
	problems := root.Decode(&doc)
	spec := doc.Spec
	*l = Lab{
		Name: doc.Metadata.Topic + "/" + doc.Metadata.Name, Topic: doc.Metadata.Topic, ID: doc.Metadata.Name,
		Title: spec.Title, Level: spec.Level, Minutes: spec.Minutes,
		Needs: spec.Needs, Namespaces: spec.Namespaces, Touches: spec.Touches, Setup: spec.Setup, Tasks: spec.Tasks,
		Safeguards: spec.Safeguards, Solutions: spec.Solutions, Mistakes: spec.Mistakes,
		fsys: fsys, dir: l.dir,
	}
	for i := range l.Tasks {
		if l.Tasks[i].Points == 0 {
			l.Tasks[i].Points = 1
		}
	}
	return l, root, problems
}

// syntaxProblem turns yaml's "yaml: line 3: ..." into a position. The library
// gives no column.
func syntaxProblem(file string, err error) Problem {
	if errors.Is(err, io.EOF) {
		return Problem{File: file, Line: 1, Column: 1, Text: "empty: expected apiVersion: " + APIVersion}
	}
	p := Problem{File: file, Line: 1, Column: 1, Text: yamlLine.ReplaceAllString(err.Error(), "")}
	if m := yamlLine.FindStringSubmatch(err.Error()); len(m) == 2 && m[1] != "" {
		_, _ = fmt.Sscan(m[1], &p.Line)
	}
	// The library counts from 0 in what its parser, not its scanner, says.
	if parserError.MatchString(p.Text) {
		p.Line++
	}
	return p
}

var (
	parserError = regexp.MustCompile(`^did not find expected (',' or|key|'-' indicator|node content|<)`)

	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	levels   = []string{"beginner", "intermediate", "advanced"}
)

// checkHead validates what names and describes the lab.
func (l *Lab) checkHead(root Node) Problems {
	var problems Problems
	expect := func(n Node, ok bool, format string, args ...any) {
		if text, given := n.Text(); given && text != "" && !ok {
			problems = append(problems, n.Problem(format, args...))
		}
	}
	version, _ := root.Field("apiVersion").Text()
	expect(root.Field("apiVersion"), version == APIVersion, "expected %s, found %q", APIVersion, version)
	kind, _ := root.Field("kind").Text()
	expect(root.Field("kind"), kind == Kind, "expected %s, found %q", Kind, kind)

	meta, spec := root.Field("metadata"), root.Field("spec")
	if l.dir != "." {
		expect(meta.Field("name"), l.ID == path.Base(l.dir), "expected %q as the folder is called, found %q", path.Base(l.dir), l.ID)
	}
	for _, n := range []Node{meta.Field("name"), meta.Field("topic")} {
		text, _ := n.Text()
		expect(n, dnsLabel.MatchString(text), "expected lower case letters, digits and dashes, found %q", text)
	}
	expect(spec.Field("level"), slices.Contains(levels, l.Level), "expected one of %s, found %q", strings.Join(levels, ", "), l.Level)
	// A value of another type is 0 here, and reported already.
	minutes, _ := spec.Field("minutes").Text()
	expect(spec.Field("minutes"), minutes != strconv.Itoa(l.Minutes) || l.Minutes >= 1 && l.Minutes <= 120, "expected 1 to 120 minutes, found %d", l.Minutes)

	for _, item := range spec.list("namespaces") {
		text, _ := item.Text()
		expect(item, dnsLabel.MatchString(text), "expected a namespace's name, found %q", text)
		expect(item, !strings.HasPrefix(text, "kube-") && text != "default", "a lab cannot own the namespace %s", text)
	}
	if l.Namespaces != nil && len(l.Namespaces) == 0 {
		problems = append(problems, spec.Field("namespaces").Problem("expected at least one namespace"))
	}
	return problems
}

// checkTasks validates ids and the references between tasks and mistakes.
func (l *Lab) checkTasks(spec Node) Problems {
	var problems Problems
	seen := map[string]bool{}
	for i, n := range spec.list("tasks") {
		t := l.Tasks[i]
		switch {
		case t.ID == "":
		case !dnsLabel.MatchString(t.ID):
			problems = append(problems, n.Field("name").Problem("expected lower case letters, digits and dashes, found %q", t.ID))
		case seen[t.ID]:
			problems = append(problems, n.Field("name").Problem("task %q is there twice", t.ID))
		}
		// Only earlier tasks count: that makes a circle impossible.
		for _, after := range n.list("after") {
			if id, _ := after.Text(); !seen[id] {
				problems = append(problems, after.Problem("expected an earlier task, found %q", id))
			}
		}
		if t.Points < 0 || t.Points > 100 {
			problems = append(problems, n.Field("points").Problem("expected 1 to 100 points, found %d", t.Points))
		}
		if t.Checks != nil && len(t.Checks) == 0 {
			problems = append(problems, n.Field("checks").Problem("expected at least one check"))
		}
		seen[t.ID] = true
	}
	for _, n := range spec.list("mistakes") {
		for _, fails := range n.list("fails") {
			if id, _ := fails.Text(); !seen[id] {
				problems = append(problems, fails.Problem("expected a task of this lab, found %q", id))
			}
		}
	}
	return problems
}

// list returns the elements of the list under a key, and none when there is
// something else.
func (n Node) list(key string) []Node {
	value, ok := n.lookup(key)
	if !ok || value.yaml.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Node, len(value.yaml.Content))
	for i, c := range value.yaml.Content {
		items[i] = Node{n.File, c}
	}
	return items
}
