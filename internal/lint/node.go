package lint

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// A node is a piece of YAML and where it stands. Its zero value is what is not there.
type node struct {
	file string // relative to the lab's folder
	yaml *yaml.Node
}

// at follows keys, and is the zero node where there is none.
func (n node) at(keys ...string) node {
	for _, key := range keys {
		i := slices.IndexFunc(n.pairs(), func(p pair) bool { return p.key.text() == key })
		if i < 0 {
			return node{}
		}
		n = n.pairs()[i].value
	}
	return n
}

type pair struct{ key, value node }

// pairs are what a map holds, in its order.
func (n node) pairs() []pair {
	if n.yaml == nil || n.yaml.Kind != yaml.MappingNode {
		return nil
	}
	var pairs []pair
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		pairs = append(pairs, pair{node{n.file, n.yaml.Content[i]}, node{n.file, n.yaml.Content[i+1]}})
	}
	return pairs
}

// items are what a list holds.
func (n node) items() []node {
	if n.yaml == nil || n.yaml.Kind != yaml.SequenceNode {
		return nil
	}
	var items []node
	for _, one := range n.yaml.Content {
		items = append(items, node{n.file, one})
	}
	return items
}

// scalar tells whether the node is a text or a number, not a list or a map.
func (n node) scalar() bool { return n.yaml != nil && n.yaml.Kind == yaml.ScalarNode }

// text is a scalar's, and "" for anything else.
func (n node) text() string {
	if !n.scalar() {
		return ""
	}
	return n.yaml.Value
}

// texts are those of a list.
func (n node) texts() []string {
	var texts []string
	for _, one := range n.items() {
		texts = append(texts, one.text())
	}
	return texts
}

// walk visits the node and all in it, with the key of the map that each is the value of.
func (n node) walk(visit func(key string, n node)) {
	var walk func(key string, n node)
	walk = func(key string, n node) {
		visit(key, n)
		for _, p := range n.pairs() {
			walk(p.key.text(), p.value)
		}
		for _, one := range n.items() {
			walk("", one)
		}
	}
	walk("", n)
}

// line is where a line of the node's text is in the file; of a text in quotes only the beginning is known.
func (n node) line(number int) (line, column int) {
	if n.yaml.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.yaml.Line + 1 + number, 1
	}
	return n.yaml.Line, n.yaml.Column
}

// says makes a finding about the node.
func (n node) says(text string) Finding {
	f := Finding{File: n.file, Text: text}
	if n.yaml != nil {
		f.Line, f.Column = n.yaml.Line, n.yaml.Column
	}
	return f
}
