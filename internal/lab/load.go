package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Validator judges a check's parameters: the registry of check kinds does.
type Validator interface {
	Validate(l *Lab, c Check) Problems
}

// Catalogue reads every lab.yaml of fsys, sorted by name. It looks at no other
// file and at no check's parameters, because listing must be instant; Load does.
// In the labs' texts <NAME> stands for what is not drawn yet. The error is a Problems with the faults of the labs that
// cannot be read, beside which the others are returned.
func Catalogue(fsys fs.FS) ([]*Lab, error) {
	names, err := fs.Glob(fsys, "*/*/lab.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	var labs []*Lab
	var problems Problems
	for _, name := range names {
		l := &Lab{fsys: fsys, dir: path.Dir(name)}
		_, found := l.parse(nil)
		l.Values = nil
		problems = append(problems, found...)
		if found == nil {
			labs = append(labs, l)
		}
	}
	return labs, problems.err()
}

// Load reads the lab in folder dir of fsys and everything it refers to, with the smallest values in the place of its
// params. The error is a Problems with all faults at once. Without validators the parameters of checks are not looked
// at.
func Load(fsys fs.FS, dir string, validators ...Validator) (*Lab, error) {
	return load(fsys, dir, nil, validators)
}

// LoadWith is Load with the values of an attempt. A lab that wants other values by now is a *StaleError.
func LoadWith(fsys fs.FS, dir string, v Values, validators ...Validator) (*Lab, error) {
	if v == nil {
		v = Values{}
	}
	return load(fsys, dir, v, validators)
}

// Filled is the lab read again with the values of an attempt; of a twin, the lab that it is one of.
func (l *Lab) Filled(v Values, validators ...Validator) (*Lab, error) {
	filled, err := LoadWith(l.fsys, l.dir, v, validators...)
	if err != nil {
		return nil, err
	}
	filled.Folder = l.Folder
	return filled, nil
}

func load(fsys fs.FS, dir string, given Values, validators []Validator) (*Lab, error) {
	l := &Lab{fsys: fsys, dir: path.Clean(dir)}
	if err := l.load(given, validators); err != nil {
		return nil, err
	}
	return l, nil
}

// load reads a lab with given values, or with the smallest when they are nil.
func (l *Lab) load(given Values, validators []Validator) error {
	root, problems := l.parse(given)
	spec, ok := root.lookup("spec")
	if !ok {
		return problems.err() // nothing to look at further
	}
	problems = append(problems, constraints(root, reflect.TypeFor[document]())...)
	problems = append(problems, l.checkHead(root)...)
	problems = append(problems, l.checkFiles(spec)...)
	problems = append(problems, l.checkTasks(spec)...)
	problems = append(problems, l.checkAnswers(spec)...)
	problems = append(problems, l.checkRefs(spec)...)
	for _, v := range validators {
		for _, t := range l.Tasks {
			for _, c := range t.Checks {
				problems = append(problems, validate(v, l, c)...)
			}
		}
		for _, c := range l.Safeguards {
			problems = append(problems, validate(v, l, c)...)
		}
		for _, m := range l.Mistakes {
			for _, c := range m.When {
				problems = append(problems, validate(v, l, c)...)
			}
		}
	}
	if err := problems.err(); err != nil {
		return err
	}
	if given != nil {
		return l.stale(given)
	}
	return nil
}

// validate skips a check that did not even parse: that fault is reported.
func validate(v Validator, l *Lab, c Check) Problems {
	if c.Params.yaml == nil {
		return nil
	}
	return v.Validate(l, c)
}

// parse decodes lab.yaml without following what it refers to. The node is the
// zero Node when there is nothing to look at.
func (l *Lab) parse(given Values) (Node, Problems) {
	file := path.Join(l.dir, "lab.yaml")
	b, err := l.readPlain("lab.yaml")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Node{}, Problems{{File: file, Text: "no such file: a lab is a folder with a lab.yaml"}}
	case err != nil:
		return Node{}, Problems{{File: file, Text: err.Error()}}
	}
	root, problems := readYAML(file, b)
	if root.yaml == nil {
		return root, problems
	}
	problems = append(problems, root.refuseShorthand()...)
	problems = append(problems, l.fillDocument(root, string(b), given)...)

	var doc document
	problems = append(problems, root.Decode(&doc)...)
	spec := doc.Spec
	l.Name, l.Topic, l.ID = doc.Metadata.Topic+"/"+doc.Metadata.Name, doc.Metadata.Topic, doc.Metadata.Name
	l.Title, l.Answers, l.Level, l.Minutes = spec.Title, spec.Answers, spec.Level, spec.Minutes
	l.Needs, l.Namespaces, l.Touches = spec.Needs, spec.Namespaces, spec.Touches
	l.Setup, l.Tasks, l.Safeguards, l.Solutions, l.Mistakes = spec.Setup, spec.Tasks, spec.Safeguards, spec.Solutions, spec.Mistakes
	l.Exceptions = spec.Exceptions
	for i := range l.Tasks {
		if l.Tasks[i].Points == 0 {
			l.Tasks[i].Points = 1
		}
	}
	return root, problems
}

// fillDocument reads the lab's params, and puts their values where lab.yaml names them.
func (l *Lab) fillDocument(root Node, text string, given Values) Problems {
	params := root.Field("spec").Field("params")
	var doc struct {
		Params map[string]Param `yaml:"params"`
	}
	if params.IsMap() && params != root.Field("spec") {
		_ = decode(params, reflect.ValueOf(&doc.Params).Elem()) // its faults come with the document's
	}
	l.Params = doc.Params
	l.Values = smallest(l.Params)
	for name, value := range given {
		if p, ok := l.Params[name]; ok && p.refuses(value) == "" {
			l.Values[name] = value
		}
	}
	if !strings.Contains(text, mark) {
		return nil
	}
	return filler{l.Values}.fillYAML(root, newSource(root.File, text))
}

// readYAML reads one document.
func readYAML(file string, b []byte) (Node, Problems) {
	var top, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	err := dec.Decode(&top)
	if errors.Is(err, io.EOF) {
		return Node{}, Problems{{File: file, Line: 1, Column: 1, Text: "empty: expected apiVersion: " + APIVersion}}
	}
	if err != nil {
		return Node{}, Problems{syntaxProblem(file, string(b), err)}
	}
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
		return Node{file, top.Content[0]}, nil
	case err != nil:
		return Node{}, Problems{syntaxProblem(file, string(b), err)}
	}
	return Node{}, Problems{Node{file, &more}.Problem("expected one YAML document, found more")}
}

var (
	yamlLine    = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	parserError = regexp.MustCompile(`^did not find expected (',' or|key|'-' indicator|node content|<)`)
)

// syntaxProblem turns yaml's "yaml: line 3: ..." into a position. The library
// gives no column.
func syntaxProblem(file, text string, err error) Problem {
	p := Problem{File: file, Line: 1, Column: 1, Text: yamlLine.ReplaceAllString(err.Error(), "")}
	if m := yamlLine.FindStringSubmatch(err.Error()); len(m) == 2 && m[1] != "" {
		_, _ = fmt.Sscan(m[1], &p.Line)
	}
	// The library counts from 0 in what its parser, not its scanner, says.
	if parserError.MatchString(p.Text) {
		p.Line++
	}
	// In {…} and […] the brace of ${params.NAME} is YAML's own.
	if at, ok := bareParam(text, p.Line); ok {
		return newSource(file, text).problem(at, p.Text+`: within { } and [ ] write it in quotes, as in {port: "${params.port}"}`)
	}
	return p
}

// bareParam finds a parameter within { } or [ ] that is not in quotes, on a line or next to it.
func bareParam(text string, line int) (offset int, ok bool) {
	number := 0
	for one := range strings.Lines(text) {
		number++
		depth, quote := 0, byte(0)
		for i := 0; i < len(one) && number >= line-1 && number <= line+1; i++ {
			switch c := one[i]; {
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '"' || c == '\'':
				quote = c
			case strings.HasPrefix(one[i:], mark):
				if depth > 0 {
					return offset + i, true
				}
				i += len(mark)
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
			}
		}
		offset += len(one)
	}
	return 0, false
}
