package lab

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Node is a piece of YAML that knows where it stands.
type Node struct {
	File string
	yaml *yaml.Node
}

// Decoder is implemented by types with a syntax of their own, such as Ref.
type Decoder interface {
	DecodeNode(n Node) Problems
}

// Problem reports a fault of this node.
func (n Node) Problem(format string, args ...any) Problem {
	p := Problem{File: n.File, Text: fmt.Sprintf(format, args...)}
	if n.yaml != nil {
		p.Line, p.Column = n.yaml.Line, n.yaml.Column
	}
	return p
}

// Text returns the scalar's text; ok is false for a list, a map or null.
func (n Node) Text() (text string, ok bool) {
	if n.yaml == nil || n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag == "!!null" {
		return "", false
	}
	return n.yaml.Value, true
}

// IsMap tells whether the node is a map.
func (n Node) IsMap() bool { return n.yaml != nil && n.yaml.Kind == yaml.MappingNode }

// Field returns the value of a key of a map; the node itself when there is no
// such key, so that a problem still points to the right place.
func (n Node) Field(key string) Node {
	if value, ok := n.lookup(key); ok {
		return value
	}
	return n
}

func (n Node) lookup(key string) (Node, bool) {
	if n.IsMap() {
		for i := 0; i+1 < len(n.yaml.Content); i += 2 {
			if n.yaml.Content[i].Value == key {
				return Node{n.File, n.yaml.Content[i+1]}, true
			}
		}
	}
	return Node{}, false
}

// Decode fills into, a pointer to a struct, from a map, strictly: every key
// must be a field (`yaml:"name"` or `yaml:"name,required"`), given once and of
// its type. It reports all faults, not only the first.
func (n Node) Decode(into any) Problems {
	return decode(n, reflect.ValueOf(into).Elem())
}

func decode(n Node, v reflect.Value) Problems {
	if d, ok := reflect.TypeAssert[Decoder](v.Addr()); ok {
		return d.DecodeNode(n)
	}
	if n.yaml.Kind == yaml.AliasNode || n.yaml.Anchor != "" {
		return Problems{n.Problem("expected a plain value: anchors and aliases are not used in labs")}
	}
	switch v.Kind() {
	case reflect.Struct:
		return decodeStruct(n, v)
	case reflect.Map:
		return decodeMap(n, v)
	case reflect.Slice:
		return decodeList(n, v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decode(n, v.Elem())
	case reflect.String:
		if n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag != "!!str" {
			return n.expected("a string")
		}
	case reflect.Int:
		if n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag != "!!int" {
			return n.expected("a whole number")
		}
	case reflect.Bool:
		if n.yaml.Kind != yaml.ScalarNode || n.yaml.Tag != "!!bool" {
			return n.expected("true or false")
		}
	default:
		panic("lab: no YAML form for " + v.Type().String())
	}
	if err := n.yaml.Decode(v.Addr().Interface()); err != nil {
		return Problems{n.Problem("%s", strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	return nil
}

func decodeStruct(n Node, v reflect.Value) Problems {
	if n.yaml.Kind != yaml.MappingNode {
		return n.expected("a map with " + strings.Join(keys(v.Type()), ", "))
	}
	var problems Problems
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key, value := Node{n.File, n.yaml.Content[i]}, Node{n.File, n.yaml.Content[i+1]}
		name := key.yaml.Value
		field, known := fieldOf(v, name)
		switch {
		case !known:
			problems = append(problems, key.Problem("unknown key %q, expected one of %s", name, strings.Join(keys(v.Type()), ", ")))
		case seen[name]:
			problems = append(problems, key.Problem("key %q is given twice", name))
		default:
			problems = append(problems, decode(value, field)...)
		}
		seen[name] = true
	}
	for i := range v.NumField() {
		if name, required := tagOf(v.Type().Field(i)); required && !seen[name] {
			problems = append(problems, n.Problem("missing key %q", name))
		}
	}
	return problems
}

func decodeMap(n Node, v reflect.Value) Problems {
	if n.yaml.Kind != yaml.MappingNode {
		return n.expected("a map of names")
	}
	var problems Problems
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key, value := Node{n.File, n.yaml.Content[i]}, Node{n.File, n.yaml.Content[i+1]}
		name := reflect.ValueOf(key.yaml.Value)
		if v.MapIndex(name).IsValid() {
			problems = append(problems, key.Problem("key %q is given twice", key.yaml.Value))
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		problems = append(problems, decode(value, item)...)
		v.SetMapIndex(name, item)
	}
	return problems
}

func decodeList(n Node, v reflect.Value) Problems {
	if n.yaml.Kind != yaml.SequenceNode {
		return n.expected("a list")
	}
	var problems Problems
	v.Set(reflect.MakeSlice(v.Type(), len(n.yaml.Content), len(n.yaml.Content)))
	for i, item := range n.yaml.Content {
		problems = append(problems, decode(Node{n.File, item}, v.Index(i))...)
	}
	return problems
}

func (n Node) expected(what string) Problems {
	found := "a list"
	switch {
	case n.yaml.Kind == yaml.MappingNode:
		found = "a map"
	case n.yaml.Kind == yaml.AliasNode:
		found = "an alias"
	case n.yaml.Tag == "!!null":
		found = "nothing"
	case n.yaml.Kind == yaml.ScalarNode:
		found = fmt.Sprintf("%q", n.yaml.Value)
	}
	return Problems{n.Problem("expected %s, found %s", what, found)}
}

func tagOf(f reflect.StructField) (name string, required bool) {
	name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, option == "required"
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag, _ := tagOf(v.Type().Field(i)); tag != "" && tag == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keys(t reflect.Type) []string {
	var names []string
	for field := range t.Fields() {
		if name, _ := tagOf(field); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// DecodeNode reads a check: a map with one key, its kind.
func (c *Check) DecodeNode(n Node) Problems {
	if n.yaml.Kind != yaml.MappingNode || len(n.yaml.Content) != 2 {
		return Problems{n.Problem("expected a map with one key, the kind of the check")}
	}
	c.Kind = n.yaml.Content[0].Value
	c.Params = Node{n.File, n.yaml.Content[1]}
	return nil
}

// A Ref names an object: "deployment/web", or "shop/deployment/web" when it is
// not in the lab's first namespace.
type Ref struct{ Namespace, Kind, Name string }

func (r Ref) String() string { return r.Kind + "/" + r.Name }

// DecodeNode reads the written form.
func (r *Ref) DecodeNode(n Node) Problems {
	text, ok := n.Text()
	parts := strings.Split(text, "/")
	if !ok || len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return n.expected("an object such as deployment/web or shop/deployment/web")
	}
	r.Kind, r.Name = parts[len(parts)-2], parts[len(parts)-1]
	if len(parts) == 3 {
		r.Namespace = parts[0]
	}
	return nil
}
