package grader

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// What grades is what the packages that prove a lab import, and what no import shows: the agent that is built into
// probe, the node image's parts, and what pins the libraries.
func TestSourcesAreWhatGradesImport(t *testing.T) {
	t.Parallel()
	const module = "github.com/kindlab-dev/kindlab/"
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"cmd/kindlab-agent", module+"internal/verify",
		module+"internal/site", module+"internal/nodeimage")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"go.mod": true, "go.sum": true, "manifests/": true}
	for pkg := range strings.FieldsSeq(string(out)) {
		folder, ours := strings.CutPrefix(pkg, module)
		if !ours {
			continue
		}
		parts := strings.Split(folder, "/")
		want[strings.Join(parts[:min(2, len(parts))], "/")+"/"] = parts[0] != "manifests"
	}
	delete(want, "manifests/node/")
	want["manifests/"] = true
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(Sources()))); diff != "" {
		t.Error(diff)
	}
}

func TestWhatGrades(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		"go.mod": true, "manifests/node/recipe.yaml": true, "internal/nearest/nearest.go": true, "internal/engine/podmanconf.go": true,
		"internal/remedy/remedy.go": true, "cmd/kindlab-agent/main.go": true, "internal/grader/grader.go": true, "internal/probe/dial/dns.go": true,
		"internal/lint/rules.go": false, "internal/cli/check.go": false, "internal/check/can_test.go": false, "internal/checks/x.go": false,
		"internal/lab/testdata/x.yaml": false, "manifests/node/conformance.md": false, "internal/probe/agent/kindlab-agent": false,
		"labs/dns/names/lab.yaml": false, "go.mode": false,
	} {
		if got := Grades(file); got != want {
			t.Errorf("%s grades: %t, want %t", file, got, want)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	const code = "// Package check checks.\npackage check\n\n//go:embed a.txt\nvar a string // text\n"
	hash := func(change func(fstest.MapFS)) string {
		t.Helper()
		repo := fstest.MapFS{}
		for _, source := range Sources() {
			if strings.HasSuffix(source, "/") {
				source += "a.txt"
			}
			repo[source] = &fstest.MapFile{Data: []byte("a")}
		}
		repo["internal/check/check.go"] = &fstest.MapFile{Data: []byte(code)}
		change(repo)
		sum, err := Hash(repo)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	file := func(name, text string) func(fstest.MapFS) {
		return func(repo fstest.MapFS) { repo[name] = &fstest.MapFile{Data: []byte(text)} }
	}
	was := hash(func(fstest.MapFS) {})
	if len(was) != 16 {
		t.Errorf("the hash is %q", was)
	}
	for name, tt := range map[string]struct {
		change func(fstest.MapFS)
		same   bool
	}{
		"a comment":         {file("internal/check/check.go", strings.ReplaceAll(code, "text", "another text")), true},
		"an instruction":    {file("internal/check/check.go", strings.ReplaceAll(code, "a.txt", "b.txt")), false},
		"code":              {file("internal/check/check.go", code+"var b = 1\n"), false},
		"a string":          {file("internal/check/check.go", code+"var b = `// no comment`\n"), false},
		"did you mean":      {file("internal/nearest/nearest.go", "package nearest"), false},
		"the engine's conf": {file("internal/engine/podmanconf.go", "package engine"), false},
		"a test":            {file("internal/check/check_test.go", "package check"), true},
		"a lint rule":       {file("internal/lint/rules.go", "package lint"), true},
		"the recipe":        {file("manifests/node/recipe.yaml", "go: 1"), false},
		"a library":         {file("go.sum", "b"), false},
	} {
		if now := hash(tt.change); (now == was) != tt.same {
			t.Errorf("%s: the hash stays the same: %t, want %t", name, now == was, tt.same)
		}
	}
	if _, err := Hash(fstest.MapFS{}); err == nil {
		t.Error("nothing has a hash")
	}
}
