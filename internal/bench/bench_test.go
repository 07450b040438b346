//go:build bench

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/engine"
)

const (
	nodes    = "3"
	ours     = "kindlab-bench"
	baseline = "kindlab-bench-baseline"
	// launchLimit is the time a command that needs no cluster may take: list and shell completion.
	launchLimit = 40 * time.Millisecond
	// rebootLimit is the time in which a cluster whose nodes were all stopped is to be back, with the learner's work.
	rebootLimit = 20 * time.Second
)

// bench runs commands from the repository's root and keeps what the rows need.
type bench struct {
	t       *testing.T
	root    string
	kindlab string
	rows    []row
}

// TestBench measures everything in one run. It fails where a claim is not kept.
func TestBench(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, root: root, kindlab: filepath.Join(root, "bin/kindlab")}
	image := strings.TrimSpace(b.output("image", "build", "--quiet"))
	b.launch()
	b.up(image)
	b.checks()
	b.run("down", "--name", ours)
	if err := write(os.Stdout, b.rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.rows {
		if !r.kept() {
			t.Errorf("%s: %.2f × the baseline, at most %.2f is claimed", r.what, r.ratio(), r.limit)
		}
	}
}

// launch times commands that answer from the binary alone, against the limit as a baseline.
func (b *bench) launch() {
	for _, arguments := range [][]string{{"list"}, {"__complete", "show", ""}} {
		took := b.repeat(15, func() { b.run(arguments...) })
		b.rows = append(b.rows, row{
			what: "kindlab " + strings.TrimSpace(strings.Join(arguments, " ")), ours: took, baseline: launchLimit, limit: 1, note: "baseline: the 40 ms limit",
		})
	}
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
	began := time.Now()
	b.commandWith(environment, "bash", filepath.Join(b.root, "internal/bench/baseline/up.sh"), kind, baseline, image, nodes, kubeconfig)
	plain := time.Since(began)
	b.commandWith(environment, kind, "delete", "cluster", "--name", baseline, "--kubeconfig", kubeconfig)

	began = time.Now()
	b.run("up", "--name", ours, "--nodes", nodes, "--image", image)
	b.rows = append(b.rows, row{
		what: "kindlab up --nodes " + nodes, ours: time.Since(began), baseline: plain, limit: 1.25,
		note: "kind create cluster, then nodes Ready and routes between them",
	})
	b.reboot(environment)
	again := b.repeat(3, func() { b.run("up", "--name", ours, "--nodes", nodes) })
	b.rows = append(b.rows, row{what: "kindlab up, already running", ours: again, note: "proved again"})
}

// reboot times the way back after every node was stopped.
func (b *bench) reboot(environment []string) {
	engineName := strings.TrimPrefix(environment[0], "KIND_EXPERIMENTAL_PROVIDER=")
	b.commandWith(environment, "bash", "-c", fmt.Sprintf("%[1]s ps --quiet --filter label=io.x-k8s.kind.cluster=%[2]s | xargs %[1]s stop --time=10", engineName, ours))
	began := time.Now()
	b.run("up", "--name", ours)
	b.rows = append(b.rows, row{
		what: "kindlab up, all nodes stopped", ours: time.Since(began), baseline: rebootLimit, limit: 1, note: "baseline: the 20 s limit",
	})
}

// checks times the grade of each lab, solved, beside a script that asks the same with kubectl.
func (b *bench) checks() {
	var status struct {
		Kubeconfig string `json:"kubeconfig"`
	}
	if err := json.Unmarshal([]byte(b.output("status", "--name", ours, "--output", "json")), &status); err != nil {
		b.t.Fatal(err)
	}
	environment := []string{"KUBECONFIG=" + status.Kubeconfig}
	for _, lab := range []string{"services/clusterip", "services/nodeport", "network-policy/default-deny", "storage/statefulset"} {
		b.run("start", "--name", ours, lab)
		b.run("solution", "--name", ours, "--apply")
		b.run("check", "--name", ours) // settles
		script := filepath.Join(b.root, "internal/bench/baseline", filepath.Base(lab)+".sh")
		theirs := b.repeat(3, func() { b.commandWith(environment, "bash", script) })
		took := b.repeat(3, func() { b.run("check", "--name", ours) })
		b.rows = append(b.rows, row{what: "check " + lab, ours: took, baseline: theirs, limit: 1, note: "kubectl get, exec, run"})
		b.run("stop", "--name", ours)
	}
}

// engineEnvironment is what a user of plain kind would have to set by hand on this host.
func (b *bench) engineEnvironment() []string {
	e, err := engine.Find(b.t.Context(), engine.Options{StateDir: b.t.TempDir(), Getenv: os.Getenv})
	if err != nil {
		b.t.Fatal(err)
	}
	environment := []string{"KIND_EXPERIMENTAL_PROVIDER=" + e.Name()}
	if err := e.Activate(func(name, value string) error {
		environment = append(environment, name+"="+value)
		return nil
	}); err != nil {
		b.t.Fatal(err)
	}
	return environment
}

func (b *bench) repeat(times int, do func()) time.Duration {
	took := make([]time.Duration, 0, times)
	for range times {
		began := time.Now()
		do()
		took = append(took, time.Since(began))
	}
	return median(took)
}

func (b *bench) run(arguments ...string) { b.command(b.kindlab, arguments...) }

func (b *bench) output(arguments ...string) string { return b.command(b.kindlab, arguments...) }

func (b *bench) command(name string, arguments ...string) string {
	return b.commandWith(nil, name, arguments...)
}

func (b *bench) commandWith(environment []string, name string, arguments ...string) string {
	b.t.Helper()
	command := exec.CommandContext(context.Background(), name, arguments...)
	command.Dir = b.root
	command.Env = append(os.Environ(), environment...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		b.t.Fatal(fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(arguments, " "), err, out.String(), errs.String()))
	}
	return out.String()
}
