package verify

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// states give each state of a lab a key: a word for all that its proof depends on, but for the grader and the cluster.
// When an author changes something, the states with the same keys as before need no other proof.
type states struct {
	lab      *lab.Lab
	base     []any            // what the learner finds, and the checks: all keys depend on it
	mistakes []map[string]any // as lab.yaml has them
}

// statesOf returns states without a base, of which nothing can be known, where the lab cannot be read.
func statesOf(l *lab.Lab) *states {
	s := &states{lab: l}
	spec, err := s.spec()
	if err != nil {
		return s
	}
	listed, _ := spec["mistakes"].([]any)
	for _, m := range listed {
		fields, _ := m.(map[string]any)
		s.mistakes = append(s.mistakes, fields)
	}
	// Words for learners, and what has a key of its own.
	for _, field := range []string{"title", "answers", "level", "minutes", "solutions", "mistakes", "exceptions"} {
		delete(spec, field)
	}
	if files, err := s.shared(); err == nil {
		s.base = []any{l.Name, spec, l.Values, files}
	}
	return s
}

// spec is that of lab.yaml.
func (s *states) spec() (map[string]any, error) {
	text, err := s.lab.Raw("lab.yaml")
	if err != nil {
		return nil, err
	}
	var document struct{ Spec map[string]any }
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, fmt.Errorf("reading lab.yaml of lab %s: %w", s.lab.Name, err)
	}
	return document.Spec, nil
}

// shared are the files that not only one state has to do with.
func (s *states) shared() (map[string]string, error) {
	paths, err := s.lab.Paths()
	if err != nil {
		return nil, err
	}
	content := map[string]string{}
	for _, name := range paths {
		text := slices.Contains([]string{"lab.yaml", "README.md", "debrief.md"}, name) || strings.HasPrefix(name, "hints/")
		if text || s.partial(name) {
			continue
		}
		if content[name], err = s.lab.Raw(name); err != nil {
			return nil, err
		}
	}
	return content, nil
}

// partial tells whether a file is one of a solution or mistake, and not of the setup.
func (s *states) partial(name string) bool {
	within := func(paths ...string) bool {
		return slices.ContainsFunc(paths, func(p string) bool {
			return p != "" && (name == path.Clean(p) || strings.HasPrefix(name, path.Clean(p)+"/"))
		})
	}
	if within(s.lab.Setup.Apply, s.lab.Setup.Run) {
		return false
	}
	return slices.ContainsFunc(s.lab.Solutions, func(one lab.Solution) bool { return within(one.Apply, one.Run) }) ||
		slices.ContainsFunc(s.lab.Mistakes, func(one lab.Mistake) bool { return within(one.Apply, one.Run) })
}

// key is "" where something cannot be read: then nothing is known of the state.
func (s *states) key(kind string, steps []stage.Step, of ...any) string {
	var done []any
	for _, step := range steps {
		content, err := s.content(step)
		if err != nil {
			return ""
		}
		done = append(done, content)
	}
	text, err := json.Marshal([]any{kind, s.base, done, of})
	if err != nil || s.base == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

func (s *states) untouched() string { return s.key("untouched", nil) }

func (s *states) solution(i int) string {
	one := s.lab.Solutions[i]
	return s.key("solution", []stage.Step{{Delete: one.Delete, Apply: one.Apply, Run: one.Run}})
}

// mistake depends on the others that fail the same too: it has to be told from them.
func (s *states) mistake(i int) string {
	if len(s.mistakes) != len(s.lab.Mistakes) {
		return ""
	}
	one := s.lab.Mistakes[i]
	var alike []any
	for n, other := range s.mistakes {
		if n != i && slices.Equal(slices.Sorted(slices.Values(s.lab.Mistakes[n].Fails)), slices.Sorted(slices.Values(one.Fails))) {
			alike = append(alike, other["title"], other["says"], other["tell"], other["when"])
		}
	}
	return s.key("mistake", []stage.Step{{Delete: one.Delete, Apply: one.Apply, Run: one.Run}}, s.mistakes[i], alike)
}

// mutant depends on the mutant alone, which the solution is part of, and on whether it is excused.
func (s *states) mutant(m Mutant, excuse string) string {
	return s.key("mutant", slices.Concat(m.Steps, m.OnTop), m.Name, m.Change, m.Everyone, excuse)
}

// content is what a step does.
func (s *states) content(step stage.Step) (any, error) {
	files, err := s.lab.Files(step.Apply)
	if err != nil {
		return nil, err
	}
	if step.Run != "" {
		script, err := s.lab.File(step.Run)
		if err != nil {
			return nil, err
		}
		files = append(files, script)
	}
	return []any{step.Delete, files, step.Manifests}, nil
}
