package check

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxShown is how much of a value is worth reading, in characters.
const maxShown = 80

// show writes a value as YAML does on one line.
func show(v any) string { return cut(inline(v, 0), maxShown) }

func inline(v any, depth int) string {
	if val, ok := v.(ref.Val); ok {
		v = native(val)
	}
	switch v := v.(type) {
	case string:
		if v == "" || depth > 0 && strings.ContainsAny(v, ",:[]{} ") {
			return fmt.Sprintf("%q", v)
		}
		return strings.Join(strings.Fields(v), " ")
	case []any:
		if depth > maxTold {
			return "[…]"
		}
		var items []string
		for _, item := range v[:min(len(v), maxShown)] {
			items = append(items, inline(item, depth+1))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		if depth > maxTold {
			return "{…}"
		}
		var items []string
		for _, key := range sortedKeys(v)[:min(len(v), maxShown)] {
			items = append(items, key+": "+inline(v[key], depth+1))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case *resource.Quantity:
		return v.String()
	case nil:
		return "nothing"
	default:
		return fmt.Sprint(v)
	}
}

// cut shortens a text to at most so many characters.
func cut(text string, length int) string {
	if utf8.RuneCountInString(text) <= length {
		return text
	}
	return string([]rune(text)[:length-1]) + "…"
}

// native turns a value of CEL into what unstructured objects are made of.
func native(v ref.Val) any {
	switch v := v.(type) {
	case types.Null:
		return nil
	case *types.Optional:
		if !v.HasValue() {
			return nil
		}
		return native(v.GetValue())
	case traits.Mapper:
		if m, ok := v.Value().(map[string]any); ok {
			return m
		}
		m := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			if item, ok := v.Find(key); ok {
				m[fmt.Sprint(key.Value())] = native(item)
			}
		}
		return m
	case traits.Lister:
		if l, ok := v.Value().([]any); ok {
			return l
		}
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			list = append(list, native(it.Next()))
		}
		return list
	default:
		return v.Value()
	}
}

// plural names a list of objects by their kind: pods.
func plural(objects any) string {
	list, _ := objects.([]any)
	if len(list) > 0 {
		if first, ok := list[0].(map[string]any); ok {
			if kind, ok := first["kind"].(string); ok {
				many, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: kind})
				return many.Resource
			}
		}
	}
	return "objects"
}
