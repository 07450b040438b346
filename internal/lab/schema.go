package lab

// A Schema is as much of a JSON Schema (draft 2020-12) as lab.yaml needs.
type Schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	// Additional is false, or the schema of the values of a map.
	Additional any                `json:"additionalProperties,omitempty"`
	OneOf      []*Schema          `json:"oneOf,omitempty"`
	AnyOf      []*Schema          `json:"anyOf,omitempty"`
	Defs       map[string]*Schema `json:"$defs,omitempty"`
}

// A Schemer is a type with a syntax of its own that tells editors about it. It is asked on a zero value. The Title is
// the word for it in the reference, such as "object".
type Schemer interface {
	Schema() *Schema
}

// A Shorthand is a Decoder that takes a map, as its fields say, or something shorter in its place. Short returns a zero
// value of that, such as []Ref{}.
type Shorthand interface {
	Short() any
}

// CheckSchema is where the schema of lab.yaml keeps that of a check.
const CheckSchema = "#/$defs/check"

// Schema leads to the kinds of checks, which this package does not know.
func (Check) Schema() *Schema { return &Schema{Title: "check", Ref: CheckSchema} }

// Schema is the written form: kind/name or namespace/kind/name.
func (Ref) Schema() *Schema { return &Schema{Title: "object", Type: "string", Pattern: refPattern} }

// Schema is a word or a number.
func (Choice) Schema() *Schema {
	return &Schema{Title: "word", AnyOf: []*Schema{{Type: "string", Pattern: choicePattern}, {Type: "integer"}}}
}
