package cli

import (
	"bytes"
	"context"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// labs are those to prove, all that there are, and what is wrong with those that cannot be read: one bad lab must not
// keep the others from being proved.
func (o *verifyOptions) labs(ctx context.Context, d *deps, names []string) (labs, all []*lab.Lab, bad map[string]error, err error) {
	files, err := d.labFiles()
	if err != nil {
		return nil, nil, nil, err
	}
	paths, err := fs.Glob(files, "*/*/lab.yaml")
	if err != nil {
		return nil, nil, nil, err
	}
	bad = map[string]error{}
	broken := map[string]error{}
	for _, path := range paths {
		name := filepath.ToSlash(filepath.Dir(path))
		l, err := lab.Load(files, name, check.Builtin())
		if err != nil {
			broken[name] = err
			// By its folder it can be named, and skipped.
			topic, id, _ := strings.Cut(name, "/")
			l = &lab.Lab{Name: name, Topic: topic, ID: id}
		}
		all = append(all, l)
	}
	chosen := all
	switch {
	case o.changed != "":
		if chosen, err = o.changedLabs(ctx, d, all); err != nil {
			return nil, nil, nil, err
		}
	case len(names) > 0:
		chosen = nil
		for _, name := range names {
			l, err := o.named(all, name)
			if err != nil {
				return nil, nil, nil, err
			}
			chosen = append(chosen, l)
		}
	}
	for _, l := range chosen {
		if err := broken[l.Name]; err != nil && len(l.Tasks) == 0 {
			bad[l.Name] = err
		} else {
			labs = append(labs, l)
		}
	}
	return labs, all, bad, nil
}

func (o *verifyOptions) named(all []*lab.Lab, name string) (*lab.Lab, error) {
	if isPath(name) {
		return lab.LoadDir(name, check.Builtin())
	}
	return (&catalogue{labs: all}).find(name)
}

// changedLabs asks git which files differ from a revision, new ones included.
func (o *verifyOptions) changedLabs(ctx context.Context, d *deps, all []*lab.Lab) ([]*lab.Lab, error) {
	folder := "."
	if d.labsDir != "" {
		folder = d.labsDir
	}
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			return "", remedy.New(usageErrorf("git %s: %s", strings.Join(args, " "), strings.TrimSpace(said.String())),
				"call it in the repository of the labs, with a revision that is there")
		}
		return strings.TrimSpace(string(out)), nil
	}
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	catalogue := "labs"
	if d.labsDir != "" {
		absolute, err := filepath.Abs(d.labsDir)
		if err != nil {
			return nil, err
		}
		if resolved, err := filepath.EvalSymlinks(absolute); err == nil { // as git tells its root
			absolute = resolved
		}
		if catalogue, err = filepath.Rel(root, absolute); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(o.changed, "-") {
		return nil, usageErrorf("--only-changed wants a revision, found %q", o.changed)
	}
	differ, err := git("diff", "--name-only", "-z", o.changed, "--")
	if err != nil {
		return nil, err
	}
	anew, err := git("ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/")
	if err != nil {
		return nil, err
	}
	return verify.Changed(all, filepath.ToSlash(catalogue), strings.Split(differ+"\x00"+anew, "\x00")), nil
}
