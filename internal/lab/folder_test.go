package lab

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// onDisk writes a lab's folder, called as nobody's lab is.
func onDisk(t *testing.T, changes map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "My Lab")
	for name, file := range folder(changes) {
		name = filepath.Join(dir, strings.TrimPrefix(name, "basics/one/"))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadDirTakesAFolderOfAnyName(t *testing.T) {
	t.Parallel()
	dir := onDisk(t, drawn(nil))
	l, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if l.Name != "basics/one" || l.Folder != dir {
		t.Errorf("lab %s in %s", l.Name, l.Folder)
	}
	// What a later command does with the path that start kept.
	if l, err = LoadDirWith(l.Folder, Values{"port": "31500", "colour": "blue", "token": "bcdfghjk"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"Paint it blue on 31500.", "It was blue.", "bcdfghjk", object + "data: {port: \"31500\", colour: blue}\n"}
	if diff := cmp.Diff(want, textsOf(t, l)); diff != "" {
		t.Error(diff)
	}
	if _, err := LoadDirWith(dir, nil); err == nil || !strings.Contains(err.Error(), "kindlab reset") {
		t.Errorf("got %v, want the missing values named", err)
	}
}

func TestALabShowsItsFilesAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	files := drawn(nil)
	files[".git/config"], files["notes/.hidden"] = "x", "x"
	dir := onDisk(t, files)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "notes", "link.md")); err != nil {
		t.Fatal(err)
	}
	l, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := l.Paths()
	want := []string{
		"README.md", "debrief.md", "hints/first.md", "hints/second.md", "lab.yaml", "mistakes/c.yaml",
		"setup/notes.txt", "setup/web.yaml", "solutions/a.yaml", "solutions/b.yaml",
	}
	if diff := cmp.Diff(want, slices.DeleteFunc(paths, func(p string) bool { return strings.HasSuffix(p, ".sh") })); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if text, err := l.Raw("README.md"); err != nil || !strings.Contains(text, "${params.colour}") {
		t.Errorf("the story is %q, %v", text, err)
	}
	if text, err := l.Raw("notes/link.md"); err == nil {
		t.Errorf("followed a link out of the folder: %q", text)
	}
}

func TestLoadDirNamesFilesAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	dir := onDisk(t, map[string]string{"lab.yaml": strings.Replace(good, "minutes: 5", "minutes: x", 1), "README.md": ""})
	_, err := LoadDir(dir, refuse{})
	want := Problems{
		{File: dir + "/README.md", Text: "no such file, expected text for the learner"},
		{dir + "/lab.yaml", 7, 12, `expected a whole number, found "x"`},
		{dir + "/lab.yaml", 15, 18, "no look today"},
		{dir + "/lab.yaml", 20, 18, "no look today"},
	}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Error(diff)
	}
}

func TestLoadDirOfNoLab(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	tests := []struct{ name, dir, want string }{
		{"no folder", empty + "/none", empty + "/none: no such folder: a lab is a folder with a lab.yaml"},
		{"an empty folder", empty, empty + "/lab.yaml: no such file: a lab is a folder with a lab.yaml"},
		{"a file", onDisk(t, nil) + "/lab.yaml", "lab.yaml: not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := LoadDir(tt.dir); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// A lab may come from anywhere: what is not in its folder is not its own.
func TestALabReadsNothingButItsOwnFiles(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(outside, []byte(object), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(name, target string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name string
		make func(t *testing.T, dir string)
		want string
	}{
		{"a manifest", link("solutions/a.yaml", outside), "lab.yaml:22:23: solutions/a.yaml is a link: a lab holds its own files"},
		{"a manifest inside", link("solutions/a.yaml", "b.yaml"), "lab.yaml:22:23: solutions/a.yaml is a link: a lab holds its own files"},
		{"a file of a folder", link("setup/web.yaml", outside), "lab.yaml:9:18: setup/web.yaml is a link: a lab holds its own files"},
		{"a folder", link("setup", filepath.Dir(outside)), "lab.yaml:9:18: setup is a link: a lab holds its own files"},
		{"the story", link("README.md", outside), "README.md: is a link: a lab holds its own files"},
		{"the hints", link("hints", filepath.Dir(outside)), "hints/first.md: is a link: a lab holds its own files\nhints/second.md: is a link: a lab holds its own files"},
		{"lab.yaml", link("lab.yaml", outside), "lab.yaml: is a link: a lab holds its own files"},
		{"a pipe, which would never end", func(t *testing.T, dir string) {
			t.Helper()
			file := filepath.Join(dir, "debrief.md")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mkfifo(file, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "debrief.md: is not a plain file: a lab holds its own files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := onDisk(t, nil)
			tt.make(t, dir)
			_, err := LoadDir(dir)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, strings.ReplaceAll(err.Error(), dir+"/", "")); diff != "" {
				t.Error(diff)
			}
			// A catalogue that is no lab.Folder is as strict.
			if _, err := Load(os.DirFS(dir), "."); err == nil || err.Error() != tt.want {
				t.Errorf("from a plain file system: %v", err)
			}
		})
	}
}

// Even a link that appears after the look leads nowhere.
func TestAFolderHasNoWayOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	files, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(files, "a"); err == nil {
		t.Errorf("read %q", b)
	}
}
