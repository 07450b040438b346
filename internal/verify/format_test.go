package verify_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// story is a verification as its events tell it: a proved lab, a cached one, one with a finding, and a bad one.
func story() verify.Report {
	c := verify.NewCollector()
	for _, e := range []verify.Event{
		{Lab: "b/weak", What: verify.Began, Tasks: 2, Hash: "bb"},
		{Lab: "a/good", What: verify.Began, Tasks: 3, Hash: "aa"},
		{Lab: "a/good", What: verify.Spent, Step: "start", Phase: verify.Setup, Took: 1500 * time.Millisecond},
		{Lab: "a/good", What: verify.Spent, Step: "start", Phase: verify.Setup, Took: 500 * time.Millisecond},
		{Lab: "a/good", What: verify.Listed, Caught: true},
		{Lab: "a/good", What: verify.MadeUp, Mutant: &verify.Tried{Name: "deny-all", Outcome: verify.Caught}},
		{Lab: "a/good", What: verify.MadeUp, Mutant: &verify.Tried{Name: "privileged pod/x", Outcome: verify.Refused}},
		{Lab: "a/good", What: verify.MadeUp, Mutant: &verify.Tried{Name: "rename x", Outcome: verify.Excused}},
		{Lab: "a/good", What: verify.Doubted, Finding: &verify.Finding{Lab: "a/good", Phase: verify.Grade, Step: "mistake: x", Is: "open is\npassed"}},
		{Lab: "b/weak", What: verify.Spent, Step: "mistake: x", Phase: verify.Reset, Took: time.Second},
		{Lab: "b/weak", What: verify.Listed},
		{Lab: "b/weak", What: verify.MadeUp, Mutant: &verify.Tried{Name: "allow-all", Change: "all | is\nopen", Outcome: verify.Slipped}},
		{Lab: "b/weak", What: verify.Found, Finding: &verify.Finding{Lab: "b/weak", Phase: verify.Grade, Step: "mistake: x", Is: "open is passed,\nwant failed & <shut>"}},
		{Lab: "b/weak", What: verify.Ended, Took: 4 * time.Second, Whole: true},
		{Lab: "a/good", What: verify.Ended, Took: 3 * time.Second, Whole: true},
		{Lab: "c/known", What: verify.Began, Tasks: 1, Hash: "cc"},
		{Lab: "c/known", What: verify.Recall, Cached: &verify.Lab{Name: "c/known", Hash: "cc", Tasks: 1, Listed: verify.Strength{Caught: 4, Tried: 4}}},
		{Lab: "c/known", What: verify.Ended, Whole: true},
	} {
		c.Add(e)
	}
	r := c.Report(5 * time.Second)
	r.Refuse(map[string]error{"d/bad": errors.New("d/bad/lab.yaml:3:1: missing key")})
	return r
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format   verify.Format
		terminal bool
		want     string
	}{
		{verify.Human, true, `✓ a/good   listed 1/1, generated 1/1, 1 refused by the API server, 1 excused, 3.0 s
    looked twice: mistake: x
      at first: open is passed
✗ b/weak   listed 0/1, generated 0/1, 4.0 s
    passes: allow-all
    grade, mistake: x
      open is passed,
      want failed & <shut>
✓ c/known  listed 4/4, generated 0/0, cached: nothing has changed since it was proved
✗ d/bad    listed 0/0, generated 0/0, 0.0 s
    load, lab.yaml
      d/bad/lab.yaml:3:1: missing key

2 of 4 labs proved, in 5.0 s
time by phase, of all labs: setup 2.0 s, reset 1.0 s
slowest: a/good, start 2.0 s; b/weak, mistake: x 1.0 s
`},
		{verify.Human, false, "lab\ta/good\tproved\t1/1\t1/1\t3.0\t\nexcused\ta/good\trename x\t\n" +
			"doubt\ta/good\tgrade\tmistake: x\topen is passed\n" +
			"lab\tb/weak\tfailed\t0/1\t0/1\t4.0\t\nslipped\tb/weak\tallow-all\tall | is open\n" +
			"finding\tb/weak\tgrade\tmistake: x\topen is passed, want failed & <shut>\n" +
			"lab\tc/known\tproved\t4/4\t0/0\t0.0\tcached\n" +
			"lab\td/bad\tfailed\t0/0\t0/0\t0.0\t\nfinding\td/bad\tload\tlab.yaml\td/bad/lab.yaml:3:1: missing key\n"},
		{verify.Markdown, false, `### 2 of 4 labs proved, in 5.0 s

| lab | result | listed | generated | refused | seconds |
|---|---|---|---|---|---|
| a/good | ✓ proved | 1/1 | 1/1 | 1 | 3.0 |
| b/weak | ✗ failed | 0/1 | 0/1 | 0 | 4.0 |
| c/known | ✓ proved | 4/4 | 0/0 | 0 | cached |
| d/bad | ✗ failed | 0/0 | 0/0 | 0 | 0.0 |

Time by phase, of all labs: setup 2.0 s, reset 1.0 s.

- **b/weak**, grade, mistake: x: open is passed, want failed & &lt;shut>

- **d/bad**, load, lab.yaml: d/bad/lab.yaml:3:1: missing key
`},
	} {
		var got strings.Builder
		if err := test.format.Write(&got, story(), test.terminal); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s:\n%s", test.format, diff)
		}
	}
}

func TestMachinesReadWhatWasFound(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	if err := verify.JSON.Write(&text, story(), false); err != nil {
		t.Fatal(err)
	}
	var back verify.Report
	if err := json.Unmarshal([]byte(text.String()), &back); err != nil {
		t.Fatal(err)
	}
	if back.Kind != "Verification" || back.APIVersion != "kindlab.dev/v1" || len(back.Labs) != 4 || back.ExitCode() != 2 {
		t.Errorf("%+v", back)
	}
	text.Reset()
	if err := verify.JUnit.Write(&text, story(), false); err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(text.String()), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 4 || suite.Failures != 2 || suite.Cases[0].Failure != nil ||
		suite.Cases[1].Failure.Message != "b/weak, grade, mistake: x: open is passed, want failed & <shut>" {
		t.Errorf("%+v", suite)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	proved := verify.Lab{Proved: true}
	with := func(f verify.Finding) verify.Lab { return verify.Lab{Findings: []verify.Finding{f}} }
	for _, test := range []struct {
		name string
		labs []verify.Lab
		want int
	}{
		{"nothing", nil, 0},
		{"proved", []verify.Lab{proved}, 0},
		{"wrong", []verify.Lab{proved, with(verify.Finding{}), with(verify.Finding{Unclear: true})}, 1},
		{"bad", []verify.Lab{with(verify.Finding{}), with(verify.Finding{Bad: true})}, 2},
		{"could not tell", []verify.Lab{proved, with(verify.Finding{Unclear: true})}, 3},
		{"not looked at", []verify.Lab{{}}, 3},
	} {
		if got := (verify.Report{Labs: test.labs}).ExitCode(); got != test.want {
			t.Errorf("%s: exit code %d, want %d", test.name, got, test.want)
		}
	}
}

func TestRecordsAreOfWhatWasProved(t *testing.T) {
	t.Parallel()
	got := story().Records("v1.37.0", "kube-router")
	want := []verify.Record{
		{Lab: "a/good", Hash: "aa", Tasks: 3, Listed: verify.Strength{Caught: 1, Tried: 1}, Generated: verify.Strength{Caught: 1, Tried: 1}, Kubernetes: "v1.37.0", CNI: "kube-router"},
		{Lab: "c/known", Hash: "cc", Tasks: 1, Listed: verify.Strength{Caught: 4, Tried: 4}, Kubernetes: "v1.37.0", CNI: "kube-router"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestChangedLabs(t *testing.T) {
	t.Parallel()
	labs := []*lab.Lab{{Name: "dns/names"}, {Name: "dns/names-too"}, {Name: "pods/probes"}}
	for _, test := range []struct {
		files []string
		want  []string
	}{
		{nil, nil},
		{[]string{"README.md", "labs/README.md", "labs/schema.json", "internal/cli/list.go", "internal/grade/grade_test.go"}, nil},
		{[]string{"labs/dns/names/lab.yaml"}, []string{"dns/names"}},
		{[]string{"labs/pods/probes/setup/a.yaml", "labs/dns/gone/lab.yaml"}, []string{"pods/probes"}},
		{[]string{"internal/check/http.go"}, []string{"dns/names", "dns/names-too", "pods/probes"}},
		{[]string{"manifests/node/Containerfile"}, []string{"dns/names", "dns/names-too", "pods/probes"}},
		{[]string{"go.mod"}, []string{"dns/names", "dns/names-too", "pods/probes"}},
	} {
		var got []string
		for _, l := range verify.Changed(labs, "labs", test.files) {
			got = append(got, l.Name)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v: %s", test.files, diff)
		}
	}
}
