package lint

import (
	"fmt"
	"slices"
	"strings"
)

// leastMistakes is how many plausible wrong answers a lab of the catalogue has been proved against.
const leastMistakes = 4

func fewMistakes(s *scene) []Finding {
	if n := len(s.mistakes); n < leastMistakes {
		return []Finding{s.root.at("spec", "mistakes").says(fmt.Sprintf("%d mistakes", n))}
	}
	return nil
}

func silentMistakes(s *scene) []Finding {
	var found []Finding
	for _, m := range s.mistakes {
		if strings.TrimSpace(m.node.at("tell").text()) == "" {
			found = append(found, m.node.says(fmt.Sprintf("mistake %q has nothing to tell", m.title())))
		}
	}
	return found
}

func unfailedTasks(s *scene) []Finding {
	failed := map[string]bool{}
	for _, m := range s.mistakes {
		for _, task := range m.node.at("fails").texts() {
			failed[task] = true
		}
	}
	var found []Finding
	for _, n := range s.root.at("spec", "tasks").items() {
		if name := n.at("name"); !failed[name.text()] {
			found = append(found, name.says(fmt.Sprintf("no mistake fails the task %s", name.text())))
		}
	}
	return found
}

// same finds the parts that do what an earlier one of others does.
func (s *scene) same(parts, others []part, text string) []Finding {
	var found []Finding
	for _, p := range parts {
		content := p.content(s.lab.Namespaces[0])
		i := slices.IndexFunc(others, func(o part) bool { return o.content(s.lab.Namespaces[0]) == content })
		if i >= 0 && others[i].node != p.node {
			found = append(found, p.node.says(fmt.Sprintf(text, p.title(), others[i].title())))
		}
	}
	return found
}

func sameSolutions(s *scene) []Finding {
	return s.same(s.solutions, s.solutions, "solution %q makes the same objects as %q")
}

func rightMistakes(s *scene) []Finding {
	return s.same(s.mistakes, s.solutions, "mistake %q makes the same objects as the solution %q")
}

// alikeMistakes finds those that fail the same in words that fit both: the learner would be told nothing of either. One
// that has marks of its own is told from one that has none.
func alikeMistakes(s *scene) []Finding {
	var found []Finding
	for i, m := range s.mistakes {
		for _, earlier := range s.mistakes[:i] {
			marked := m.node.at("when").items() != nil || earlier.node.at("when").items() != nil
			if !marked && failsAsMuch(m, earlier) && overlap(m.node.at("says").text(), earlier.node.at("says").text()) {
				found = append(found, m.node.says(fmt.Sprintf("mistake %q cannot be told from %q: it fails the same, in the same words", m.title(), earlier.title())))
				break
			}
		}
	}
	return found
}

func failsAsMuch(a, b part) bool {
	return slices.Equal(slices.Sorted(slices.Values(a.node.at("fails").texts())), slices.Sorted(slices.Values(b.node.at("fails").texts())))
}

func overlap(a, b string) bool { return strings.Contains(a, b) || strings.Contains(b, a) }

func sameMistakes(s *scene) []Finding {
	return s.same(s.mistakes, s.mistakes, "mistake %q makes the same objects as %q")
}
