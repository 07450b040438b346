package skeleton

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/lint"
)

func linter() lint.Linter {
	return lint.Linter{Kinds: check.Builtin(), Images: []string{"registry.k8s.io/e2e-test-images/agnhost:2.66.1"}}
}

func TestANewLabIsSound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder, err := Write(dir, "services", "front-door")
	if err != nil || folder != filepath.Join(dir, "services", "front-door") {
		t.Fatal(folder, err)
	}
	l, err := lab.LoadDir(folder, check.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	if l.Name != "services/front-door" || l.Namespaces[0] != "front-door" || len(l.Tasks) != 2 {
		t.Errorf("made %+v", l)
	}
	for _, f := range linter().Lint([]lint.Source{{Folder: folder, Shown: folder}}, nil) {
		t.Errorf("a new lab has a finding: %+v", f)
	}
}

// Verify is to say that a new lab is not solved yet. A skeleton whose placeholders were answers would teach nobody.
func TestThePlaceholdersAreNoAnswers(t *testing.T) {
	t.Parallel()
	folder, err := Write(t.TempDir(), "services", "front-door")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"solutions", "mistakes"} {
		names, err := filepath.Glob(filepath.Join(folder, part, "*.yaml"))
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		l, err := lab.LoadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		manifests, err := l.Files(part)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range manifests {
			if want := "kind: ConfigMap"; !strings.Contains(f.Content, want) || !strings.Contains(f.Content, "To be written") {
				t.Errorf("%s is no placeholder:\n%s", f.Path, f.Content)
			}
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder, err := Write(dir, "services", "front-door")
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(folder, "README.md")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir, "services", "front-door"); !errors.Is(err, ErrThere) {
		t.Errorf("got %v, want that it is there", err)
	}
	if text, err := os.ReadFile(mine); err != nil || string(text) != "mine" {
		t.Errorf("the author's text is now %q, %v", text, err)
	}
	if _, err := Write(dir, "services", "back-door"); err != nil {
		t.Errorf("a second lab of the topic: %v", err)
	}
}
