// Package reference describes lab.yaml to those who write labs: as text, and as a JSON Schema for editors. Both are made
// from the types that the loader decodes into and from what each kind of check says about itself, so that neither can
// lag behind.
package reference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// dialect is the version of JSON Schema.
const dialect = "https://json-schema.org/draft/2020-12/schema"

// paramPattern is what may stand where a number or a word of a certain form is wanted.
const paramPattern = `\$\{params\.[a-z0-9-]+\}`

// JSON returns the schema of lab.yaml as editors read it.
func JSON(kinds check.Registry) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(Schema(kinds)); err != nil {
		return nil, fmt.Errorf("writing the schema of lab.yaml: %w", err)
	}
	return b.Bytes(), nil
}

// Schema returns the schema of lab.yaml, with these kinds of checks.
func Schema(kinds check.Registry) *lab.Schema {
	s := schemaOf(reflect.TypeOf(lab.Document()), "", false)
	s.Dialect, s.Title = dialect, "lab.yaml"
	s.Description = "A lab of kindlab. The reference: kindlab explain-format"
	s.Defs = map[string]*lab.Schema{strings.TrimPrefix(lab.CheckSchema, "#/$defs/"): checkSchema(kinds)}
	return s
}

// checkSchema is one of the kinds, each a map with its name as the only key.
func checkSchema(kinds check.Registry) *lab.Schema {
	all := &lab.Schema{Title: "check", Description: "One question to the cluster: a map with one key, the kind of the check."}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		doc := kinds[name].Doc()
		params := &lab.Schema{}
		if doc.Params != nil {
			params = schemaOf(reflect.TypeOf(doc.Params), "", false)
		}
		params.Description = doc.Text
		all.OneOf = append(all.OneOf, &lab.Schema{
			Type: "object", Properties: map[string]*lab.Schema{name: params}, Required: []string{name}, Additional: false,
		})
	}
	return all
}

// schemaOf describes the values of a type, as the tags of the field that holds them limit it. Where it is fixed, no
// parameter may stand.
func schemaOf(t reflect.Type, tag reflect.StructTag, fixed bool) *lab.Schema {
	if s, ok := schemer(t); ok {
		return vary(s, fixed)
	}
	if s, ok := reflect.TypeAssert[lab.Shorthand](reflect.New(t)); ok {
		return &lab.Schema{AnyOf: []*lab.Schema{structSchema(t, fixed), schemaOf(reflect.TypeOf(s.Short()), "", fixed)}}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[lab.Decoder]()) {
		return &lab.Schema{} // a syntax that it does not tell
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), tag, fixed)
	case reflect.Struct:
		return structSchema(t, fixed)
	case reflect.Map:
		return &lab.Schema{Type: "object", Additional: schemaOf(t.Elem(), "", fixed)}
	case reflect.Slice:
		return &lab.Schema{Type: "array", MinItems: limitsOf(tag).least, Items: schemaOf(t.Elem(), tag, fixed)}
	case reflect.Int:
		s := &lab.Schema{Type: "integer"}
		if low, high, ok := lab.RangeOf(tag); ok {
			s.Minimum, s.Maximum = &low, &high
		}
		return vary(s, fixed)
	case reflect.Bool:
		return vary(&lab.Schema{Type: "boolean"}, fixed)
	default:
		limits := limitsOf(tag)
		s := &lab.Schema{Type: "string", Enum: limits.enum}
		if limits.form.Regexp != nil {
			s.Pattern = limits.form.String()
		}
		return vary(s, fixed)
	}
}

func structSchema(t reflect.Type, fixed bool) *lab.Schema {
	s := &lab.Schema{Type: "object", Properties: map[string]*lab.Schema{}, Additional: false}
	for _, f := range fieldsOf(t) {
		value := schemaOf(f.typ, f.tag, fixed || f.fixed)
		if value.Type == "string" && f.required && value.Pattern == "" && value.Enum == nil {
			value.MinLength = 1
		}
		value.Description = f.doc
		s.Properties[f.name] = value
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

// vary lets a parameter stand where only certain values are taken. Any other string takes one as it is.
func vary(s *lab.Schema, fixed bool) *lab.Schema {
	limited := s.Type != "" && s.Type != "string" || s.Pattern != "" || s.Enum != nil || s.AnyOf != nil
	if fixed || !limited || s.Type == "object" || s.Type == "array" {
		return s
	}
	title := s.Title
	s.Title = ""
	return &lab.Schema{Title: title, AnyOf: []*lab.Schema{s, {Type: "string", Pattern: paramPattern}}}
}

// schemer asks a type for the schema of its own syntax.
func schemer(t reflect.Type) (*lab.Schema, bool) {
	if s, ok := reflect.TypeAssert[lab.Schemer](reflect.New(t)); ok {
		return s.Schema(), true
	}
	return nil, false
}
