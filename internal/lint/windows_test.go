package lint_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/labs"
)

// A checkout on Windows has other line ends, and is the same catalogue.
func TestTheCatalogueWithTheLineEndsOfWindows(t *testing.T) {
	t.Parallel()
	windows := t.TempDir()
	err := fs.WalkDir(labs.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(labs.FS(), name)
		if err != nil {
			return err
		}
		to := filepath.Join(windows, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
			return err
		}
		return os.WriteFile(to, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			there, err := lab.Load(os.DirFS(windows), l.Name, check.Builtin())
			if err != nil {
				t.Fatal(err)
			}
			want, err := l.Hash()
			if got, hashed := there.Hash(); err != nil || hashed != nil || got != want {
				t.Errorf("its hash is %s, %v; want %s, %v", got, hashed, want, err)
			}
			for _, s := range there.Solutions {
				script, err := there.Raw(s.Run)
				if s.Run != "" && (err != nil || bytes.Contains([]byte(script), []byte("\r"))) {
					t.Errorf("script %s would not run: %v", s.Run, err)
				}
			}
		})
	}
}
