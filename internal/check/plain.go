package check

import (
	"strconv"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// plain is any value in YAML, as unstructured objects hold it.
type plain struct{ value any }

// Schema tells editors that anything goes.
func (plain) Schema() *lab.Schema { return &lab.Schema{Title: "value"} }

// DecodeNode takes anything.
func (p *plain) DecodeNode(n lab.Node) lab.Problems {
	if n.IsMap() {
		var m map[string]plain
		problems := n.Decode(&m)
		out := make(map[string]any, len(m))
		for key, item := range m {
			out[key] = item.value
		}
		p.value = out
		return problems
	}
	text, ok := n.Text()
	if !ok {
		var list []plain
		// What is no list either is null.
		if isList := n.Decode(&list) == nil; isList {
			out := make([]any, len(list))
			for i, item := range list {
				out[i] = item.value
			}
			p.value = out
		}
		return nil
	}
	var (
		number int
		truth  bool
		word   string
	)
	switch {
	case n.Decode(&word) == nil:
		p.value = word
	case n.Decode(&number) == nil:
		p.value = int64(number)
	case n.Decode(&truth) == nil:
		p.value = truth
	default:
		p.value = text
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			p.value = f
		}
	}
	return nil
}

// scalar is a word or a number, with or without quotes.
type scalar struct {
	text string
	set  bool
}

// Schema tells editors that words and numbers go.
func (scalar) Schema() *lab.Schema { return &lab.Schema{Title: "value"} }

// DecodeNode takes any scalar.
func (s *scalar) DecodeNode(n lab.Node) lab.Problems {
	text, ok := n.Text()
	if !ok {
		return lab.Problems{n.Problem("expected a word or a number")}
	}
	s.text, s.set = text, true
	return nil
}
