package verify

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// object is one document of a manifest, which knows its lines.
type object struct {
	file string
	root *yaml.Node // a map
}

// parse reads manifests, which the lab's loader has found to be in order.
func parse(files []lab.File) ([]object, error) {
	var objects []object
	for _, f := range files {
		dec := yaml.NewDecoder(strings.NewReader(f.Content))
		for {
			var doc yaml.Node
			err := dec.Decode(&doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", f.Path, err)
			}
			if root := doc.Content[0]; root.Kind == yaml.MappingNode {
				objects = append(objects, object{f.Path, uncommented(root)})
			}
		}
	}
	return objects, nil
}

// render writes objects as one manifest.
func render(objects []object) (lab.File, error) {
	var text strings.Builder
	if len(objects) == 0 { // the encoder wants at least one
		return lab.File{Path: "made up"}, nil
	}
	enc := yaml.NewEncoder(&text)
	for _, o := range objects {
		if err := enc.Encode(o.root); err != nil {
			return lab.File{}, fmt.Errorf("writing %s: %w", o, err)
		}
	}
	if err := enc.Close(); err != nil {
		return lab.File{}, err
	}
	return lab.File{Path: "made up", Content: text.String()}, nil
}

func (o object) text(path ...string) string {
	if n := find(o.root, path...); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

func (o object) kind() string { return o.text("kind") }
func (o object) name() string { return o.text("metadata", "name") }

// namespace is the object's own, or the lab's first.
func (o object) namespace(l *lab.Lab) string {
	if ns := o.text("metadata", "namespace"); ns != "" {
		return ns
	}
	return l.Namespaces[0]
}

// ref is how labs write the object.
func (o object) ref(l *lab.Lab) lab.Ref {
	r := lab.Ref{Kind: strings.ToLower(o.kind()), Name: o.name()}
	if ns := o.namespace(l); ns != l.Namespaces[0] {
		r.Namespace = ns
	}
	return r
}

func (o object) String() string { return strings.ToLower(o.kind()) + "/" + o.name() }

// same tells whether two manifests mean one object.
func (o object) same(other object, l *lab.Lab) bool { return o.ref(l) == other.ref(l) }

func (o object) clone() object { return object{o.file, clone(o.root)} }

// with is the object with a change made to a copy of it.
func (o object) with(change func(root *yaml.Node)) object {
	copied := o.clone()
	change(copied.root)
	return copied
}

// uncommented takes remarks off, so that they make no difference between two manifests.
func uncommented(n *yaml.Node) *yaml.Node {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, child := range n.Content {
		uncommented(child)
	}
	return n
}

func clone(n *yaml.Node) *yaml.Node {
	copied := *n
	copied.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		copied.Content[i] = clone(child)
	}
	return &copied
}

// find follows the keys of maps; nil where that leads nowhere.
func find(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		at := keyOf(n, key)
		if at < 0 {
			return nil
		}
		n = n.Content[at+1]
	}
	return n
}

func keyOf(n *yaml.Node, key string) int {
	if n.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// set puts a scalar where the keys lead, making maps on the way.
func set(n *yaml.Node, tag, value string, path ...string) {
	for _, key := range path {
		at := keyOf(n, key)
		if at < 0 {
			at = len(n.Content)
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key},
				&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
		}
		n = n.Content[at+1]
	}
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// drop takes a child out of a list, or a key and its value out of a map.
func drop(n *yaml.Node, at int) {
	width := 1
	if n.Kind == yaml.MappingNode {
		width = 2
	}
	n.Content = slices.Delete(n.Content, at, at+width)
}

// pairs is a flat map of texts, such as labels.
func pairs(n *yaml.Node) map[string]string {
	m := map[string]string{}
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = n.Content[i+1].Value
		}
	}
	return m
}
