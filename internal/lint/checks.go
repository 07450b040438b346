package lint

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// A checkNode is a check as lab.yaml has it.
type checkNode struct {
	kind   string
	params node
}

// checks are all of the lab's, those within others too.
func (s *scene) checks() []checkNode {
	spec := s.root.at("spec")
	all := nested(spec.at("safeguards"))
	for _, t := range spec.at("tasks").items() {
		all = append(all, nested(t.at("checks"))...)
	}
	return all
}

// nested flattens a list of checks.
func nested(list node) []checkNode {
	var all []checkNode
	for _, n := range list.items() {
		for _, p := range n.pairs() {
			all = append(all, checkNode{p.key.text(), p.value})
			switch p.key.text() {
			case "all", "any", "none":
				all = append(all, nested(p.value)...) // a list alone
				all = append(all, nested(p.value.at("checks"))...)
			case "survives":
				all = append(all, nested(p.value.at("then"))...)
			}
		}
	}
	return all
}

// compound tells kinds that look at nothing themselves.
func compound(kind string) bool { return slices.Contains([]string{"all", "any", "none"}, kind) }

// structureOnly finds tasks that look at objects alone.
func structureOnly(s *scene) []Finding {
	var found []Finding
	for _, t := range s.root.at("spec", "tasks").items() {
		behaves := func(c checkNode) bool { return c.kind != "object" && !compound(c.kind) }
		if list := nested(t.at("checks")); len(list) > 0 && !slices.ContainsFunc(list, behaves) {
			found = append(found, t.at("name").says("task "+t.at("name").text()+" looks at how objects are written, not at what they do"))
		}
	}
	return found
}

// told is all that a learner can know before the first hint: the texts, and what stands on the cluster.
func (s *scene) told() string {
	spec := s.root.at("spec")
	told := []string{s.story, spec.at("title").text(), s.setup.script}
	for _, t := range spec.at("tasks").items() {
		told = append(told, t.at("title").text())
	}
	told = append(told, spec.at("namespaces").texts()...)
	told = append(told, spec.at("touches").texts()...)
	for _, o := range s.setup.objects {
		o.walk(func(key string, n node) { told = append(told, key, n.text()) })
	}
	return strings.Join(told, "\n")
}

// given is what every cluster has, and what every program of the labs' images answers.
func given(word string) bool {
	return slices.Contains([]string{
		"default", "kube-system", "kube-public", "kube-dns", "coredns", "kubernetes", "svc", "cluster", "local", "localhost",
		"127.0.0.1", "node", "any", "all", "control-plane", "worker", "80", "443", "53", "standard", "admin", "view", "edit",
		"system:authenticated", "system:masters", "/", "/hostname", "/healthz", "/readyz", "/echo", "/clientip", "/shell", "/header",
		"/exit", "/etc/resolv.conf", "/etc/hosts",
	}, word)
}

// unknownLiterals finds what a check asks for by a name, a number or a path that a learner could not know.
func unknownLiterals(s *scene) []Finding {
	told := s.told()
	var found []Finding
	for _, c := range s.checks() {
		if compound(c.kind) || c.kind == "go" || c.kind == "answer" {
			continue // the learner is to find out the answer; what is in Go knows its own
		}
		for _, l := range literals(c) {
			known := given(l.text) || mentions(told, l.text) || mentions(told, ordinal.ReplaceAllString(l.text, ""))
			if !known && !strings.Contains(l.text, "${params.") && !s.reasoned(l.at) {
				found = append(found, l.at.says(fmt.Sprintf("%s %q is in a check, and a learner cannot know it", l.what, l.text)))
			}
		}
	}
	return found
}

// ordinal ends the name of a StatefulSet's pod.
var ordinal = regexp.MustCompile(`-\d+$`)

// A literal is a word that a check looks for.
type literal struct {
	at   node
	what string
	text string
}

// literals are those that name something of the learner's. What is sent, and what only names a row of a table, does not.
func literals(c checkNode) []literal {
	var all []literal
	for _, p := range c.params.pairs() {
		all = append(all, literalsAt(p.key.text(), p.value)...)
	}
	if c.kind == "unchanged" {
		all = append(all, refs(c.params)...)
	}
	return all
}

func literalsAt(key string, n node) []literal {
	one := func(what string, words ...string) []literal {
		var all []literal
		for _, word := range words {
			if word != "" && word != "*" {
				all = append(all, literal{n, what, word})
			}
		}
		return all
	}
	switch key {
	case "then", "checks", "object", "run", "expect", "body", "stdout", "verb", "resource", "subresource", "group":
		return nil // checks of their own, what is sent, tables, and Kubernetes' own words
	case "name", "container", "user", "groups":
		return one("name", strings.Split(n.text(), ".")...)
	case "namespace":
		return one("namespace", n.text())
	case "service", "serviceAccount":
		return one("name", strings.Split(n.text(), "/")...)
	case "port":
		return one("port", n.text())
	case "folder", "file":
		return one("path", n.text())
	case "lookup", "cname":
		return one("name", strings.Split(n.text(), ".")...)
	case "pods", "selector":
		return one("label value", labelValues(n.text())...)
	case "of", "delete", "restart":
		if n.scalar() || n.items() != nil {
			return refs(n)
		}
	case "url":
		return inURL(n)
	}
	var all []literal
	for _, p := range n.pairs() {
		all = append(all, literalsAt(p.key.text(), p.value)...)
	}
	return all
}

// refs are the names of objects: one, or a list.
func refs(n node) []literal {
	list := n.items()
	if n.scalar() {
		list = []node{n}
	}
	var all []literal
	for _, one := range list {
		parts := strings.Split(one.text(), "/")
		if name := parts[len(parts)-1]; name != "*" && name != "" {
			all = append(all, literal{one, "name", name})
		}
	}
	return all
}

// labelValues are those that a selector wants.
func labelValues(selector string) []string {
	parsed, err := labels.Parse(selector)
	if err != nil {
		return nil // with a place for a parameter in it
	}
	requirements, _ := parsed.Requirements()
	var values []string
	for _, r := range requirements {
		values = append(values, r.ValuesUnsorted()...)
	}
	slices.Sort(values)
	return values
}

// inURL are the parts of a URL's host, its port and its path.
func inURL(n node) []literal {
	u, err := url.Parse(strings.ReplaceAll(n.text(), "{node}", "node"))
	if err != nil {
		return nil // with a place for a parameter in it
	}
	words := strings.Split(u.Hostname(), ".")
	if net.ParseIP(u.Hostname()) != nil {
		words = []string{u.Hostname()}
	}
	var all []literal
	for _, word := range words {
		all = append(all, literal{n, "name", word})
	}
	if u.Port() != "" {
		all = append(all, literal{n, "port", u.Port()})
	}
	if u.Path != "" {
		all = append(all, literal{n, "path", u.Path})
	}
	return all
}
