//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/labs"
)

const (
	// launchLimit is the time a command that needs no cluster may take: list and shell completion.
	launchLimit = 40 * time.Millisecond
	// rebootLimit is the time in which a cluster whose nodes were all stopped is to be back, with the learner's work.
	rebootLimit = 20 * time.Second
	// buildLimit and diskLimit are what a node image built from nothing may take on two cores.
	buildLimit = 12 * time.Minute
	diskLimit  = 12e9
	imageLimit = 1e9
	// loadLimit is the time in which the checks of fifty labs are loaded and compiled.
	loadLimit = 300 * time.Millisecond
)

// binary times what answers from the binary alone, against the limit as a baseline.
func (b *bench) binary() {
	for _, arguments := range [][]string{{"list"}, {"__complete", "show", ""}} {
		took := median(b.repeat(15, func() { b.run(arguments...) }))
		b.add(timed("kindlab "+strings.TrimSpace(strings.Join(arguments, " ")), took, launchLimit, 1, "baseline: the 40 ms limit"))
	}
	info, err := os.Stat(b.kindlab)
	if err != nil {
		b.t.Fatal(err)
	}
	b.add(sized("size of the binary", info.Size(), 0, "").shownOnly())
	b.add(timed("fifty labs loaded and compiled", median(b.repeat(5, func() { loadFifty(b.t) })), loadLimit, 1, "baseline: the 300 ms limit"))
}

// loadFifty loads labs of the catalogue, again and again, with all their files and checks.
func loadFifty(t *testing.T) {
	t.Helper()
	entries, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	kinds := check.Builtin()
	for i := range 50 {
		if _, err := lab.Load(labs.FS(), entries[i%len(entries)].Name, kinds); err != nil {
			t.Fatal(err)
		}
	}
}

// image measures the node image, and with KINDLAB_BENCH_COLD=1 the building of it from nothing: the image is removed,
// and every cache is empty.
func (b *bench) image(name string) {
	environment := b.engineEnvironment()
	engineName := strings.TrimPrefix(environment[0], "KIND_EXPERIMENTAL_PROVIDER=")
	size, err := strconv.ParseInt(strings.TrimSpace(b.commandWith(environment, engineName, "image", "inspect", "--format", "{{.Size}}", name)), 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	b.add(sized("node image", size, imageLimit, "baseline: the 1 GB limit"))
	if os.Getenv("KINDLAB_BENCH_COLD") == "" {
		return
	}
	b.commandWith(environment, engineName, "image", "rm", name)
	dir := b.t.TempDir()
	cold := []string{"XDG_CACHE_HOME=" + dir, "GOCACHE=" + filepath.Join(dir, "go-build"), "GOMODCACHE=" + filepath.Join(dir, "mod"), "GOFLAGS=-modcacherw"}
	peak := watchDisk(b.t)
	began := time.Now()
	b.commandWith(cold, b.kindlab, "image", "build")
	b.add(timed("kindlab image build, from nothing", time.Since(began), buildLimit, 1, "baseline: the 12 min limit on 2 cores"))
	b.add(sized("peak disk of that build", peak(), diskLimit, "baseline: the 12 GB limit"))
}

// watchDisk returns a function that ends the watch and tells how many bytes more the disk held at its fullest.
func watchDisk(t *testing.T) func() int64 {
	t.Helper()
	free := func() int64 {
		var disk unix.Statfs_t
		if err := unix.Statfs(t.TempDir(), &disk); err != nil {
			t.Fatal(err)
		}
		return int64(disk.Bfree) * disk.Bsize
	}
	least, before := free(), free()
	ended := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(time.Second):
				least = min(least, free())
			}
		}
	})
	return func() int64 { close(ended); done.Wait(); return before - least }
}

// up times a cluster from nothing to proved ready, beside kind's own creation plus the wait for its pod network.
func (b *bench) up(image string) {
	kind := filepath.Join(b.t.TempDir(), "kind")
	b.command("go", "build", "-o", kind, "sigs.k8s.io/kind")
	kubeconfig := filepath.Join(b.t.TempDir(), "kubeconfig")
	environment := b.engineEnvironment()
	b.t.Cleanup(func() {
		b.commandWith(environment, kind, "delete", "cluster", "--name", baseline, "--kubeconfig", kubeconfig)
	})
	plain := b.once(func() {
		b.commandWith(environment, "bash", b.script("up"), kind, baseline, image, nodes, kubeconfig)
	})
	b.commandWith(environment, kind, "delete", "cluster", "--name", baseline, "--kubeconfig", kubeconfig)
	b.add(timed("kindlab up --nodes "+nodes, b.once(func() { b.run("up", "--name", ours, "--nodes", nodes, "--image", image) }), plain, 1.25,
		"kind create cluster, then nodes Ready and routes between them"))
	b.reboot(environment)
	b.add(timed("kindlab up, already running", median(b.repeat(3, func() { b.run("up", "--name", ours, "--nodes", nodes) })), 0, 0, "proved again"))
}

// reboot times the way back after every node was stopped.
func (b *bench) reboot(environment []string) {
	engineName := strings.TrimPrefix(environment[0], "KIND_EXPERIMENTAL_PROVIDER=")
	b.commandWith(environment, "bash", "-c", fmt.Sprintf("%[1]s ps --quiet --filter label=io.x-k8s.kind.cluster=%[2]s | xargs %[1]s stop --time=10", engineName, ours))
	b.add(timed("kindlab up, all nodes stopped", b.once(func() { b.run("up", "--name", ours) }), rebootLimit, 1, "baseline: the 20 s limit"))
}
