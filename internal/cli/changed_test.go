package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// What a pull request touches is asked of git itself.
func TestOnlyChangedLabs(t *testing.T) {
	t.Parallel()
	repo := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", repo, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(file, text string) {
		t.Helper()
		path := filepath.Join(repo, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := []*lab.Lab{{Name: "dns/names"}, {Name: "pods/probes"}, {Name: "services/clusterip"}}
	for _, l := range all {
		write("labs/"+l.Name+"/lab.yaml", "title: as it was")
	}
	write("internal/check/check.go", "package check")
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "--message", "first")
	d := &deps{labsDir: filepath.Join(repo, "labs")}
	changed := func(since string) string {
		t.Helper()
		found, err := (&verifyOptions{changed: since}).changedLabs(t.Context(), d, all)
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, l := range found {
			names = append(names, l.Name)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	for _, step := range []struct{ file, want string }{
		{"", ""},
		{"labs/pods/probes/lab.yaml", "pods/probes"},
		{"labs/dns/names/mistakes/über 1.yaml", "dns/names pods/probes"},
		{"internal/check/check.go", "dns/names pods/probes services/clusterip"},
	} {
		if step.file != "" {
			write(step.file, "changed")
		}
		if got := changed("HEAD"); got != step.want {
			t.Errorf("after a change of %q: %q, want %q", step.file, got, step.want)
		}
	}
	for _, revision := range []string{"no-such-revision", "--output=x"} {
		if got := changed(revision); !strings.Contains(got, revision) {
			t.Errorf("%s: %s", revision, got)
		}
	}
}
