package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

func TestWhatALostNodeCosts(t *testing.T) {
	t.Parallel()
	recorded := &state{Containers: map[string]string{"x-control-plane": "a", "x-worker": "b"}}
	for name, tt := range map[string]struct {
		there []container
		want  string
	}{
		"none is lost":      {[]container{{name: "x-control-plane"}, {name: "x-worker"}}, ""},
		"the worker":        {[]container{{name: "x-control-plane"}}, "lost its node x-worker: the volumes on it are lost"},
		"the control plane": {[]container{{name: "x-worker"}}, "lost its node x-control-plane: every object of the cluster is lost"},
	} {
		err := found{name: "x", state: recorded, containers: tt.there}.lost()
		check(t, err, tt.want)
		if err != nil && !strings.Contains(remedy.Of(err), "objects and volumes too") {
			t.Errorf("%s: the remedy does not say what it costs: %s", name, remedy.Of(err))
		}
	}
}

func TestExitFolder(t *testing.T) {
	t.Parallel()
	run := t.TempDir()
	getenv := func(string) string { return run }
	if folder, err := exitFolder(getenv, 1000); err == nil {
		t.Errorf("found %s before podman made it", folder)
	}
	want := filepath.Join(run, "libpod/tmp/exits")
	if err := os.MkdirAll(want, 0o700); err != nil {
		t.Fatal(err)
	}
	if folder, err := exitFolder(getenv, 1000); err != nil || folder != want {
		t.Errorf("found %q, %v; want %s", folder, err, want)
	}
}

func TestWhichProcessIsAlive(t *testing.T) {
	t.Parallel()
	if !alive(os.Getpid()) {
		t.Error("this process is taken for dead")
	}
	child := exec.CommandContext(t.Context(), "true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// It has ended, and is not waited for yet.
	err := until(ctx, "the child is taken for dead", func() error { return ifTrue(alive(child.Process.Pid), "alive") })
	check(t, err, "")
	check(t, child.Wait(), "")
}

func TestAProcessOfAContainer(t *testing.T) {
	t.Parallel()
	if ofContainer(os.Getpid(), "no-such-container") {
		t.Error("this process is taken for one of a container")
	}
	if !ofContainer(os.Getpid(), filepath.Base(os.Args[0])) {
		t.Errorf("what stands in the arguments of process %d is not seen", os.Getpid())
	}
}
