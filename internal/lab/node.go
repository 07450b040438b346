package lab

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// A Node is a piece of YAML that knows where it stands.
type Node struct {
	File string
	yaml *yaml.Node
}

// Tags of our own, which no YAML resolves to.
const (
	filledTag   = "filled"   // a parameter's value stands in it: a string, or a number where one is wanted
	reportedTag = "reported" // its fault is known, and need not be told twice
)

// Problem reports a fault of this node.
func (n Node) Problem(format string, args ...any) Problem {
	p := Problem{File: n.File, Text: fmt.Sprintf(format, args...)}
	if n.yaml != nil {
		p.Line, p.Column = n.yaml.Line, n.yaml.Column
	}
	return p
}

// LineProblem reports a fault in one line of the node's text, counted from 0. In a block ("|") each line of the text is
// a line of the file; of a text in quotes only its beginning is known.
func (n Node) LineProblem(line int, format string, args ...any) Problem {
	p := n.Problem(format, args...)
	if n.IsBlock() {
		// The text begins on the line below the "|".
		p.Line, p.Column = p.Line+1+line, 1
	}
	return p
}

// Text returns the scalar's text; ok is false for a list, a map or null.
func (n Node) Text() (text string, ok bool) {
	if n.yaml == nil || n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag == "!!null" || n.yaml.Tag == reportedTag {
		return "", false
	}
	return n.yaml.Value, true
}

// IsMap tells whether the node is a map.
func (n Node) IsMap() bool { return n.yaml != nil && n.yaml.Kind == yaml.MappingNode }

// IsBlock tells whether the node is a block of text ("|"), whose lines are lines of the file.
func (n Node) IsBlock() bool {
	return n.yaml != nil && n.yaml.Kind == yaml.ScalarNode && n.yaml.Style&yaml.LiteralStyle != 0
}

// Words calls each for every scalar within the node, keys included, in their order.
func (n Node) Words(each func(text string)) {
	if n.yaml == nil {
		return
	}
	if n.yaml.Kind == yaml.ScalarNode {
		each(n.yaml.Value)
	}
	for _, child := range n.yaml.Content {
		Node{n.File, child}.Words(each)
	}
}

// Field returns the value of a key of a map; the node itself when there is no
// such key, so that a problem still points to the right place.
func (n Node) Field(key string) Node {
	if value, ok := n.lookup(key); ok {
		return value
	}
	return n
}

func (n Node) lookup(key string) (Node, bool) {
	for _, e := range n.entries() {
		if e.key.yaml.Value == key {
			return e.value, true
		}
	}
	return Node{}, false
}

// entry is a key of a map and its value.
type entry struct{ key, value Node }

// entries returns what a map holds, and nothing for anything else.
func (n Node) entries() []entry {
	if !n.IsMap() {
		return nil
	}
	list := make([]entry, 0, len(n.yaml.Content)/2)
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		list = append(list, entry{Node{n.File, n.yaml.Content[i]}, Node{n.File, n.yaml.Content[i+1]}})
	}
	return list
}

// list returns the elements of the list under a key, and none when there is
// something else.
func (n Node) list(key string) []Node {
	value, _ := n.lookup(key)
	return value.items()
}

// items returns the elements of a list, and none of anything else.
func (n Node) items() []Node {
	if n.yaml == nil || n.yaml.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]Node, len(n.yaml.Content))
	for i, c := range n.yaml.Content {
		items[i] = Node{n.File, c}
	}
	return items
}

func (n Node) expected(what string) Problems {
	if n.yaml.Tag == reportedTag {
		return nil
	}
	found := "a list"
	switch {
	case n.yaml.Kind == yaml.MappingNode:
		found = "a map"
	case n.yaml.Tag == "!!null":
		found = "nothing"
	case n.yaml.Kind == yaml.ScalarNode:
		found = fmt.Sprintf("%q", n.yaml.Value)
	}
	return Problems{n.Problem("expected %s, found %s", what, found)}
}

// maxEntries bounds a list or a map, so that comparing all with all stays quick.
const maxEntries = 1000

// refuseShorthand reports what YAML can do and labs do not use, and takes it out of the tree: anchors and aliases, which
// can make a small file endless, keys that are no words, and lists that are far longer than any real one.
func (n Node) refuseShorthand() Problems {
	var problems Problems
	if n.yaml.Kind == yaml.AliasNode || n.yaml.Anchor != "" {
		problems = append(problems, n.Problem("expected a plain value: anchors and aliases are not used in labs"))
	}
	if n.yaml.Kind == yaml.AliasNode {
		*n.yaml = yaml.Node{Kind: yaml.ScalarNode, Tag: reportedTag, Line: n.yaml.Line, Column: n.yaml.Column}
	}
	most := maxEntries
	if n.IsMap() {
		most *= 2 // a key and its value are two
	}
	if len(n.yaml.Content) > most {
		problems = append(problems, n.Problem("expected at most %d entries", maxEntries))
		n.yaml.Content = n.yaml.Content[:most]
	}
	for _, e := range n.entries() {
		if e.key.yaml.Kind != yaml.ScalarNode && e.key.yaml.Kind != yaml.AliasNode {
			problems = append(problems, e.key.Problem("expected a word as the key"))
		}
	}
	for _, child := range n.yaml.Content {
		problems = append(problems, Node{n.File, child}.refuseShorthand()...)
	}
	return problems
}
