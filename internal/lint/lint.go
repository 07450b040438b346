// Package lint says what is wrong with a lab, and what could be better, without a cluster: a table of small rules about
// what is written in its folder. What holds on a cluster is for package verify.
package lint

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// Level says what a finding means for the lab.
type Level string

// The levels.
const (
	Error  Level = "error"  // the lab is not to be published so
	Advice Level = "advice" // it could be better, and the author knows best
)

// A Finding is one remark on a lab.
type Finding struct {
	Lab    string `json:"lab"` // topic/name, or the folder of a lab that does not say its name
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // from 1; 0 for the file as a whole
	Column int    `json:"column,omitempty"`
	Level  Level  `json:"level"`
	Rule   string `json:"rule"`
	Text   string `json:"text"`             // what is
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// A Source is where a lab is.
type Source struct {
	Files fs.FS  // a catalogue, and
	Dir   string // the lab's folder in it
	// Folder is the lab's folder on this machine, in place of Files and Dir.
	Folder string
	// Shown is the lab's folder as findings name it.
	Shown string
}

// A Linter knows what labs may use.
type Linter struct {
	Kinds  lab.Validator // of checks
	Images []string      // that are on every node, by name and tag
}

// Lint returns all findings about labs, by file and line. The labs of neighbours are there to be compared with, and no
// finding is about them; a neighbour with the name of one of the labs is an older state of it.
func (l Linter) Lint(labs, neighbours []Source) []Finding {
	var findings []Finding
	scenes := make([]*scene, 0, len(labs))
	for _, source := range labs {
		s, problems := l.scene(source)
		findings = append(findings, problems...)
		if s == nil {
			continue
		}
		scenes = append(scenes, s)
		for _, r := range rules() {
			findings = append(findings, r.about(s, r.find(s))...)
		}
	}
	findings = append(findings, among(scenes, l.neighbours(scenes, neighbours))...)
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Rule, b.Rule))
	})
	return slices.Compact(findings)
}

// neighbours are the labs to compare with that can be read at all.
func (l Linter) neighbours(scenes []*scene, sources []Source) []*lab.Lab {
	var others []*lab.Lab
	for _, source := range sources {
		other, err := source.load(l.Kinds)
		known := func(s *scene) bool { return s.lab.Name == other.Name }
		if err == nil && !slices.ContainsFunc(scenes, known) {
			others = append(others, other)
		}
	}
	return others
}

// scene reads a lab strictly. A lab that is not one has only the loader's findings.
func (l Linter) scene(source Source) (*scene, []Finding) {
	one, err := source.load(l.Kinds)
	if err == nil {
		s, err := newScene(one, source.Shown, l.Images)
		if err == nil {
			return s, nil
		}
		return nil, []Finding{{Lab: one.Name, File: source.Shown, Level: Error, Rule: loaderRule, Text: err.Error()}}
	}
	name := strings.TrimPrefix(source.Dir, "./")
	if source.Folder != "" {
		name = source.Folder
	}
	problems, ok := errors.AsType[lab.Problems](err)
	if !ok {
		problems = lab.Problems{{File: source.Shown, Text: err.Error()}}
	}
	var findings []Finding
	for _, p := range problems {
		findings = append(findings, Finding{
			Lab: name, File: source.show(p.File), Line: p.Line, Column: p.Column, Level: Error, Rule: loaderRule,
			Text: p.Text, Remedy: "see kindlab explain-format",
		})
	}
	return nil, findings
}

// loaderRule is the name of all that the strict loader reports.
const loaderRule = "load"

func (s Source) load(kinds lab.Validator) (*lab.Lab, error) {
	if s.Folder != "" {
		return lab.LoadDir(s.Folder, kinds)
	}
	return lab.Load(s.Files, s.Dir, kinds)
}

// show is a file as the loader names it, for people.
func (s Source) show(file string) string {
	if s.Folder != "" {
		return file // by the path that was given
	}
	return path.Join(s.Shown, strings.TrimPrefix(file, path.Clean(s.Dir)))
}
