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
	t.Cleanup(func() { // also what was measured before something failed
		if err := write(os.Stdout, b.rows); err != nil {
			t.Error(err)
		}
	})
	for _, part := range []struct {
		name    string
		measure func()
	}{
		{"binary", b.binary},
		{"cluster", b.cluster},
		{"grading", b.grading},
	} {
		t.Run(part.name, func(t *testing.T) {
			b.t = t
			part.measure()
		})
	}
	b.t = t
	b.run("down", "--name", ours)
	for _, r := range b.rows {
		if !r.kept() {
			t.Errorf("%s: %.3f × the baseline, at most %.3f is claimed", r.what, r.ratio(), r.limit)
		}
	}
}

// cluster measures the node image, and clusters of it.
func (b *bench) cluster() {
	image := strings.TrimSpace(b.output("image", "build", "--quiet"))
	b.image(image)
	b.up(image)
}

// grading measures labs on the cluster that is there, or on a new one.
func (b *bench) grading() {
	b.run("up", "--name", ours, "--nodes", nodes)
	b.checks()
	b.policy()
	b.reset()
	b.watch()
	b.proving()
}

func (b *bench) add(r row) { b.rows = append(b.rows, r) }

// labs is the folder of labs that are only measured.
func (b *bench) labs() string { return filepath.Join(b.root, "internal/bench/testdata/labs") }

// script is the path of a baseline.
func (b *bench) script(name string) string {
	return filepath.Join(b.root, "internal/bench/baseline", name+".sh")
}

// kubectl runs a baseline against the measured cluster.
func (b *bench) kubectl(script string, arguments ...string) {
	b.commandWith([]string{"KUBECONFIG=" + b.kubeconfig()}, "bash", append([]string{b.script(script)}, arguments...)...)
}

func (b *bench) kubeconfig() string {
	var status struct {
		Kubeconfig string `json:"kubeconfig"`
	}
	if err := json.Unmarshal([]byte(b.output("status", "--name", ours, "--output", "json")), &status); err != nil {
		b.t.Fatal(err)
	}
	return status.Kubeconfig
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

func (b *bench) repeat(times int, do func()) []time.Duration {
	took := make([]time.Duration, 0, times)
	for range times {
		took = append(took, b.once(do))
	}
	return took
}

func (b *bench) once(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
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
