package lab

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decoder is implemented by types with a syntax of their own, such as Ref. Such a type is a Schemer too, so that editors
// know the syntax.
type Decoder interface {
	DecodeNode(n Node) Problems
}

// Decode fills into, a pointer to a struct, from a map, strictly: every key
// must be a field (`yaml:"name"` or `yaml:"name,required"`), given once and of
// its type. It reports all faults, not only the first.
func (n Node) Decode(into any) Problems {
	return decode(n, reflect.ValueOf(into).Elem())
}

func decode(n Node, v reflect.Value) Problems {
	if n.yaml.Tag == reportedTag {
		return nil
	}
	if d, ok := reflect.TypeAssert[Decoder](v.Addr()); ok {
		return d.DecodeNode(n)
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
		if !n.is("!!str") {
			return n.expected("a string")
		}
		v.SetString(n.yaml.Value)
	case reflect.Int:
		number, ok := n.number()
		if !ok {
			return n.expected("a whole number")
		}
		v.SetInt(int64(number))
	case reflect.Bool:
		yes, err := strconv.ParseBool(n.yaml.Value)
		if !n.is("!!bool") || err != nil {
			return n.expected("true or false")
		}
		v.SetBool(yes)
	default:
		panic("lab: no YAML form for " + v.Type().String())
	}
	return nil
}

// is tells whether the node is a scalar of a type, or a parameter's value.
func (n Node) is(tag string) bool {
	return n.yaml.Kind == yaml.ScalarNode && (n.yaml.Tag == tag || n.yaml.Tag == filledTag)
}

// number reads a whole number as people write one: digits and a sign. YAML's other forms (0x1F, 017, 1_000) are other
// numbers to other readers of the file.
func (n Node) number() (int, bool) {
	if digits := strings.TrimLeft(n.yaml.Value, "+-"); !n.is("!!int") || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	number, err := strconv.Atoi(n.yaml.Value)
	return number, err == nil
}

func decodeStruct(n Node, v reflect.Value) Problems {
	if n.yaml.Kind != yaml.MappingNode {
		return n.expected("a map with " + strings.Join(keys(v.Type()), ", "))
	}
	var problems Problems
	seen := map[string]bool{}
	for _, e := range n.entries() {
		if e.key.yaml.Kind != yaml.ScalarNode {
			continue // reported
		}
		name := e.key.yaml.Value
		field, known := fieldOf(v, name)
		switch {
		case !known:
			problems = append(problems, e.key.Problem("unknown key %q, expected one of %s", name, strings.Join(keys(v.Type()), ", ")))
		case seen[name]:
			problems = append(problems, e.key.Problem("key %q is given twice", name))
		default:
			problems = append(problems, decode(e.value, field)...)
		}
		seen[name] = true
	}
	for field := range v.Type().Fields() {
		if name, required := tagOf(field); required && !seen[name] {
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
	for _, e := range n.entries() {
		if e.key.yaml.Kind != yaml.ScalarNode {
			continue // reported
		}
		name := reflect.ValueOf(e.key.yaml.Value)
		if v.MapIndex(name).IsValid() {
			problems = append(problems, e.key.Problem("key %q is given twice", e.key.yaml.Value))
			continue
		}
		item := reflect.New(v.Type().Elem()).Elem()
		problems = append(problems, decode(e.value, item)...)
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
	for i, item := range n.items() {
		problems = append(problems, decode(item, v.Index(i))...)
	}
	return problems
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
