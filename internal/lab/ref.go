package lab

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DecodeNode reads a check: a map with one key, its kind.
func (c *Check) DecodeNode(n Node) Problems {
	if n.yaml.Kind != yaml.MappingNode || len(n.yaml.Content) != 2 || n.yaml.Content[0].Kind != yaml.ScalarNode {
		return Problems{n.Problem("expected a map with one key, the kind of the check")}
	}
	c.Kind = n.yaml.Content[0].Value
	c.Params = Node{n.File, n.yaml.Content[1]}
	return nil
}

// A Ref names an object: "deployment/web", or "shop/deployment/web" when it is
// not in the lab's first namespace. "node/*" is every node, where that makes sense.
type Ref struct{ Namespace, Kind, Name string }

func (r Ref) String() string { return r.Kind + "/" + r.Name }

// long is the written form with the namespace.
func (r Ref) long() string {
	if r.Namespace == "" {
		return r.String()
	}
	return r.Namespace + "/" + r.String()
}

// refPattern is the written form of a Ref. A kind is as kubectl takes it, in lower case.
const refPattern = `^([a-z0-9][a-z0-9-]*/)?([a-z][a-z0-9.-]*/[a-zA-Z0-9][a-zA-Z0-9.:_-]*|node/\*)$`

var refForm = regexp.MustCompile(refPattern)

// DecodeNode reads the written form.
func (r *Ref) DecodeNode(n Node) Problems {
	text, ok := n.Text()
	if !ok || !refForm.MatchString(text) {
		return n.expected("an object such as deployment/web or shop/deployment/web")
	}
	parts := strings.Split(text, "/")
	r.Kind, r.Name = parts[len(parts)-2], parts[len(parts)-1]
	if len(parts) == 3 {
		r.Namespace = parts[0]
	}
	return nil
}
