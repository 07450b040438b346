package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// maxSize bounds a file of a lab, in bytes: far above any real one, far below harm.
const maxSize = 1 << 20

var (
	errLink     = errors.New("is a link: a lab holds its own files")
	errNotPlain = errors.New("is not a plain file: a lab holds its own files")
	errTooLarge = errors.New("larger than 1 MiB")
)

// look finds a file or folder of the lab. A lab may come from anywhere, so each
// part of the way there is looked at without following it.
func (l *Lab) look(name string) (fs.FileInfo, error) {
	var info fs.FileInfo
	at := l.dir
	for part := range strings.SplitSeq(name, "/") {
		at = path.Join(at, part)
		var err error
		if info, err = fs.Lstat(l.fsys, at); err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, errLink
		}
	}
	return info, nil
}

// readPlain reads a file of the lab, given relative to its folder.
func (l *Lab) readPlain(name string) ([]byte, error) {
	info, err := l.look(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNotPlain
	case info.Size() > maxSize:
		return nil, errTooLarge
	}
	b, err := fs.ReadFile(l.fsys, path.Join(l.dir, name))
	return []byte(l.moved.text(string(unixLines(b)))), err
}

// unixLines is text with the line ends of Unix. A checkout on Windows has those of Windows, which YAML takes, and
// shells and Markdown do not.
func unixLines(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

// read returns the text of a file with this attempt's values in it. Where none
// are drawn yet, their names stand for them.
func (l *Lab) read(name string) (string, error) {
	b, err := l.readPlain(name)
	if err != nil {
		return "", fmt.Errorf("reading %s of lab %s: %w", name, l.Name, err)
	}
	values := l.Values
	if values == nil {
		values = Values{}
		for param := range l.Params {
			values[param] = "<" + param + ">"
		}
	}
	text, _ := filler{values}.fill(string(b))
	return text, nil
}

// Files returns the manifests at p, a file or a folder of the lab, in the
// order in which they are applied; none for "".
func (l *Lab) Files(p string) ([]File, error) {
	if p == "" {
		return nil, nil
	}
	names, err := l.manifests(strings.TrimSuffix(p, "/"))
	if err != nil {
		return nil, fmt.Errorf("reading %s of lab %s: %w", p, l.Name, err)
	}
	files := make([]File, len(names))
	for i, name := range names {
		if files[i], err = l.File(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// File returns one file of the lab, such as the script of a Run.
func (l *Lab) File(p string) (File, error) {
	text, err := l.read(p)
	return File{Path: p, Content: text}, err
}

// Raw returns the text of one file as its author wrote it, with ${params.…} in it.
func (l *Lab) Raw(p string) (string, error) {
	b, err := l.readPlain(p)
	if err != nil {
		return "", fmt.Errorf("reading %s of lab %s: %w", p, l.Name, err)
	}
	return string(b), nil
}

// Paths lists the lab's files, sorted, relative to its folder. Those whose names begin with a dot are not the lab's.
func (l *Lab) Paths() ([]string, error) {
	var paths []string
	err := fs.WalkDir(l.fsys, l.dir, func(name string, e fs.DirEntry, err error) error {
		switch hidden := strings.HasPrefix(e.Name(), ".") && name != l.dir; {
		case err != nil:
			return err
		case hidden && e.IsDir():
			return fs.SkipDir
		case !hidden && e.Type().IsRegular():
			paths = append(paths, strings.TrimPrefix(strings.TrimPrefix(name, l.dir), "/"))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the files of lab %s: %w", l.Name, err)
	}
	return paths, nil
}

// manifests lists the YAML files at p, sorted by name.
func (l *Lab) manifests(p string) ([]string, error) {
	info, err := l.look(p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{p}, nil
	}
	entries, err := fs.ReadDir(l.fsys, path.Join(l.dir, p))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			names = append(names, path.Join(p, e.Name()))
		}
	}
	return names, nil
}

// checkFiles validates that everything the lab refers to is there, inside its
// own folder, and can be read.
func (l *Lab) checkFiles(spec Node) Problems {
	var problems Problems
	for _, name := range []string{"README.md", "debrief.md"} {
		problems = append(problems, l.checkText(name)...)
	}
	for _, t := range l.Tasks {
		if dnsLabel.MatchString(t.ID) {
			problems = append(problems, l.checkHints(t.ID)...)
		}
	}
	// A file that several places name has its faults told once.
	told := map[string]bool{}
	steps := append(spec.list("solutions"), spec.list("mistakes")...)
	for _, n := range append(steps, spec.Field("setup")) {
		if apply, ok := n.lookup("apply"); ok {
			problems = append(problems, l.checkApply(apply, told)...)
		}
		if run, ok := n.lookup("run"); ok {
			problems = append(problems, l.checkRun(run, told)...)
		}
	}
	return problems
}

// checkText validates a text for the learner.
func (l *Lab) checkText(name string) Problems {
	text, problems := l.readChecked(name)
	if problems == nil && strings.TrimSpace(text) == "" {
		return Problems{{File: path.Join(l.dir, name), Text: "empty, expected text for the learner"}}
	}
	return problems
}

func (l *Lab) checkHints(task string) Problems {
	name := "hints/" + task + ".md"
	if p := l.checkText(name); p != nil {
		return p
	}
	hints, err := l.Hints(task)
	if err == nil && len(hints) == HintTiers && !slices.Contains(hints, "") {
		return nil
	}
	return Problems{{File: path.Join(l.dir, name), Text: "expected three hints, weakest first, with a line of --- between them"}}
}

// readChecked reads a file, and reports what stands for no parameter in it.
func (l *Lab) readChecked(name string) (string, Problems) {
	file := path.Join(l.dir, name)
	b, err := l.readPlain(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", Problems{{File: file, Text: "no such file, expected text for the learner"}}
	case err != nil:
		return "", Problems{{File: file, Text: err.Error()}}
	}
	return filler{l.Values}.fillText(file, string(b))
}

// checkPath validates where a path leads. It returns "" when that is nowhere.
func (l *Lab) checkPath(n Node) (string, fs.FileInfo, Problems) {
	text, ok := n.Text()
	if !ok || text == "" {
		return "", nil, nil // reported
	}
	p := strings.TrimSuffix(text, "/")
	if !fs.ValidPath(p) || p == "." {
		return "", nil, Problems{n.Problem("expected a path inside the lab's folder, found %q", text)}
	}
	info, err := l.look(p)
	switch {
	case errors.Is(err, errLink):
		return "", nil, Problems{n.Problem("%s %v", p, err)}
	case err != nil:
		return "", nil, Problems{n.Problem("no such file or folder: %s", p)}
	}
	return p, info, nil
}

// checkApply validates a manifest or a folder of them.
func (l *Lab) checkApply(n Node, told map[string]bool) Problems {
	p, _, problems := l.checkPath(n)
	if p == "" {
		return problems
	}
	names, err := l.manifests(p)
	if err != nil || len(names) == 0 {
		return Problems{n.Problem("expected manifests (*.yaml) in %s", p)}
	}
	for _, name := range names {
		if _, err := l.readPlain(name); err != nil {
			problems = append(problems, n.Problem("%s %v", name, err))
			continue
		}
		if !told[name] {
			problems = append(problems, l.checkManifest(name)...)
		}
		told[name] = true
	}
	return problems
}

// checkRun validates a script. That its name ends in .sh is a matter of its form.
func (l *Lab) checkRun(n Node, told map[string]bool) Problems {
	p, info, problems := l.checkPath(n)
	if p == "" || told[p] {
		return problems
	}
	told[p] = true
	if !info.Mode().IsRegular() {
		return Problems{n.Problem("%s %v", p, errNotPlain)}
	}
	text, problems := l.readChecked(p)
	if problems == nil && strings.TrimSpace(text) == "" {
		return Problems{n.Problem("%s is empty", p)}
	}
	return problems
}
