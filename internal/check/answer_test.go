package check

import (
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	wrong := func(text string) verdict { return verdict{failure: `the answer "` + text + `" is not right`} }
	tests := []struct {
		text, given string
		want        verdict
	}{
		{`{equals: "3"}`, "3", verdict{}},
		{"{equals: 3}", " 3\n", verdict{}},
		{"{equals: Payments Pod}", "  payments   POD ", verdict{}},
		{"{equals: 3}", "4", wrong("4")},
		{"{equals: 3}", "", verdict{failure: "nothing is answered yet"}},
		{"{equals: 3}", "  ", verdict{failure: "nothing is answered yet"}},
		{"{oneOf: [OOMKilled, 137]}", "oomkilled", verdict{}},
		{"{oneOf: [OOMKilled, 137]}", "137", verdict{}},
		{"{oneOf: [OOMKilled, 137]}", "killed", wrong("killed")},
		{"{matches: 'exit (code )?137'}", "Exit code 137", verdict{}},
		{"{matches: 'exit|137'}", "exit 137", wrong("exit 137")},
		{"{number: 300, within: 5}", "304.5", verdict{}},
		{"{number: 300, within: 5}", "306", wrong("306")},
		{"{number: 0.3}", "0.30", verdict{}},
		{"{number: 300}", "many", verdict{failure: `the answer "many" is not a number`}},
		{"{number: 300}", "NaN", wrong("nan")},
		{"{from: {kind: Service, name: db, value: object.spec.clusterIP}}", "10.96.0.7", verdict{}},
		{"{from: {kind: Service, name: db, value: object.spec.clusterIP}}", "10.96.0.8", wrong("10.96.0.8")},
		{"{from: {kind: Service, selector: tier=back, value: objects.size()}}", "2", verdict{}},
		{"{from: {kind: Service, selector: tier=back, value: 'objects.map(s, s.metadata.name)'}}", "WEB", verdict{}},
		{"{from: {kind: Service, selector: tier=back, value: 'objects.map(s, s.metadata.name)'}}", "w", wrong("w")},
		{"{from: {kind: Service, name: dc, value: object.spec.clusterIP}}", "x", verdict{unknown: "computing the right answer: there is no Service dc in namespace shop"}},
		{"{from: {kind: Service, name: db, value: object.spec.nothing}}", "x", verdict{unknown: "computing the right answer: no such key: nothing"}},
		{"{from: {kind: Service, name: db, value: object.spec}}", "x", verdict{unknown: "expected a text, a number or a list"}},
	}
	for _, tt := range tests {
		t.Run(tt.text+" "+tt.given, func(t *testing.T) {
			t.Parallel()
			check, problems := compileWith(t, "answer: "+tt.text)
			if problems != nil {
				t.Fatal(problems)
			}
			c, _, _ := clusterOf(service("db", "10.96.0.7", 5432), service("web", "10.96.0.9", 80))
			c.Answer = func(task string) (string, bool) { return tt.given, task == "first" && tt.given != "" }
			err := check.Run(t.Context(), c)
			tt.want.check(t, err)
			for _, secret := range []string{"payments", "oomkilled", "300", "10.96.0.7"} {
				if err != nil && tt.want.unknown == "" && strings.Contains(strings.ToLower(err.Error()), secret) {
					t.Errorf("%v tells %s", err, secret)
				}
			}
		})
	}
	check, _ := compileWith(t, "answer: {equals: 3}")
	verdict{unknown: "answers cannot be read here"}.check(t, check.Run(t.Context(), &Cluster{}))
}

func TestProblemsOfAnswers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{}":                                    "expected one of equals, oneOf, matches, number and from",
		"{equals: 1, number: 1}":                "expected one of equals, oneOf, matches, number and from",
		"{oneOf: []}":                           "expected at least one answer",
		"{equals: [a]}":                         "expected a word or a number",
		"{number: many}":                        `expected a number, found "many"`,
		"{equals: 3, within: 1}":                "expected a number that it belongs to",
		"{matches: '('}":                        "expected a regular expression",
		"{from: {kind: Pod}}":                   `missing key "value"`,
		"{from: {kind: Pod, value: 'object.'}}": "expected a CEL expression that is a text, a number or a list",
		"{from: {kind: Pod, value: 'true'}}":    "it is of type bool",
	} {
		_, problems := compileWith(t, "answer: "+text)
		if len(problems) != 1 || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, problems, want)
		}
	}
	// A safeguard is of no task.
	l := &lab.Lab{Namespaces: []string{"shop"}, Safeguards: labWith(t, "answer: {equals: 3}").Tasks[0].Checks}
	if problems := Builtin().Validate(l, l.Safeguards[0]); len(problems) != 1 || !strings.Contains(problems.Error(), "belongs to a task") {
		t.Errorf("got %v", problems)
	}
}
