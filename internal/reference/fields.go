package reference

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// field is a key of a map in lab.yaml, from the field of a struct that it decodes into.
type field struct {
	name, doc       string
	required, fixed bool
	typ             reflect.Type
	tag             reflect.StructTag
}

// fieldsOf lists the keys in the order of their declaration, which is the order to read them in.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for f := range t.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		fields = append(fields, field{
			name: name, doc: f.Tag.Get("doc"), required: option == "required", fixed: f.Tag.Get("fixed") != "", typ: f.Type, tag: f.Tag,
		})
	}
	return fields
}

// limits are what the tags of a field say about its values.
type limits struct {
	enum  []string
	form  lab.Form
	least int
}

func limitsOf(tag reflect.StructTag) limits {
	var l limits
	if options := tag.Get("enum"); options != "" {
		l.enum = strings.Split(options, ",")
	}
	l.form, _ = lab.FormOf(tag.Get("form"))
	l.least, _ = strconv.Atoi(tag.Get("least")) // 0 where there is none
	return l
}

// kindOf says in a word or two what is to be written: "text", "list of objects".
func kindOf(t reflect.Type) string {
	if s, ok := schemer(t); ok {
		return s.Title
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[lab.Decoder]()) && inner(t) == nil {
		return "" // a syntax that it does not tell
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Slice:
		return several("list", t.Elem())
	case reflect.Map:
		return several("map", t.Elem())
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	default:
		return "map"
	}
}

func several(what string, of reflect.Type) string {
	word := kindOf(of)
	if word == "" {
		return what
	}
	return what + " of " + word + "s"
}

// traits are what stands in brackets behind a key: its type and its limits.
func (f field) traits() string {
	limits := limitsOf(f.tag)
	what := kindOf(f.typ)
	switch {
	case limits.enum != nil:
		what = strings.Join(limits.enum, " or ")
	case limits.form.Words != "" && f.typ.Kind() == reflect.Slice:
		what += " in " + limits.form.Words
	case limits.form.Words != "":
		what = limits.form.Words
	}
	var traits []string
	if what != "" {
		traits = append(traits, what)
	}
	if low, high, ok := lab.RangeOf(f.tag); ok {
		traits = append(traits, fmt.Sprintf("%d to %d", low, high))
	}
	if limits.least > 1 {
		traits = append(traits, fmt.Sprintf("at least %d", limits.least))
	}
	if f.required {
		traits = append(traits, "required")
	}
	return strings.Join(traits, ", ")
}

// inner is the struct with keys that a field's values are made of, or nil: its own, or that of its elements.
func inner(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return inner(t.Elem())
	case reflect.Struct:
		if len(fieldsOf(t)) > 0 {
			return t
		}
		return nil
	default:
		return nil
	}
}
