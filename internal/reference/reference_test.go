package reference

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

var update = flag.Bool("update", false, "write labs/schema.json anew")

const schemaFile = "../../labs/schema.json"

func TestTheSchemaFileIsFresh(t *testing.T) {
	t.Parallel()
	want, err := JSON(check.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("labs/schema.json is not what the types say (%v); write it anew with: make schema\n%s", err, cmp.Diff(string(got), string(want)))
	}
}

// size is a kind of check that has every form of parameter, size and all.
type size struct{}

// sizeParams is what size takes.
type sizeParams struct {
	Of    lab.Ref         `yaml:"of,required" doc:"what is measured"`
	Unit  string          `yaml:"unit" enum:"cm,in" doc:"in which unit"`
	Max   int             `yaml:"max" range:"1-9" doc:"no more than this"`
	Exact bool            `yaml:"exact"`
	Sides map[string]side `yaml:"sides" doc:"each side"`
	Then  []lab.Check     `yaml:"then" doc:"checks that follow"`
	Own   secretive       `yaml:"own"`
	free  int
}

type side struct {
	Note string `yaml:"note,required" doc:"a word about it"`
}

// secretive has a syntax that it does not tell.
type secretive struct{}

func (*secretive) DecodeNode(lab.Node) lab.Problems { return nil }

func (size) Name() string { return "size" }

func (size) Doc() check.Doc {
	return check.Doc{Text: "Measures an object.", Example: "- size: {of: pod/web}", Params: sizeParams{free: 1}}
}

func (size) Compile(check.Scope, lab.Node) (check.Check, lab.Problems) { return nil, nil }

// both is a compound kind: its parameters are no map.
type both struct{ size }

func (both) Name() string { return "both" }

func (both) Doc() check.Doc { return check.Doc{Text: "All of them.", Params: []lab.Check{}} }

// lenient takes a map, or only its checks.
type lenient struct {
	Checks []lab.Check `yaml:"checks,required" doc:"the checks"`
	Says   string      `yaml:"says" doc:"words"`
}

func (*lenient) DecodeNode(lab.Node) lab.Problems { return nil }

func (lenient) Short() any { return []lab.Check{} }

// either is a kind that may be written shorter.
type either struct{ size }

func (either) Name() string { return "either" }

func (either) Doc() check.Doc { return check.Doc{Text: "One of them.", Params: lenient{}} }

// quiet is a kind whose parameters are a secret as a whole.
type quiet struct{ size }

func (quiet) Name() string { return "quiet" }

func (quiet) Doc() check.Doc { return check.Doc{Text: "Says it here.", Params: secretive{}} }

func kinds() check.Registry {
	r := check.Registry{}
	r.Add(size{}, both{}, quiet{}, either{})
	return r
}

func TestAPartSaysWhatItsTypeSays(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, want string }{
		{"size", `## size

Measures an object.

` + "```yaml\n- size: {of: pod/web}\n```" + `

- ` + "`of`" + ` (object, required): what is measured
- ` + "`unit`" + ` (cm or in): in which unit
- ` + "`max`" + ` (number, 1 to 9): no more than this
- ` + "`exact`" + ` (true or false)
- ` + "`sides`" + ` (map of maps): each side
  - ` + "`note`" + ` (text, required): a word about it
- ` + "`then`" + ` (list of checks): checks that follow
- ` + "`own`" + `
`},
		{"both", "## both\n\nAll of them.\n\nTakes a list of checks.\n"},
		{"either", "## either\n\nOne of them.\n\n- `checks` (list of checks, required): the checks\n- `says` (text): words\n"},
		{"quiet", "## quiet\n\nSays it here.\n"},
		{"size.sides", "## size.sides\n\n- `sides` (map of maps): each side\n  - `note` (text, required): a word about it\n"},
		{"size.sides.note", "## size.sides.note\n\n- `note` (text, required): a word about it\n"},
		{"unit", "## size.unit\n\n- `unit` (cm or in): in which unit\n"},
		{"spec.minutes", "## spec.minutes\n\n- `minutes` (number, 1 to 120, required): how long a calm learner takes\n"},
		{"metadata", "## metadata\n\n- `name` (lower case letters, digits and dashes, required): the lab's short name; its folder is called so\n" +
			"- `topic` (lower case letters, digits and dashes, required): what it belongs to; the folder above is called so\n"},
	}
	r := New(kinds())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := r.Part(tt.name)
			if diff := cmp.Diff(tt.want, got); diff != "" || !ok {
				t.Error(ok, diff)
			}
		})
	}
	for _, name := range []string{"", "title", "spec.", "Size"} { // title is the end of several
		if text, ok := r.Part(name); ok {
			t.Errorf("part %q: %s", name, text)
		}
	}
}

func TestTheWholeTextHasEveryPartOnce(t *testing.T) {
	t.Parallel()
	r := New(check.Builtin())
	text := r.Text()
	for _, name := range []string{"folder", "lab.yaml", "metadata", "spec", "spec.params", "spec.setup", "spec.tasks", "spec.solutions", "spec.mistakes", "checks", "reach", "survives"} {
		if n := strings.Count(text, "\n## "+name+"\n"); n != 1 {
			t.Errorf("part %s is there %d times", name, n)
		}
	}
	seen := map[string]bool{}
	for _, name := range r.Names() {
		if _, ok := r.Part(name); !ok || seen[name] {
			t.Errorf("part %s is not found, or is there twice", name)
		}
		seen[name] = true
	}
	for name, said := range sections(prose) {
		if !seen[name] {
			t.Errorf("the prose about %s belongs to no part", name)
		}
		if part, _ := r.Part(name); !strings.Contains(part, said) {
			t.Errorf("the prose about %s is not in its part", name)
		}
	}
}

// A key that nobody explains helps nobody.
func TestEveryKeyOfLabYAMLIsExplained(t *testing.T) {
	t.Parallel()
	var look func(path string, s *lab.Schema)
	look = func(path string, s *lab.Schema) {
		for name, p := range s.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no doc", path, name)
			}
			look(path+"."+name, p)
			if p.Items != nil {
				look(path+"."+name, p.Items)
			}
		}
	}
	look("", Schema(check.Registry{}))
}
