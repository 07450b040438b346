//go:build e2e

package nodeimage

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/manifests"
)

// crashFolder, where set, turns the test binary into a build in that folder, for a test that kills it.
const crashFolder = "KINDLAB_TEST_BUILD_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		if err := buildIn(context.Background(), dir, printer{}); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// printer shows each step as it starts, for the test that waits for one.
type printer struct{}

func (printer) Start(name string) func(error, string) {
	_, _ = os.Stdout.WriteString(name + "\n")
	return func(error, string) {}
}

// buildIn builds the embedded recipe with a mark of the folder's own, so that no image of another build fits.
func buildIn(ctx context.Context, dir string, steps Steps) error {
	e, err := engine.Find(ctx, engine.Options{StateDir: filepath.Join(dir, "state")})
	if err != nil {
		return err
	}
	files, err := manifests.Node()
	if err != nil {
		return err
	}
	marked := fstest.MapFS{"overlays/mark": {Data: []byte(dir)}}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, name)
		marked[name] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		return err
	}
	recipe, err := LoadRecipe(marked)
	if err != nil {
		return err
	}
	b := NewBuilder(recipe, e, dir, steps)
	reference, err := b.Ensure(ctx)
	if err != nil {
		return err
	}
	_, err = e.Run(ctx, "rmi", reference)
	return err
}

// A build that is killed leaves no process, no mount and no container behind, and the next one goes on where it was.
func TestKilledBuildGoesOnWhereItWas(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), os.Args[0])
	build.Env = append(os.Environ(), crashFolder+"="+dir)
	build.Stderr = os.Stderr
	output, err := build.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := build.Start(); err != nil {
		t.Fatal(err)
	}
	killAtSecondRootfs(t, build, output)
	if left := mountsBelow(t, dir); len(left) > 0 {
		t.Errorf("mounts left: %v", left)
	}
	waitForNoProcess(t, dir)

	seen := &recorder{}
	if err := buildIn(t.Context(), dir, seen); err != nil {
		t.Fatalf("the build after the kill: %v", err)
	}
	cached := 0
	for _, line := range seen.lines {
		if strings.HasSuffix(line, ": cached") {
			cached++
		}
	}
	if cached < 5 {
		t.Errorf("the build after the kill found %d steps done, want 5 or more:\n%s", cached, strings.Join(seen.lines, "\n"))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+partial)); len(left) > 0 {
		t.Errorf("half-made outputs left: %v", left)
	}
}

// killAtSecondRootfs kills the build in the middle of its second debootstrap: mounts and child processes are there.
func killAtSecondRootfs(t *testing.T, build *exec.Cmd, output interface{ Read([]byte) (int, error) }) {
	t.Helper()
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Debian") && strings.Contains(lines.Text(), "(node)") {
			waitForProcess(t, "debootstrap")
			if err := build.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = build.Wait()
			return
		}
	}
	t.Fatal("the build ended before its second root file system")
}

// A disk that is full before a build, and one that fills up in the middle of it, are told as that, and nothing half-made
// is left. The disk is a real one: a file system in a file of its own.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t)
	filler := filepath.Join(dir, "filler")
	fill(t, filler, 2<<30)
	err := buildIn(t.Context(), dir, &recorder{})
	if err == nil || !strings.Contains(err.Error(), "needs 5 GB of disk below "+dir) || remedy.Of(err) == "" {
		t.Errorf("a build on a small disk: %v (%s)", err, remedy.Of(err))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	err = buildIn(t.Context(), dir, stepHook(func(name string) {
		if strings.HasPrefix(name, "Debian") {
			fill(t, filler, 1<<40)
		}
	}))
	if err == nil || !strings.Contains(err.Error(), "the disk of "+dir+" is full") || remedy.Of(err) == "" {
		t.Errorf("a build while the disk fills up: %v (%s)", err, remedy.Of(err))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+partial)); len(left) > 0 {
		t.Errorf("half-made outputs left: %v", left)
	}
	if left := mountsBelow(t, dir+"/"); len(left) > 0 {
		t.Errorf("mounts left: %v", left)
	}
}

// smallDisk is an empty file system of 6 GB, just enough to begin a build.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	file := dir + ".img"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{"truncate", "-s", "6G", file}, {"mkfs.ext4", "-q", "-m", "0", file}, {"mount", "-o", "loop", file, dir}} {
		if out, err := exec.CommandContext(t.Context(), c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting the small disk: %v", err)
		}
	})
	return dir
}

// fill takes disk space without writing it, in ever smaller pieces once there is less than what is asked for.
func fill(t *testing.T, path string, bytes int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Error(err)
		return
	}
	defer file.Close()
	piece := min(bytes, int64(1)<<30)
	for taken := int64(0); taken < bytes && piece >= 1<<20; {
		if err := syscall.Fallocate(int(file.Fd()), 0, taken, piece); err != nil {
			piece /= 2
			continue
		}
		taken += piece
	}
}

// stepHook calls a function when a step starts.
type stepHook func(name string)

func (h stepHook) Start(name string) func(error, string) {
	h(name)
	return func(error, string) {}
}

func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, dir) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
