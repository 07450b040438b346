package lab

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// What a lab must hold to be worth a learner's time.
const (
	minSolutions = 2
	minMistakes  = 3
)

// checkFiles validates that everything the lab refers to is there, inside its
// own folder.
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

	problems = append(problems, l.checkPath(spec.Field("setup").Field("apply"), l.Setup.Apply)...)
	for i, n := range spec.list("solutions") {
		problems = append(problems, l.checkPath(n.Field("apply"), l.Solutions[i].Apply)...)
	}
	for i, n := range spec.list("mistakes") {
		problems = append(problems, l.checkPath(n.Field("apply"), l.Mistakes[i].Apply)...)
	}
	if l.Solutions != nil && len(l.Solutions) < minSolutions {
		problems = append(problems, spec.Field("solutions").Problem("expected at least %d solutions, found %d", minSolutions, len(l.Solutions)))
	}
	if l.Mistakes != nil && len(l.Mistakes) < minMistakes {
		problems = append(problems, spec.Field("mistakes").Problem("expected at least %d mistakes, found %d", minMistakes, len(l.Mistakes)))
	}
	return problems
}

func (l *Lab) checkText(name string) Problems {
	text, err := l.read(name)
	switch {
	case err != nil:
		return Problems{{File: path.Join(l.dir, name), Text: "no such file, expected text for the learner"}}
	case strings.TrimSpace(text) == "":
		return Problems{{File: path.Join(l.dir, name), Text: "empty, expected text for the learner"}}
	}
	return nil
}

func (l *Lab) checkHints(task string) Problems {
	name := "hints/" + task + ".md"
	if p := l.checkText(name); p != nil {
		return p
	}
	hints, err := l.Hints(task)
	if err == nil && len(hints) == HintTiers && !containsEmpty(hints) {
		return nil
	}
	return Problems{{File: path.Join(l.dir, name), Text: "expected three hints, weakest first, with a line of --- between them"}}
}

func containsEmpty(list []string) bool {
	return slices.Contains(list, "")
}

// checkPath validates a reference to a manifest or a folder of manifests. A
// lab may come from anywhere, so a path that leaves the lab's folder, in words
// or through a link, is refused.
func (l *Lab) checkPath(n Node, p string) Problems {
	if p == "" {
		return nil // missing, which is reported
	}
	p = strings.TrimSuffix(p, "/")
	if !fs.ValidPath(p) || p == "." {
		return Problems{n.Problem("expected a path inside the lab's folder, found %q", p)}
	}
	// Each part is looked at without following it.
	for i, part := range strings.Split(p, "/") {
		at := path.Join(l.dir, strings.Join(strings.Split(p, "/")[:i], "/"))
		entries, err := fs.ReadDir(l.fsys, at)
		if err != nil {
			return Problems{n.Problem("no such file or folder: %s", p)}
		}
		found := false
		for _, e := range entries {
			if e.Name() != part {
				continue
			}
			found = true
			if e.Type()&fs.ModeSymlink != 0 {
				return Problems{n.Problem("%s is a link: a lab holds its own files", p)}
			}
		}
		if !found {
			return Problems{n.Problem("no such file or folder: %s", p)}
		}
	}
	if p != strings.TrimSpace(p) {
		return Problems{n.Problem("expected a path without spaces around it, found %q", p)}
	}
	return l.checkManifests(n, p)
}

func (l *Lab) checkManifests(n Node, p string) Problems {
	names, err := manifests(l.fsys, path.Join(l.dir, p))
	if err != nil || len(names) == 0 {
		return Problems{n.Problem("expected manifests (*.yaml) in %s", p)}
	}
	for _, name := range names {
		if info, err := fs.Lstat(l.fsys, name); err != nil || !info.Mode().IsRegular() {
			return Problems{n.Problem("%s is not a plain file: a lab holds its own files", strings.TrimPrefix(name, l.dir+"/"))}
		}
	}
	return nil
}
