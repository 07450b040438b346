package lint

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxTitle bounds titles, in characters.
const maxTitle = 100

func longTitles(s *scene) []Finding {
	spec := s.root.at("spec")
	titles := []node{spec.at("title")}
	for _, list := range []string{"tasks", "solutions", "mistakes"} {
		for _, n := range spec.at(list).items() {
			titles = append(titles, n.at("title"))
		}
	}
	var found []Finding
	for _, n := range titles {
		if long := utf8.RuneCountInString(n.text()); long > maxTitle {
			found = append(found, n.says(fmt.Sprintf("a title of %d characters", long)))
		}
	}
	return found
}

func questions(s *scene) []Finding {
	answers := s.root.at("spec", "answers")
	if len(answers.items()) == 0 {
		return []Finding{s.root.at("spec", "title").says("the lab does not say which questions it answers")}
	}
	var found []Finding
	for _, n := range answers.items() {
		if !strings.HasSuffix(n.text(), "?") {
			found = append(found, n.says(fmt.Sprintf("%q is no question", n.text())))
		}
	}
	return found
}

// minutes compares how long a lab takes with its level.
func minutes(s *scene) []Finding {
	longest := map[string]int{"beginner": 20, "intermediate": 30, "advanced": 40}[s.lab.Level]
	n := s.root.at("spec", "minutes")
	switch {
	case s.lab.Minutes < 5:
		return []Finding{n.says(fmt.Sprintf("%d minutes are too few to learn something by doing it", s.lab.Minutes))}
	case s.lab.Minutes > longest:
		return []Finding{n.says(fmt.Sprintf("%d minutes are long for the level %s", s.lab.Minutes, s.lab.Level))}
	}
	return nil
}

func numberOfTasks(s *scene) []Finding {
	if n := len(s.lab.Tasks); n < 2 || n > 5 {
		return []Finding{s.root.at("spec", "tasks").says(fmt.Sprintf("the lab has %d task(s)", n))}
	}
	return nil
}

// unusedParams looks into every file that values are put into.
func unusedParams(s *scene) []Finding {
	var found []Finding
	for _, p := range s.root.at("spec", "params").pairs() {
		used := false
		for _, text := range s.raw {
			used = used || strings.Contains(text, "${params."+p.key.text()+"}")
		}
		if !used {
			found = append(found, p.key.says("nothing uses the parameter "+p.key.text()))
		}
	}
	return found
}

// untoldTasks looks for the names that learners type.
func untoldTasks(s *scene) []Finding {
	var found []Finding
	for _, n := range s.root.at("spec", "tasks").items() {
		if name := n.at("name").text(); !mentions(s.story, name) {
			f := n.at("name").says("README.md does not name the task " + name)
			found = append(found, f)
		}
	}
	return found
}

// mentions finds a word that is not a part of another one.
func mentions(text, word string) bool {
	inWord := func(b byte) bool {
		return b == '-' || b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 || word == "" {
			return false
		}
		start, end := from+i, from+i+len(word)
		if (start == 0 || !inWord(text[start-1]) || !inWord(word[0])) && (end == len(text) || !inWord(text[end])) {
			return true
		}
		from = start + 1
	}
}

// oldWord finds what Kubernetes has no more, or replaced.
var oldWord = regexp.MustCompile(`PodSecurityPolic|\bPSPs?\b|kubectl [^` + "`" + `\n]*\b(get|describe|edit) (endpoints|ep)\b|\bdockershim\b`)

func oldWords(s *scene) []Finding {
	var found []Finding
	for _, name := range s.paths {
		if path.Ext(name) != ".md" {
			continue
		}
		for i, line := range strings.Split(s.raw[name], "\n") {
			if at := oldWord.FindStringIndex(line); at != nil {
				column := utf8.RuneCountInString(line[:at[0]]) + 1
				found = append(found, Finding{File: name, Line: i + 1, Column: column, Text: fmt.Sprintf("%q is of old", line[at[0]:at[1]])})
			}
		}
	}
	return found
}

// debriefSections are what a learner takes home, by words that their headings have.
func debriefSections(s *scene) []Finding {
	var found []Finding
	for _, section := range []string{"mental model", "under the hood", "production", "interview question"} {
		if !strings.Contains(strings.ToLower(s.debrief), section) {
			found = append(found, Finding{File: "debrief.md", Text: fmt.Sprintf("no section about: %s", section)})
		}
	}
	return found
}

// unusedFiles are those in the folders of answers that nothing names. Notes of the author elsewhere do no harm.
func unusedFiles(s *scene) []Finding {
	named := map[string]bool{}
	s.root.walk(func(_ string, n node) { named[strings.TrimSuffix(n.text(), "/")] = true })
	var found []Finding
	for _, name := range s.paths {
		folder, _, _ := strings.Cut(name, "/")
		task, isHint := strings.CutSuffix(strings.TrimPrefix(name, "hints/"), ".md")
		_, known := s.lab.Task(task)
		switch {
		case !slices.Contains([]string{"setup", "solutions", "mistakes", "hints", "fixtures"}, folder):
		case folder == "hints" && isHint && known, named[name], named[path.Dir(name)] && path.Ext(name) != ".sh":
		default:
			found = append(found, Finding{File: name, Text: "nothing in lab.yaml uses this file"})
		}
	}
	return found
}
