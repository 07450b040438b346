package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A scene is one lab as rules look at it: loaded, and therefore sound in its form, and as it is written, with places.
type scene struct {
	lab    *lab.Lab
	shown  string // its folder, for people
	images []string

	root      node // lab.yaml as written, with ${params.…} in it
	story     string
	debrief   string
	setup     part
	solutions []part
	mistakes  []part
	paths     []string          // all files
	raw       map[string]string // their texts, where rules have read them
}

// A part is what setup, a solution or a mistake puts on the cluster.
type part struct {
	node    node // in lab.yaml
	objects []node
	script  string // "" where there is none
	path    string // of the script
	deletes []string
}

func newScene(l *lab.Lab, shown string, images []string) (*scene, error) {
	s := &scene{lab: l, shown: shown, images: images, raw: map[string]string{}}
	var err, failed error
	read := func(name string) string {
		text, err := s.lab.Raw(name)
		failed = errors.Join(failed, err)
		s.raw[name] = text
		return text
	}
	var top yaml.Node
	if err := yaml.Unmarshal([]byte(read("lab.yaml")), &top); err != nil || len(top.Content) == 0 {
		return nil, fmt.Errorf("reading lab.yaml: %w", errors.Join(err, failed))
	}
	s.root = node{"lab.yaml", top.Content[0]}
	s.story, s.debrief = read("README.md"), read("debrief.md")
	for _, t := range l.Tasks {
		read("hints/" + t.ID + ".md")
	}
	if s.paths, err = l.Paths(); err != nil {
		return nil, err
	}
	spec := s.root.at("spec")
	if s.setup, err = s.part(spec.at("setup")); err != nil {
		return nil, err
	}
	for _, n := range spec.at("solutions").items() {
		p, err := s.part(n)
		failed = errors.Join(failed, err)
		s.solutions = append(s.solutions, p)
	}
	for _, n := range spec.at("mistakes").items() {
		p, err := s.part(n)
		failed = errors.Join(failed, err)
		s.mistakes = append(s.mistakes, p)
	}
	return s, failed
}

// part reads what an entry of lab.yaml refers to. Values of params are the smallest: manifests are looked at, not run.
func (s *scene) part(n node) (part, error) {
	p := part{node: n, path: strings.TrimSuffix(n.at("run").text(), "/"), deletes: n.at("delete").texts()}
	files, err := s.lab.Files(n.at("apply").text())
	if err != nil {
		return part{}, err
	}
	for _, f := range files {
		objects, err := documents(f.Path, f.Content)
		if err != nil {
			return part{}, err
		}
		p.objects = append(p.objects, objects...)
		if s.raw[f.Path], err = s.lab.Raw(f.Path); err != nil {
			return part{}, err
		}
	}
	if p.path != "" {
		if p.script, err = s.lab.Raw(p.path); err != nil {
			return part{}, err
		}
		s.raw[p.path] = p.script
	}
	return p, nil
}

// documents are the objects of a manifest.
func documents(file, text string) ([]node, error) {
	var objects []node
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		switch err := dec.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		if n := (node{file, doc.Content[0]}); n.pairs() != nil {
			objects = append(objects, n)
		}
	}
}

// content is what a part does to the cluster, the same for parts that differ only in spelling: comments, the order of
// keys and objects, and names of files.
func (p part) content(namespace string) string {
	var does []string
	for _, o := range p.objects {
		var object map[string]any
		if o.yaml.Decode(&object) != nil {
			continue // keys that are no texts: no object of Kubernetes
		}
		if meta, ok := object["metadata"].(map[string]any); ok && meta["namespace"] == nil {
			meta["namespace"] = namespace
		}
		if b, err := json.Marshal(object); err == nil {
			does = append(does, string(b))
		}
	}
	slices.Sort(does)
	does = append(does, slices.Sorted(slices.Values(p.deletes))...)
	for line := range strings.Lines(p.script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			does = append(does, line)
		}
	}
	return strings.Join(does, "\n")
}

// title is how an entry of lab.yaml calls itself.
func (p part) title() string { return p.node.at("title").text() }

// parts are all that a lab puts on a cluster.
func (s *scene) parts() []part {
	return slices.Concat([]part{s.setup}, s.solutions, s.mistakes)
}

// line returns a line of a file that was read, from 1.
func (s *scene) line(file string, number int) string {
	lines := strings.Split(s.raw[file], "\n")
	if number < 1 || number > len(lines) {
		return ""
	}
	return lines[number-1]
}

// reasoned tells whether the author has written why next to a place: a comment in its line or in the one above.
func (s *scene) reasoned(n node) bool {
	_, here, found := strings.Cut(s.line(n.file, n.yaml.Line), " #")
	above, isComment := strings.CutPrefix(strings.TrimSpace(s.line(n.file, n.yaml.Line-1)), "#")
	return found && words(here) || isComment && words(above)
}

// words tells a reason from a mark: two words at least.
func words(comment string) bool { return len(strings.Fields(comment)) >= 2 }

// show is a file of the lab, for people.
func (s *scene) show(file string) string { return path.Join(s.shown, file) }
