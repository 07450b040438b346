package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// full is a report with a task of each verdict and a safeguard that holds.
func full() Report {
	return Report{
		APIVersion: APIVersion, Kind: Kind, Lab: "services/bakery", Title: "The bakery",
		Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Seconds: 1.26, Points: 2, MaxPoints: 9,
		Tasks: []Task{
			{ID: "oven", Title: "The oven is hot", Verdict: Passed, Points: 2, MaxPoints: 2, Seconds: 0.5},
			{ID: "till", Title: "The till answers", Verdict: Failed, MaxPoints: 3, Findings: []Finding{{
				Check: "reach", Is: "the till is\tclosed\nto two", Want: "open", Look: "kubectl get pods",
				More: []string{"a  open", "b  closed"},
			}}},
			{ID: "bread", Title: "The bread is sold", Verdict: Blocked, MaxPoints: 1, After: []string{"oven", "till"}},
			{ID: "a-long-name", Title: "The dough rests", Verdict: Settling, MaxPoints: 1, Findings: []Finding{{Check: "rollout", Is: "1 of 2 ready"}}},
			{ID: "shop", Title: "The shop is open", Verdict: Unknown, MaxPoints: 2, Findings: []Finding{{Check: "http", Is: "connection refused"}}},
		},
		Safeguards: []Task{{ID: "safeguard-1", Title: "The old shop still works", Verdict: Passed}},
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name              string
		tasks, safeguards []Verdict
		want              int
	}{
		{"nothing", nil, nil, 0},
		{"passed", []Verdict{Passed, Passed}, []Verdict{Passed}, 0},
		{"failed", []Verdict{Passed, Failed}, nil, 1},
		{"settling", []Verdict{Settling, Passed}, nil, 1},
		{"unknown", []Verdict{Unknown, Passed}, nil, 3},
		{"failed before unknown", []Verdict{Failed, Unknown}, nil, 1},
		{"failed after unknown", []Verdict{Unknown, Failed}, nil, 1},
		{"blocked by failed", []Verdict{Failed, Blocked}, nil, 1},
		{"blocked by unknown", []Verdict{Unknown, Blocked}, nil, 3},
		{"blocked by what is not asked", []Verdict{Passed, Blocked}, nil, 1},
		{"not looked at yet", []Verdict{Passed, ""}, nil, 3},
		{"safeguard failed", []Verdict{Passed}, []Verdict{Passed, Failed}, 1},
		{"safeguard unknown", []Verdict{Passed}, []Verdict{Unknown, Passed}, 3},
		{"safeguard failed after unknown", []Verdict{Unknown}, []Verdict{Failed}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Report{Tasks: tasksOf(tt.tasks), Safeguards: tasksOf(tt.safeguards)}
			if got := r.ExitCode(); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}

func tasksOf(verdicts []Verdict) []Task {
	var tasks []Task
	for _, v := range verdicts {
		tasks = append(tasks, Task{Verdict: v})
	}
	return tasks
}

// Reports are passed by value, but their slices are shared.
func TestExitCodeLeavesTheReportAlone(t *testing.T) {
	t.Parallel()
	tasks := append(make([]Task, 0, 2), Task{ID: "one", Verdict: Passed})
	_ = Report{Tasks: tasks, Safeguards: []Task{{ID: "guard", Verdict: Passed}}}.ExitCode()
	if got := tasks[:2][1]; got.ID != "" {
		t.Errorf("wrote %+v behind the tasks", got)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	r := Report{
		Tasks:      tasksOf([]Verdict{Passed, Failed, Passed, Blocked, Settling, Unknown}),
		Safeguards: tasksOf([]Verdict{Passed, Failed}), // these are no tasks
	}
	want := map[Verdict]int{Passed: 2, Failed: 1, Settling: 1, Blocked: 1, Unknown: 1}
	for v, n := range want {
		if got := r.Count(v); got != n {
			t.Errorf("%s: %d, want %d", v, got, n)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	// A terminal changes nothing: the JSON form is for programs.
	for _, s := range []Style{{}, {Terminal: true, Color: true}} {
		text := write(t, JSON, full(), s)
		var got Report
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(full(), got); diff != "" {
			t.Error(diff)
		}
	}
}

// Others read these names: a change of one breaks them.
func TestJSONNames(t *testing.T) {
	t.Parallel()
	r := full()
	r.Tasks, r.Safeguards = r.Tasks[1:3], nil
	const want = `{
  "apiVersion": "kindlab.dev/v1",
  "kind": "Report",
  "lab": "services/bakery",
  "title": "The bakery",
  "time": "2026-03-04T05:06:07Z",
  "seconds": 1.26,
  "points": 2,
  "maxPoints": 9,
  "tasks": [
    {
      "id": "till",
      "title": "The till answers",
      "verdict": "failed",
      "points": 0,
      "maxPoints": 3,
      "findings": [
        {
          "check": "reach",
          "is": "the till is\tclosed\nto two",
          "want": "open",
          "look": "kubectl get pods",
          "more": [
            "a  open",
            "b  closed"
          ]
        }
      ],
      "seconds": 0
    },
    {
      "id": "bread",
      "title": "The bread is sold",
      "verdict": "blocked",
      "points": 0,
      "maxPoints": 1,
      "after": [
        "oven",
        "till"
      ],
      "seconds": 0
    }
  ]
}
`
	if diff := cmp.Diff(want, write(t, JSON, r, Style{})); diff != "" {
		t.Error(diff)
	}
}

func TestHumanToATerminal(t *testing.T) {
	t.Parallel()
	const want = `services/bakery  The bakery

  ✓ oven         The oven is hot
  ✗ till         The till answers
      the till is closed to two
        a  open
        b  closed
      wanted: open
      look:   kubectl get pods
  · bread        The bread is sold
      first: oven, till
  … a-long-name  The dough rests
      the cluster is still on its way
      1 of 2 ready
  ? shop         The shop is open
      could not tell (this is no mark against you)
      connection refused

1 of 5 tasks passed, 2 of 9 points, in 1.3 s
`
	r := full()
	r.Tasks[1].Findings[0].Is = "the till is closed to two"
	if diff := cmp.Diff(want, write(t, Human, r, Style{Terminal: true})); diff != "" {
		t.Error(diff)
	}
}

func TestHumanShowsABrokenSafeguard(t *testing.T) {
	t.Parallel()
	r := Report{Safeguards: []Task{
		{ID: "safeguard-1", Title: "Held", Verdict: Passed},
		{ID: "safeguard-2", Title: "Broken", Verdict: Failed, Findings: []Finding{{Is: "the old shop is closed"}}},
	}}
	got := write(t, Human, r, Style{Terminal: true})
	if !strings.Contains(got, "  ✗ Broken\n      the old shop is closed\n") {
		t.Errorf("the broken safeguard is not there:\n%s", got)
	}
	if strings.Contains(got, "Held") {
		t.Errorf("a safeguard that held is not worth a line:\n%s", got)
	}
	if !strings.Contains(got, "0 of 0 tasks passed") {
		t.Errorf("safeguards are counted as tasks:\n%s", got)
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		verdict Verdict
		want    string
	}{
		{Passed, "\x1b[32m✓\x1b[0m"},
		{Failed, "\x1b[31m✗\x1b[0m"},
		{Settling, "\x1b[33m…\x1b[0m"},
		{Blocked, "\x1b[2m·\x1b[0m"},
		{Unknown, "\x1b[33m?\x1b[0m"},
	}
	for _, tt := range tests {
		t.Run(string(tt.verdict), func(t *testing.T) {
			t.Parallel()
			r := Report{Tasks: []Task{{ID: "one", Verdict: tt.verdict}}}
			if got := write(t, Human, r, Style{Terminal: true, Color: true}); !strings.Contains(got, tt.want) {
				t.Errorf("no %q in %q", tt.want, got)
			}
		})
	}
	// A pipe gets no colour, whatever was asked for.
	for _, s := range []Style{{Terminal: true}, {Color: true}} {
		if got := write(t, Human, full(), s); strings.Contains(got, "\x1b") {
			t.Errorf("%+v: an escape sequence in %q", s, got)
		}
	}
}

func TestHumanToAPipe(t *testing.T) {
	t.Parallel()
	r := full()
	r.Tasks[1].Findings = append(r.Tasks[1].Findings, Finding{Is: "and late"})
	r.Safeguards[0].Verdict = Failed
	r.Safeguards[0].Findings = []Finding{{Is: "the old shop is closed"}}
	want := strings.Join([]string{
		"oven\tpassed\t2/2\t",
		"till\tfailed\t0/3\tthe till is closed to two, want open; and late",
		"bread\tblocked\t0/1\tafter oven, till",
		"a-long-name\tsettling\t0/1\t1 of 2 ready",
		"shop\tunknown\t0/2\tconnection refused",
		"safeguard-1\tfailed\t\tthe old shop is closed",
		"",
	}, "\n")
	got := write(t, Human, r, Style{})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for line := range strings.Lines(got) {
		if n := strings.Count(line, "\t"); n != 3 {
			t.Errorf("%d tabs, want 3 in each line: %q", n, line)
		}
	}
}

func TestWriteReturnsTheStreamsError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		format Format
		style  Style
	}{
		{"json", JSON, Style{}},
		{"terminal", Human, Style{Terminal: true}},
		{"pipe", Human, Style{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.format.Write(closed{}, full(), tt.style); !errors.Is(err, errClosed) {
				t.Errorf("got %v, want %v", err, errClosed)
			}
		})
	}
}

func TestTheDefaultFormatIsHuman(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]Format{Human, Wide, JSON, YAML, JUnit, GitHub}, Formats()); diff != "" {
		t.Error(diff)
	}
}

var errClosed = errors.New("closed pipe")

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errClosed }

func write(t *testing.T, f Format, r Report, s Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
