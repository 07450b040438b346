package lab

import (
	"maps"
	"testing"
	"testing/fstest"
)

func TestHashIsOfTheContentAndTheNames(t *testing.T) {
	t.Parallel()
	hash := func(files fstest.MapFS) string {
		l := &Lab{Name: "a/b", fsys: files, dir: "a/b"}
		h, err := l.Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	base := fstest.MapFS{"a/b/lab.yaml": text("x"), "a/b/setup/web.yaml": text("y"), "a/other/lab.yaml": text("z")}
	with := func(name, content string) fstest.MapFS {
		files := maps.Clone(base)
		if files[name] = text(content); content == "" {
			delete(files, name)
		}
		return files
	}
	for name, same := range map[string]fstest.MapFS{
		"another lab": with("a/other/lab.yaml", "other"), "a hidden file": with("a/b/.swp", "x"), "a hidden folder": with("a/b/_x/y", "x"),
	} {
		if hash(same) != hash(base) {
			t.Errorf("%s makes a difference", name)
		}
	}
	for name, other := range map[string]fstest.MapFS{
		"a content": with("a/b/setup/web.yaml", "other"), "a new file": with("a/b/setup/db.yaml", "y"), "a missing file": with("a/b/setup/web.yaml", ""),
	} {
		if hash(other) == hash(base) {
			t.Errorf("%s makes no difference", name)
		}
	}
	// A folder alone, as LoadDir reads it, has the hash of the same folder in the catalogue.
	alone := &Lab{Name: "a/b", fsys: fstest.MapFS{"lab.yaml": text("x"), "setup/web.yaml": text("y")}, dir: "."}
	if h, err := alone.Hash(); err != nil || h != hash(base) {
		t.Errorf("%s, %v, want %s", h, err, hash(base))
	}
}
