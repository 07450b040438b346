package reference

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/labs"
)

// A validator is a JSON Schema validator that knows the words which our schema uses, and stops at any other.
type validator struct{ root map[string]any }

func newValidator(t *testing.T, kinds check.Registry) validator {
	t.Helper()
	text, err := JSON(kinds)
	if err != nil {
		t.Fatal(err)
	}
	var v validator
	if err := json.Unmarshal(text, &v.root); err != nil {
		t.Fatal(err)
	}
	return v
}

// faults says where value breaks the schema.
func (v validator) faults(at string, schema map[string]any, value any) []string {
	var faults []string
	bad := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	object, _ := value.(map[string]any)
	list, _ := value.([]any)
	text, isText := value.(string)
	number, isNumber := value.(float64)
	for _, word := range slices.Sorted(maps.Keys(schema)) {
		switch want := schema[word]; word {
		case "$schema", "$defs", "title", "description":
		case "$ref":
			def := v.root["$defs"].(map[string]any)[strings.TrimPrefix(want.(string), "#/$defs/")]
			faults = append(faults, v.faults(at, def.(map[string]any), value)...)
		case "type":
			is := map[string]bool{
				"object": object != nil, "array": list != nil, "string": isText,
				"integer": isNumber && number == float64(int(number)), "boolean": value == true || value == false,
			}
			if !is[want.(string)] {
				bad("not of type %s", want)
			}
		case "enum":
			if !slices.Contains(want.([]any), value) {
				bad("not one of %v", want)
			}
		case "pattern":
			if isText && !regexp.MustCompile(want.(string)).MatchString(text) {
				bad("does not match %s", want)
			}
		case "minLength":
			if isText && utf8.RuneCountInString(text) < int(want.(float64)) {
				bad("too short")
			}
		case "minimum":
			if isNumber && number < want.(float64) {
				bad("below %v", want)
			}
		case "maximum":
			if isNumber && number > want.(float64) {
				bad("above %v", want)
			}
		case "minItems":
			if list != nil && len(list) < int(want.(float64)) {
				bad("fewer than %v", want)
			}
		case "items":
			for i, item := range list {
				faults = append(faults, v.faults(fmt.Sprintf("%s[%d]", at, i), want.(map[string]any), item)...)
			}
		case "required":
			for _, key := range want.([]any) {
				if _, ok := object[key.(string)]; object != nil && !ok {
					bad("no %s", key)
				}
			}
		case "properties":
			for key, s := range want.(map[string]any) {
				if item, ok := object[key]; ok {
					faults = append(faults, v.faults(at+"."+key, s.(map[string]any), item)...)
				}
			}
		case "additionalProperties":
			known, _ := schema["properties"].(map[string]any)
			for key, item := range object {
				if _, ok := known[key]; ok {
					continue
				}
				if s, ok := want.(map[string]any); ok {
					faults = append(faults, v.faults(at+"."+key, s, item)...)
				} else {
					bad("unknown key %s", key)
				}
			}
		case "oneOf", "anyOf":
			fit := 0
			for _, s := range want.([]any) {
				if v.faults(at, s.(map[string]any), value) == nil {
					fit++
				}
			}
			if fit == 0 || word == "oneOf" && fit > 1 {
				bad("%d of %s fit", fit, word)
			}
		default:
			panic("the schema has a word that this validator does not know: " + word)
		}
	}
	return faults
}

func (v validator) document(t *testing.T, text string) []string {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return v.faults("", v.root, value)
}

func TestTheSchemaTakesEveryLab(t *testing.T) {
	t.Parallel()
	v := newValidator(t, check.Builtin())
	names, err := fs.Glob(labs.FS(), "*/*/lab.yaml")
	if err != nil || len(names) < 4 {
		t.Fatalf("labs %v, error %v", names, err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := fs.ReadFile(labs.FS(), name)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range v.document(t, string(text)) {
				t.Error(fault)
			}
		})
	}
}

// document is a lab with every form that the schema knows.
const document = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: One
  level: beginner
  minutes: 5
  namespaces: [shop]
  params: {port: {range: [1, 2]}, colour: {oneOf: [red, 8]}, token: {letters: 8}}
  touches: [kube-system/configmap/coredns, node/*]
  setup: {apply: setup, run: setup/a.sh, ready: [deployment/web]}
  tasks:
  - name: first
    title: Paint it ${params.colour}
    points: 2
    checks:
    - size: {of: "pod/${params.token}", unit: cm, max: "${params.port}", sides: {a: {note: x}}, own: [1]}
    - both: [size: {of: pod/web}]
    - either: [size: {of: pod/web}]
    - either: {checks: [size: {of: pod/web}], says: x}
  solutions: [{title: A, apply: a}, {title: B, delete: [pod/x]}]
  mistakes: [{title: C, apply: c, fails: [first], says: x}, {title: D, apply: c, fails: [first], says: x}, {title: E, run: e.sh, fails: [first], says: x}]
`

func TestTheSchemaRefusesWhatTheLoaderRefuses(t *testing.T) {
	t.Parallel()
	v := newValidator(t, kinds())
	if faults := v.document(t, document); faults != nil {
		t.Fatalf("a good lab: %v", faults)
	}
	tests := []struct{ name, old, text, want string }{
		{"unknown key", "  minutes: 5", "  minutes: 5\n  hours: 1", ".spec: unknown key hours"},
		{"missing key", "  minutes: 5\n", "", ".spec: no minutes"},
		{"wrong type", "minutes: 5", "minutes: five", ".spec.minutes: not of type integer"},
		{"out of range", "minutes: 5", "minutes: 500", ".spec.minutes: above 120"},
		{"below range", "minutes: 5", "minutes: 0", ".spec.minutes: below 1"},
		{"a param in what is fixed", "minutes: 5", "minutes: ${params.port}", ".spec.minutes: not of type integer"},
		{"another level", "beginner", "easy", ".spec.level: not one of [beginner intermediate advanced]"},
		{"another version", "dev/v1", "dev/v2", ".apiVersion: not one of [kindlab.dev/v1]"},
		{"no title", "title: One", `title: ""`, ".spec.title: too short"},
		{"a name with a gap", "[shop]", "[the shop]", ".spec.namespaces[0]: does not match " + `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`},
		{"no namespaces", "[shop]", "[]", ".spec.namespaces: fewer than 1"},
		{"one solution", ", {title: B, delete: [pod/x]}", "", ".spec.solutions: fewer than 2"},
		{"not a script", "setup/a.sh", "setup/a.py", `.spec.setup.run: does not match \.sh$`},
		{"no object", "[deployment/web]", "[web]", ".spec.setup.ready[0]: 0 of anyOf fit"},
		{"an unknown kind of check", "- both:", "- all:", ".spec.tasks[0].checks[1]: 0 of oneOf fit"},
		{"a check with two kinds", "- both:", "- size: {of: pod/x}\n      both:", ".spec.tasks[0].checks[1]: 0 of oneOf fit"},
		{"a bad key of a check", "unit: cm", "unti: cm", ".spec.tasks[0].checks[0]: 0 of oneOf fit"},
		{"a bad check within one", "[size: {of: pod/web}]", "[size: {}]", ".spec.tasks[0].checks[1]: 0 of oneOf fit"},
		{"a bad check in a short form", "either: [size: {of: pod/web}]", "either: [size: {}]", ".spec.tasks[0].checks[2]: 0 of oneOf fit"},
		{"a bad key in the long form", "says: x}\n  solutions", "say: x}\n  solutions", ".spec.tasks[0].checks[3]: 0 of oneOf fit"},
		{"a param of no kind", "{letters: 8}", "{letter: 8}", ".spec.params.token: unknown key letter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(document, tt.old) {
				t.Fatalf("no %q in the lab", tt.old)
			}
			got := v.document(t, strings.Replace(document, tt.old, tt.text, 1))
			if !reflect.DeepEqual(got, []string{tt.want}) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A syntax that a type does not tell is taken as it is: better no help than wrong help.
func TestASecretSyntaxIsTaken(t *testing.T) {
	t.Parallel()
	s := schemaOf(reflect.TypeFor[secretive](), "", false)
	if !reflect.DeepEqual(s, &lab.Schema{}) {
		t.Errorf("got %+v", s)
	}
}
