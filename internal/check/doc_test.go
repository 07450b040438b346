package check

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// What the reference says of a kind is true: its examples compile, and each parameter is explained.
func TestDocs(t *testing.T) {
	t.Parallel()
	kinds := Builtin()
	for name, k := range kinds {
		doc := k.Doc()
		if doc.Params == nil {
			continue // on its way
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if doc.Text == "" || !strings.Contains(doc.Example, name+":") {
				t.Errorf("text %q, example %q: want both, and the kind in the example", doc.Text, doc.Example)
			}
			explained(t, reflect.TypeOf(doc.Params), map[reflect.Type]bool{})
			yaml := head + "    " + strings.ReplaceAll(doc.Example, "\n", "\n    ") + "\n"
			labs, err := lab.Catalogue(fstest.MapFS{
				"basics/one/lab.yaml":               {Data: []byte(yaml)},
				"basics/one/fixtures/polite.yaml":   {Data: []byte("apiVersion: v1\nkind: Pod\n")},
				"basics/one/fixtures/scale-up.yaml": {Data: []byte("apiVersion: apps/v1\nkind: Deployment\n")},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range labs[0].Tasks[0].Checks {
				problems := kinds.Validate(labs[0], c)
				if c.Kind == "go" && strings.Contains(problems.Error(), "is registered") {
					continue // the example's is not
				}
				if problems != nil {
					t.Errorf("the example has problems: %v", problems)
				}
			}
		})
	}
}

// explained demands a doc tag of every field that YAML can set.
func explained(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		explained(t, typ.Elem(), seen)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[typ] {
		return
	}
	seen[typ] = true
	for field := range typ.Fields() {
		if field.Tag.Get("yaml") == "" {
			continue
		}
		if strings.HasPrefix(typ.PkgPath(), "github.com/kindlab-dev/kindlab/internal/check") && field.Tag.Get("doc") == "" {
			t.Errorf("%s.%s is not explained", typ, field.Name)
		}
		explained(t, field.Type, seen)
	}
}
