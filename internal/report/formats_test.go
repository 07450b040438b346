package report

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write what comes out to testdata")

// Each format as it is written, to look at. Written anew by go test ./internal/report -update.
func TestGolden(t *testing.T) {
	t.Parallel()
	told := full()
	told.Tell = &Remark{Mistake: "The till is locked", Text: "Somebody took the key.\nWho was it?"}
	told.Tasks = append(told.Tasks, Task{
		ID: "night", Title: "The oven survives the night", Verdict: Blocked, MaxPoints: 1,
		Findings: []Finding{{Check: "survives", Is: "it is asked only by kindlab check"}},
	})
	told.Safeguards[0].Seconds = 0.25
	tests := []struct {
		file   string
		format Format
		style  Style
	}{
		{"human.txt", Human, Style{Terminal: true}},
		{"human.tsv", Human, Style{}},
		{"wide.txt", Wide, Style{Terminal: true}},
		{"wide.tsv", Wide, Style{}},
		{"report.json", JSON, Style{}},
		{"report.yaml", YAML, Style{}},
		{"junit.xml", JUnit, Style{}},
		{"github.txt", GitHub, Style{File: "labs/services/bakery/lab.yaml"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join("testdata", tt.file)
			got := write(t, tt.format, told, tt.style)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// hostile is a report in which a cluster says what it likes.
func hostile() Report {
	r := full()
	const text = "]]> <b>&amp;\" \x00\x1b[2J\x7f\u0085\ufffe bad \xff utf-8, 100%: a,b\r\n::error::gotcha"
	for i := range r.Tasks {
		if r.Tasks[i].Verdict != Passed {
			r.Tasks[i].Title = text
			r.Tasks[i].Findings = []Finding{{Check: text, Is: text, Want: text, Look: text, More: []string{text}}}
		}
	}
	r.Tell = &Remark{Mistake: text, Text: text}
	return r
}

// What JUnit's readers take for granted: counts that add up, and XML that parses.
func TestJUnitIsValid(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Report{"usual": full(), "hostile": hostile(), "empty": {Time: time.Unix(0, 0)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := write(t, JUnit, r, Style{})
			var got junitSuites
			if err := xml.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			var want, found struct{ Tests, Failures, Errors, Skipped int }
			for _, task := range append(r.Tasks, r.Safeguards...) {
				want.Tests++
				switch task.Verdict {
				case Failed, Settling:
					want.Failures++
				case Unknown:
					want.Errors++
				case Blocked:
					want.Skipped++
				case Passed:
				}
			}
			suite := got.Suites[0]
			for _, c := range suite.Cases {
				found.Tests++
				if c.Failure != nil {
					found.Failures++
				}
				if c.Error != nil {
					found.Errors++
				}
				if c.Skipped != nil {
					found.Skipped++
				}
				if c.Class != r.Lab || suite.Name != r.Lab {
					t.Errorf("case %s.%s of suite %s, want lab %s", c.Class, c.Name, suite.Name, r.Lab)
				}
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Error("cases", diff)
			}
			counted := want
			counted.Tests, counted.Failures, counted.Errors, counted.Skipped = suite.Tests, suite.Failures, suite.Errors, suite.Skipped
			if diff := cmp.Diff(want, counted); diff != "" {
				t.Error("suite", diff)
			}
		})
	}
}

func TestJUnitTypes(t *testing.T) {
	t.Parallel()
	var got junitSuites
	if err := xml.Unmarshal([]byte(write(t, JUnit, full(), Style{})), &got); err != nil {
		t.Fatal(err)
	}
	cases := got.Suites[0].Cases
	for i, want := range map[int]string{1: "reach", 3: "settling"} {
		if f := cases[i].Failure; f == nil || f.Type != want {
			t.Errorf("case %s: failure %+v, want type %s", cases[i].Name, f, want)
		}
	}
	if e := cases[4].Error; e == nil || e.Type != "unknown" || e.Message != "connection refused" {
		t.Errorf("case %s: error %+v", cases[4].Name, e)
	}
	if s := cases[2].Skipped; s == nil || s.Message != "after oven, till" {
		t.Errorf("case %s: skipped %+v", cases[2].Name, s)
	}
}

// The rules of @actions/core: https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts.
func TestGitHubEscapes(t *testing.T) {
	t.Parallel()
	got := Annotation{Level: "error", Title: "a:b,c%", File: "x,y.yaml", Message: "100%: a,b\nnext\r\x1b[0m"}.String()
	want := "::error title=a%3Ab%2Cc%25,file=x%2Cy.yaml::100%25: a,b%0Anext[0m\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := (Annotation{Level: "warning", Title: "a", File: "b", Line: 3, Column: 4, Message: "c"}).String(); got != "::warning title=a,file=b,line=3,col=4::c\n" {
		t.Errorf("at a line: %q", got)
	}
	for line := range strings.Lines(write(t, GitHub, hostile(), Style{File: "a\n::error::b"})) {
		if !strings.HasPrefix(line, "::error title=services/bakery ") && !strings.HasPrefix(line, "::warning title=services/bakery shop,") &&
			!strings.HasPrefix(line, "::notice title=services/bakery::") {
			t.Errorf("a line that we did not mean: %q", line)
		}
	}
}

// A row is a row, whatever the cluster says.
func TestPlainRowsHold(t *testing.T) {
	t.Parallel()
	r := hostile()
	for format, tabs := range map[Format]int{Human: 3, Wide: 6} {
		lines := strings.Split(strings.TrimSuffix(write(t, format, r, Style{}), "\n"), "\n")
		if len(lines) != len(r.Tasks)+len(r.Safeguards) {
			t.Errorf("%s: %d lines for %d tasks and safeguards", format, len(lines), len(r.Tasks)+len(r.Safeguards))
		}
		for _, line := range lines {
			if strings.Count(line, "\t") != tabs || strings.ContainsAny(line, "\x1b\x00\r") {
				t.Errorf("%s: %q", format, line)
			}
		}
	}
}

func TestYAMLSaysWhatJSONSays(t *testing.T) {
	t.Parallel()
	for _, r := range []Report{full(), hostile(), {}} {
		var fromJSON, fromYAML any
		if err := json.Unmarshal([]byte(write(t, JSON, r, Style{})), &fromJSON); err != nil {
			t.Fatal(err)
		}
		text := write(t, YAML, r, Style{})
		var form any
		if err := yaml.Unmarshal([]byte(text), &form); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		b, err := json.Marshal(form)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &fromYAML); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
			t.Error(diff)
		}
	}
}

// A program that iterates over the tasks need not ask whether there are any.
func TestNoTasksAreAnEmptyList(t *testing.T) {
	t.Parallel()
	if got := write(t, JSON, Report{}, Style{}); !strings.Contains(got, `"tasks": []`) {
		t.Error(got)
	}
	if got := write(t, YAML, Report{}, Style{}); !strings.Contains(got, "tasks: []\n") {
		t.Error(got)
	}
}

func TestNotesAndLooking(t *testing.T) {
	t.Parallel()
	r := Report{Lab: "a/b", Tasks: []Task{{ID: "one", Title: "One", Verdict: Passed}, {ID: "two", Title: "Two"}}}
	got := write(t, Human, r, Style{Terminal: true, Notes: map[string]string{"one": "just now"}})
	want := "  ✓ one  One  (just now)\n  · two  Two\n      looking\n"
	if !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant in it\n%s", got, want)
	}
}

func TestSays(t *testing.T) {
	t.Parallel()
	f := Finding{Is: "the till is closed", Want: "open", More: []string{"b  closed to two"}}
	for words, want := range map[string]bool{"is closed": true, "to two": true, "open": false} {
		if f.Says(words) != want {
			t.Errorf("%q: %v, want %v", words, !want, want)
		}
	}
}
