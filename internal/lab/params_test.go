package lab

import (
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// drawn is a lab whose port, colour and token differ in each attempt.
func drawn(changes map[string]string) map[string]string {
	text := strings.NewReplacer(
		"  setup:", `  params:
    port: {range: [31000, 31999]}
    colour: {oneOf: [red, blue]}
    token: {letters: 8}
  setup:`,
		"title: The first", `title: "Paint ${params.colour} ${params.token}"`,
		"look: {at: web}", `look: {port: "${params.port}", "${params.colour}": "x-${params.token}"}`,
		"look: {at: db}", `look:
        port: ${params.port}
        name: ${params.port}
        table: |
          from  ${params.colour}
          a     ${params.token}`,
	).Replace(good)
	files := map[string]string{
		"lab.yaml": text, "README.md": "Paint it ${params.colour} on ${params.port}.", "debrief.md": "It was ${params.colour}.",
		"hints/first.md": "a\n---\nb\n---\n${params.token}\n",
		"setup/web.yaml": object + "data: {port: \"${params.port}\", colour: ${params.colour}}\n",
	}
	// Within { } an unquoted place is no YAML before it is filled in: manifests are filled in as text.
	maps.Copy(files, changes)
	return files
}

// params is what the checks of drawn look for.
type params struct {
	Port  int    `yaml:"port,required"`
	Name  string `yaml:"name"`
	Table string `yaml:"table"`
	Red   string `yaml:"red"`
	Blue  string `yaml:"blue"`
}

// decodes reads checks as their kinds do.
type decodes struct{}

func (decodes) Validate(_ *Lab, c Check) Problems { return c.Params.Decode(&params{}) }

func TestParamsAreFilledInEverywhere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		given         Values
		first, second params
		title         string
		texts         []string
	}{
		{
			"the smallest", nil,
			params{Port: 31000, Red: "x-bbbbbbbb"},
			params{Port: 31000, Name: "31000", Table: "from  red\na     bbbbbbbb\n"},
			"Paint red bbbbbbbb",
			[]string{"Paint it red on 31000.", "It was red.", "bbbbbbbb", object + "data: {port: \"31000\", colour: red}\n"},
		},
		{
			"an attempt's",
			Values{"port": "31999", "colour": "blue", "token": "ccddffgg", "gone": "x"},
			params{Port: 31999, Blue: "x-ccddffgg"},
			params{Port: 31999, Name: "31999", Table: "from  blue\na     ccddffgg\n"},
			"Paint blue ccddffgg",
			[]string{"Paint it blue on 31999.", "It was blue.", "ccddffgg", object + "data: {port: \"31999\", colour: blue}\n"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := load(folder(drawn(nil)), "basics/one", tt.given, nil)
			if err != nil {
				t.Fatal(err)
			}
			var first, second params
			problems := l.Tasks[0].Checks[0].Params.Decode(&first)
			problems = append(problems, l.Tasks[1].Checks[0].Params.Decode(&second)...)
			if diff := cmp.Diff([]params{tt.first, tt.second}, []params{first, second}); diff != "" || problems != nil {
				t.Error(problems, diff)
			}
			if l.Tasks[0].Title != tt.title {
				t.Errorf("title %q, want %q", l.Tasks[0].Title, tt.title)
			}
			if diff := cmp.Diff(tt.texts, textsOf(t, l)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// textsOf are the texts of a lab that ${params.…} stands in.
func textsOf(t *testing.T, l *Lab) []string {
	t.Helper()
	story, err1 := l.Story()
	debrief, err2 := l.Debrief()
	tiers, err3 := l.Hints("first")
	files, err4 := l.Files("setup")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return []string{story, debrief, tiers[2], files[0].Content}
}

// Before anything is drawn, a number would be a lie.
func TestACatalogueShowsTheNamesOfParams(t *testing.T) {
	t.Parallel()
	all, err := Catalogue(folder(drawn(nil)))
	if err != nil {
		t.Fatal(err)
	}
	story, err := all[0].Story()
	if story != "Paint it <colour> on <port>." || err != nil {
		t.Errorf("the story is %q, error %v", story, err)
	}
	if len(all[0].Params) != 3 || all[0].Values != nil {
		t.Errorf("params %v, values %v", all[0].Params, all[0].Values)
	}
}

func TestParamsHaveProblemsAtTheirPlace(t *testing.T) {
	t.Parallel()
	lab := func(old, text string) map[string]string {
		files := drawn(nil)
		if !strings.Contains(files["lab.yaml"], old) {
			panic("no " + old)
		}
		return map[string]string{"lab.yaml": strings.Replace(files["lab.yaml"], old, text, 1)}
	}
	known := ", expected one of colour, port, token"
	tests := []struct {
		name    string
		changes map[string]string
		want    string
	}{
		{"unknown", lab("x-${params.token}", "x-${params.token}-${params.tokn}"), `lab.yaml:19:77: unknown parameter "tokn"` + known},
		{"unknown after an umlaut", lab("Paint ${params.colour}", "Dünn ${params.color}"), `lab.yaml:16:18: unknown parameter "color"` + known},
		{
			"unknown in a block", lab("a     ${params.token}", "a     ${params.token}\n          b  ${params.x} ${params.x}"),
			`lab.yaml:30:14: unknown parameter "x"` + known + "\n" + `lab.yaml:30:26: unknown parameter "x"` + known,
		},
		{"unknown behind an escape", lab(`"x-${params.token}"`, `"\u0078-${params.x}"`), `lab.yaml:19:66: unknown parameter "x"` + known},
		{"itself behind an escape", lab(`"x-${params.token}"`, `"\u0024{params.x}"`), `lab.yaml:19:58: unknown parameter "x"` + known},
		{
			"malformed", lab("${params.token}\"}", "${params.Token} ${params.} ${params.token\"}"),
			`lab.yaml:19:61: expected ${params.NAME}, found "${params.Token}"` + "\n" +
				`lab.yaml:19:77: expected ${params.NAME}, found "${params.}"` + "\n" +
				`lab.yaml:19:88: expected ${params.NAME}, found "${params.token"`,
		},
		{"not a number", lab("port: ${params.port}\n", "port: ${params.colour}\n"), `lab.yaml:25:15: expected a whole number, found "red"`},
		{
			"unquoted in braces", lab(`{port: "${params.port}",`, `{port: ${params.port},`),
			`lab.yaml:19:20: did not find expected ',' or '}': within { } and [ ] write it in quotes, as in {port: "${params.port}"}`,
		},
		{"in the story", map[string]string{"README.md": "One\n\nTwo ${params.x}\n"}, `README.md:3:5: unknown parameter "x"` + known},
		{"in the debrief", map[string]string{"debrief.md": "${params.port"}, `debrief.md:1:1: expected ${params.NAME}, found "${params.port"`},
		{"in a hint", map[string]string{"hints/first.md": "a\n---\nb\n---\nc ${params.x}"}, `hints/first.md:5:3: unknown parameter "x"` + known},
		{"in a manifest", map[string]string{"setup/web.yaml": object + "data: {a: ${params.x}}\n"}, `setup/web.yaml:4:11: unknown parameter "x"` + known},
		{
			"in a script",
			map[string]string{"a.sh": "echo\necho ${params.x}\n", "lab.yaml": strings.Replace(drawn(nil)["lab.yaml"], "{title: A, ", "{title: A, run: a.sh, ", 1)},
			`a.sh:2:6: unknown parameter "x"` + known,
		},
		{"in a title", lab("title: One", "title: One ${params.port}"), "lab.yaml:5:10: title is the same in every attempt, so no ${params.…} can stand here"},
		{"in a namespace", lab("[shop]", `[shop, "${params.colour}"]`), "lab.yaml:8:22: namespaces is the same in every attempt, so no ${params.…} can stand here"},
		{"in params", lab("[red, blue]", `[red, "${params.token}"]`), "lab.yaml:11:27: params is the same in every attempt, so no ${params.…} can stand here"},
		{"a bad name", lab("    token:", "    Extra: {letters: 4}\n    token:"), `lab.yaml:12:5: expected lower case letters, digits and dashes as a parameter's name, found "Extra"`},
		{"no way to draw", lab("{letters: 8}", "{}"), "lab.yaml:12:12: expected one of letters, oneOf and range, found 0"},
		{"two ways to draw", lab("{letters: 8}", "{letters: 8, range: [1, 2]}"), "lab.yaml:12:12: expected one of letters, oneOf and range, found 2"},
		{"too few letters", lab("letters: 8", "letters: 3"), "lab.yaml:12:22: expected letters from 4 to 32, found 3"},
		{"an endless number of letters", lab("letters: 8", "letters: 1000000000000"), "lab.yaml:12:22: expected letters from 4 to 32, found 1000000000000"},
		{"half a range", lab("[31000, 31999]", "[31000]"), "lab.yaml:10:19: expected [lowest, highest], from 0 to 2147483647"},
		{"a range backwards", lab("[31000, 31999]", "[31999, 31000]"), "lab.yaml:10:19: expected [lowest, highest], from 0 to 2147483647"},
		{"no choice", lab("[red, blue]", "[red]"), "lab.yaml:11:21: expected at least 2 words to choose from, found 1"},
		{"a choice that YAML would take apart", lab("[red, blue]", `[red, "a: b"]`), `lab.yaml:11:27: expected a word of up to 63 letters, digits, dots, dashes or slashes, found "a: b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(folder(drawn(tt.changes)), "basics/one", decodes{})
			if diff := cmp.Diff(tt.want, problemsOf(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDrawStaysWithinItsLimits(t *testing.T) {
	t.Parallel()
	l, err := Load(folder(drawn(map[string]string{
		"lab.yaml": strings.Replace(drawn(nil)["lab.yaml"], "[31000, 31999]", "[31000, 31002]", 1),
	})), "basics/one")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		values := l.Draw(r)
		seen[values["port"]], seen[values["colour"]] = true, true
		if token := values["token"]; len(token) != 8 || strings.Trim(token, consonants) != "" {
			t.Errorf("drew %q", token)
		}
		if _, err := LoadWith(folder(drawn(nil)), "basics/one", values); err != nil {
			t.Errorf("a lab refuses what it drew: %v", err)
		}
	}
	want := map[string]bool{"31000": true, "31001": true, "31002": true, "red": true, "blue": true}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("of 200 draws: %s", diff)
	}
	again := func() Values { return l.Draw(rand.New(rand.NewPCG(3, 4))) }
	if diff := cmp.Diff(again(), again()); diff != "" {
		t.Errorf("the same source draws other values: %s", diff)
	}
}

func TestLoadWithRefusesTheValuesOfAnotherLab(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		given Values
		want  []string
	}{
		{"none", nil, []string{"params.colour has no value yet", "params.port has no value yet", "params.token has no value yet"}},
		{"of other limits", Values{"port": "30999", "colour": "green", "token": "bbbb"}, []string{
			`params.colour is "green", and is now red or blue`, `params.port is "30999", and is now 31000 to 31999`,
			`params.token is "bbbb", and is now 8 consonants`,
		}},
		{"of another kind", Values{"port": "red", "colour": "31000", "token": "$(reboot)"}, []string{
			`params.colour is "31000", and is now red or blue`, `params.port is "red", and is now 31000 to 31999`,
			`params.token is "$(reboot)", and is now 8 consonants`,
		}},
		{"one of them", Values{"port": "031000", "colour": "red", "token": "bbbbbbbb"}, []string{`params.port is "031000", and is now 31000 to 31999`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := LoadWith(folder(drawn(nil)), "basics/one", tt.given)
			stale, ok := errors.AsType[*StaleError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(&StaleError{"basics/one", tt.want}, stale); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(err.Error(), "lab basics/one has changed since you started it: params.") ||
				!strings.HasSuffix(err.Error(), "; put it back to its beginning with: kindlab reset") {
				t.Errorf("the error says %q", err)
			}
		})
	}
}

// A lab's own faults are told first: a reset would not mend them.
func TestLoadWithTellsTheLabsFaultsFirst(t *testing.T) {
	t.Parallel()
	_, err := LoadWith(folder(drawn(map[string]string{"README.md": ""})), "basics/one", nil)
	if got := problemsOf(err); got != "README.md: no such file, expected text for the learner" {
		t.Errorf("got %s", got)
	}
}
