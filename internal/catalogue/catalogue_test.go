package catalogue

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/verify"
	"github.com/kindlab-dev/kindlab/labs"
)

var update = flag.Bool("update", false, "write labs/README.md anew")

const (
	pageFile     = "../../labs/README.md"
	verifiedFile = "../../labs/verified.json"
)

func TestThePageIsFresh(t *testing.T) {
	t.Parallel()
	all, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	want, err := Page(all, recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(pageFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageFile)
	if diff := cmp.Diff(string(got), want); err != nil || diff != "" {
		t.Errorf("labs/README.md is not what the labs say (%v); write it anew with: make catalogue\n%s", err, diff)
	}
}

// recorded is what was proved of the labs; nothing before the first proof.
func recorded(t *testing.T) []verify.Record {
	t.Helper()
	f, err := os.Open(verifiedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	records, err := verify.ReadRecords(f)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

const labYAML = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: %, topic: shop}
spec:
  title: The door | it is <shut>
  answers: ["Who opens?", "Why?"]
  level: beginner
  minutes: 12
  namespaces: [shop]
  setup: {apply: setup/}
  tasks: [{name: a, title: A, checks: [{rollout: {of: pod/a}}]}, {name: b, title: B, checks: [{rollout: {of: pod/a}}]}]
  solutions: [{title: A, apply: a}, {title: B, apply: b}]
  mistakes: []
`

func TestEachLabHasItsRow(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, name := range []string{"proved", "changed", "alone"} {
		files["shop/"+name+"/lab.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(labYAML, "%", name))}
	}
	all, err := lab.Catalogue(files)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := all[2].Hash()
	if err != nil {
		t.Fatal(err)
	}
	page, err := Page(all, []verify.Record{
		{
			Lab: "shop/proved", Hash: hash, Listed: verify.Strength{Caught: 4, Tried: 4}, Generated: verify.Strength{Caught: 9, Tried: 10},
			Kubernetes: "v1.37.1", CNI: "kindnet",
		},
		{Lab: "shop/changed", Hash: "of another content", Kubernetes: "v1.37.1", CNI: "kindnet"},
		{Lab: "shop/gone", Hash: hash},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(page, "|---|---|---|---|---|---|---|---|\n")
	row := func(topic, name, rest string) string {
		return "| " + topic + " | [" + name + "](shop/" + name + `/README.md): The door \| it is &lt;shut&gt; | beginner | 12 | 2 | Who opens?<br>Why? | ` + rest + " |\n"
	}
	want := row("**shop**", "alone", "not yet | not yet") + row("", "changed", "not yet | not yet") +
		row("", "proved", "4/4 listed, 9/10 generated | Kubernetes v1.37.1, kindnet")
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(page, "# The labs\n") || !strings.Contains(page, "ten minutes") {
		t.Errorf("the page does not begin with the author's guide")
	}
}
