package lab

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checkManifest validates that a file holds objects as an API server wants
// them, as far as that can be told without one.
func (l *Lab) checkManifest(name string) Problems {
	text, problems := l.readChecked(name)
	file := path.Join(l.dir, name)
	// A place that no parameter fills is reported, and its braces are no fault of their own.
	dec := yaml.NewDecoder(strings.NewReader(place.ReplaceAllString(text, "0")))
	objects := 0
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(problems, syntaxProblem(file, "", err))
		}
		n := Node{file, doc.Content[0]}
		if n.yaml.Tag == "!!null" {
			continue // a document of comments
		}
		objects++
		problems = append(problems, l.checkObject(n)...)
		problems = append(problems, n.twice()...)
	}
	if objects == 0 && problems == nil {
		return Problems{{File: file, Line: 1, Column: 1, Text: "empty: expected an object with apiVersion, kind and metadata.name"}}
	}
	return problems
}

func (l *Lab) checkObject(n Node) Problems {
	if !n.IsMap() {
		return n.expected("an object with apiVersion, kind and metadata.name")
	}
	var problems Problems
	text := func(n Node, key string) string {
		value, ok := n.lookup(key)
		if !ok {
			problems = append(problems, n.Problem("missing key %q", key))
			return ""
		}
		if s, ok := value.Text(); ok && s != "" && value.is("!!str") {
			return s
		}
		problems = append(problems, value.expected("a string as "+key)...)
		return ""
	}
	text(n, "apiVersion")
	kind := text(n, "kind")
	meta, ok := n.lookup("metadata")
	if !ok || !meta.IsMap() {
		return append(problems, n.Field("metadata").Problem("expected metadata with a name"))
	}
	ref := Ref{Kind: strings.ToLower(kind), Name: text(meta, "name")}
	space, given := meta.lookup("namespace")
	if !given {
		return problems
	}
	ref.Namespace, _ = space.Text()
	if ref.Kind != "" && ref.Name != "" && !l.owns(ref) && !slices.Contains(l.Touches, ref) {
		problems = append(problems, space.Problem("namespace %s is not one of the lab's; what else it changes stands in spec.touches: %s",
			ref.Namespace, ref.long()))
	}
	return problems
}

// twice reports keys that are given twice anywhere within n.
func (n Node) twice() Problems {
	var problems Problems
	seen := map[string]bool{}
	for _, e := range n.entries() {
		// A key's type is part of it: 1 and "1" are two keys.
		key := fmt.Sprint(e.key.yaml.Tag, e.key.yaml.Value)
		if seen[key] && e.key.yaml.Kind == yaml.ScalarNode {
			problems = append(problems, e.key.Problem("key %q is given twice", e.key.yaml.Value))
		}
		seen[key] = true
	}
	for _, child := range n.yaml.Content {
		problems = append(problems, Node{n.File, child}.twice()...)
	}
	return problems
}
