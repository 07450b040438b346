package lint

import (
	"slices"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A rule looks for one fault.
type rule struct {
	name   string
	level  Level
	remedy string // what to do about it, where a finding has none of its own
	// find returns the findings with their place and text.
	find func(s *scene) []Finding
}

// rules are all that look at one lab alone, in the order of a lab's files.
func rules() []rule {
	return []rule{
		{"long-title", Error, "say it in one line of a terminal, up to 100 characters", longTitles},
		{"answers", Advice, "write what an interviewer would ask, under spec.answers", questions},
		{"minutes", Advice, "cut the lab in two, or say another level", minutes},
		{"tasks", Advice, "2 to 5 tasks are a lab: one is a step, and six are two labs", numberOfTasks},
		{"unused-param", Error, "use it as ${params.NAME}, or take it out", unusedParams},
		{"literal", Error, "say it in README.md or a title, make it be there in setup, or say in a comment beside it why nobody needs to know it", unknownLiterals},
		{"cel-literal", Advice, "say it in README.md or a title, or make it be there in setup", unknownCELLiterals},
		{"cel-index", Error, "lists have no order that a learner must keep: write x.exists(...) or container(object, 'name')", celIndexes},
		{"cel-vacuous", Error, "an empty list makes all(...) true: write size(x) > 0 && x.all(...)", vacuousAlls},
		{"structure", Advice, "ask for what it is good for: http, reach, resolve, can, admit or exec see any right answer", structureOnly},
		{"few-mistakes", Error, "think of what learners really do wrong: at least 4", fewMistakes},
		{"tell", Error, "write tell: what a teacher would say to who made this mistake", silentMistakes},
		{"unfailed", Error, "add a mistake that fails it: nothing proves yet that its checks can say no", unfailedTasks},
		{"same-solution", Error, "give an answer that differs in kind, not in spelling", sameSolutions},
		{"right-mistake", Error, "a right answer cannot fail: change the mistake or the solution", rightMistakes},
		{"same-mistake", Error, "take one out, or make it another mistake", sameMistakes},
		{"alike", Error, "write when: a check that passes for one of the two only, or other words in says", alikeMistakes},
		{"image-tag", Error, "name a version, so that the lab is the same tomorrow", imageTags},
		{"image", Error, "take one that every node has, or say in a comment why not", unknownImages},
		{"download", Error, "use what is in the images: a lab starts without a network", downloads},
		{"privileged", Error, "nobody should have to trust a lab: do it without", privileged},
		{"host", Error, "do it without, or say in a comment beside it why the lab needs it", hostAccess},
		{"old-api", Error, "write it for the Kubernetes that runs here", oldAPIs},
		{"grace", Advice, "set terminationGracePeriodSeconds: 1, or a reset takes half a minute", slowPods},
		{"story-task", Error, "list the task in README.md under the name that learners type", untoldTasks},
		{"old-words", Advice, "teach what the Kubernetes that runs here has", oldWords},
		{"debrief", Error, "add the section to debrief.md", debriefSections},
		{"unused-file", Advice, "name it in lab.yaml, or take it out", unusedFiles},
	}
}

// about completes findings with what the rule and the scene know.
func (r rule) about(s *scene, found []Finding) []Finding {
	for i := range found {
		f := &found[i]
		f.Lab, f.File, f.Rule, f.Level = s.lab.Name, s.show(f.File), r.name, r.level
		if f.Remedy == "" {
			f.Remedy = r.remedy
		}
	}
	return found
}

// among are the findings about labs together. Two labs with one namespace cannot be on one cluster.
func among(scenes []*scene, neighbours []*lab.Lab) []Finding {
	name := rule{name: "same-name", level: Error, remedy: "call one of them otherwise: learners choose by the name"}
	short := rule{name: "short-name", level: Advice, remedy: "call one of them otherwise: learners would type the short name"}
	space := rule{name: "namespace", level: Error, remedy: "call the namespace otherwise, or the two cannot be on one cluster"}
	var findings []Finding
	for i, s := range scenes {
		others := neighbours
		for j, other := range scenes {
			if i != j {
				others = append(slices.Clip(others), other.lab)
			}
		}
		meta, spec := s.root.at("metadata"), s.root.at("spec")
		for _, other := range others {
			switch {
			case other.Name == s.lab.Name:
				findings = append(findings, name.about(s, []Finding{meta.at("name").says("another lab is called " + other.Name + " too")})...)
				continue // the same lab twice, most likely, and its namespaces are no news
			case other.ID == s.lab.ID:
				findings = append(findings, short.about(s, []Finding{meta.at("name").says("lab " + other.Name + " has the same short name")})...)
			}
			for _, n := range spec.at("namespaces").items() {
				for _, theirs := range other.Namespaces {
					if n.text() == theirs {
						text := "namespace " + theirs + " is lab " + other.Name + "'s too"
						findings = append(findings, space.about(s, []Finding{n.says(text)})...)
					}
				}
			}
		}
	}
	return findings
}
