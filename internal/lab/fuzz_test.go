package lab

import (
	"errors"
	"strings"
	"testing"
)

// Whatever bytes an author saves, the loader answers with a lab or with problems that have a place.
func FuzzLoad(f *testing.F) {
	f.Add(good, object)
	f.Add(drawn(nil)["lab.yaml"], drawn(nil)["setup/web.yaml"])
	f.Add("a: &a [*a]", "a: &a [*a]")
	f.Add("spec: {tasks: [{name: x, checks: [{}]}], solutions: 1}", "{")
	f.Add("spec: &a {tasks: &b [{name: x}], mistakes: &c [1]}", "---\n---\n")
	f.Add("spec: {params: {a: {range: [1]}, b: {letters: -1}}, title: '${params.a}${params.'}", "${params.a}")
	f.Add("\xff", "\xfe")
	f.Fuzz(func(t *testing.T, text, manifest string) {
		fsys := folder(drawn(map[string]string{
			"lab.yaml": text + "\n", "setup/web.yaml": manifest + "\n", "README.md": manifest + "\n", "solutions/a.sh": manifest + "\n",
		}))
		l, err := Load(fsys, "basics/one", refuse{})
		if (l == nil) != (err != nil) {
			t.Errorf("lab %v with error %v", l, err)
		}
		problems, ok := errors.AsType[Problems](err)
		if err != nil && !ok {
			t.Errorf("not a list of problems: %v", err)
		}
		for _, p := range problems {
			if p.Text == "" || !strings.HasPrefix(p.File, "basics/one/") || p.Line < 0 || p.Line > 0 && p.Column < 1 {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		if _, err := Catalogue(fsys); err == nil && len(problems) == 0 && l == nil {
			t.Errorf("a lab without problems is not loaded")
		}
	})
}

// Filling in loses nothing but the places of params, and finds each that is wrong.
func FuzzParams(f *testing.F) {
	for _, text := range []string{
		"", "${params.port}", "a${params.port}b${params.colour}c", "${params.", "${params.}", "${params.x}", "${params.port",
		"${params.${params.port}}", "$${params.port}}", "é${params.Port}\n${params.no}", "\xff${params.\xff}",
	} {
		f.Add(text)
	}
	values := Values{"port": "31000", "colour": "red"}
	f.Fuzz(func(t *testing.T, text string) {
		filled, problems := filler{values}.fillText("file", text)
		if places := strings.Count(text, mark); strings.Count(filled, mark) != len(problems) || len(problems) > places {
			t.Errorf("%q: filled in as %q, with %d problems", text, filled, len(problems))
		}
		back := strings.NewReplacer("${params.port}", "31000", "${params.colour}", "red").Replace(text)
		if filled != back {
			t.Errorf("%q: filled in as %q, want %q", text, filled, back)
		}
		for _, p := range problems {
			lines := strings.Split(text, "\n")
			if p.Line < 1 || p.Line > len(lines) || !strings.HasPrefix(string([]rune(lines[p.Line-1])[p.Column-1:]), mark) {
				t.Errorf("%q: no place of a param at %s", text, p)
			}
		}
	})
}
