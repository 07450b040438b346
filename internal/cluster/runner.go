package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

const (
	// scriptLimit is how long a lab's script may take.
	scriptLimit = 2 * time.Minute
	// scriptTail is how much of a script's last words its error carries.
	scriptTail = 2 << 10
	scriptUser = "65534:65534" // nobody
)

// ScriptRunner runs the scripts of labs, which are untrusted: each in a throw-away container of the node image, which
// has bash and kubectl. The container sees the cluster's network and nothing of the host: no mount, no capability, a
// file system that cannot be written to but for /tmp, and limits on memory and processes.
type ScriptRunner struct {
	cluster *Cluster
	limit   time.Duration
}

// Scripts returns the runner of a cluster's scripts. On a cluster that is not kindlab's own, Run refuses.
func (c *Cluster) Scripts() *ScriptRunner { return &ScriptRunner{cluster: c, limit: scriptLimit} }

// Run runs the script with bash -euo pipefail, as nobody, with kubectl set up by the kubeconfig and env on top of an
// empty environment. The script ends with ctx, or after two minutes. Nothing of it is left.
func (r *ScriptRunner) Run(ctx context.Context, script lab.File, kubeconfig []byte, env map[string]string, output io.Writer) error {
	if r.cluster.manager == nil {
		return remedy.New(fmt.Errorf("script %s needs a container beside the cluster, and kindlab did not make cluster %q",
			script.Path, r.cluster.Name), "use a cluster of kindlab's own: leave out --context")
	}
	node, err := r.controlPlane(ctx)
	if err != nil {
		return err
	}
	config, err := inside(kubeconfig, node.name)
	if err != nil {
		return err
	}
	name := "kindlab-script-" + strings.ToLower(rand.Text()[:12])
	last := &tail{limit: scriptTail}
	var out io.Writer = last
	if output != nil {
		out = io.MultiWriter(last, output)
	}
	limited, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	stdin := io.MultiReader(bytes.NewReader(config), strings.NewReader(script.Content))
	err = r.container(limited, name, scriptArgs(name, node, len(config), env), stdin, out)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("script %s was stopped: %w", script.Path, context.Cause(ctx))
	case limited.Err() != nil:
		return fmt.Errorf("script %s did not end within %s and was stopped%s", script.Path, r.limit, last.quoted())
	}
	if exit, exited := errors.AsType[*exec.ExitError](err); exited {
		return fmt.Errorf("script %s ended with exit code %d%s", script.Path, exit.ExitCode(), last.quoted())
	}
	return fmt.Errorf("script %s could not be run: %w", script.Path, err)
}

// beside is what a container needs to know of the node that it stands beside.
type beside struct{ name, image, network string }

// controlPlane asks the engine for the node with the API server.
func (r *ScriptRunner) controlPlane(ctx context.Context) (beside, error) {
	node := nodeNames(r.cluster.Name, 1)[0]
	out, err := r.cluster.manager.engine.Run(ctx, "inspect", "--format",
		"{{.Image}}{{range $name, $_ := .NetworkSettings.Networks}}|{{$name}}{{end}}", node)
	if err != nil {
		return beside{}, fmt.Errorf("looking for the node to run a script beside: %w", withRemedy(err))
	}
	fields := strings.Split(out, "|")
	if len(fields) < 2 {
		return beside{}, fmt.Errorf("node %s has no network that a script could use", node)
	}
	return beside{node, fields[0], fields[1]}, nil
}

// scriptArgs are the engine's arguments. The kubeconfig is no part of them, nor of the environment: whoever can list
// processes could read it. It comes on stdin, in front of the script, and lives in the container's memory.
func scriptArgs(name string, node beside, configSize int, env map[string]string) []string {
	args := []string{
		"run", "--rm", "--interactive", "--name", name, "--network", node.network, "--pull", "never",
		"--read-only", "--tmpfs", "/tmp:rw,nosuid,nodev,size=16m,mode=1777", "--workdir", "/tmp",
		"--user", scriptUser, "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--pids-limit", "128", "--memory", "256m",
		"--env", "HOME=/tmp", "--env", "KUBECONFIG=/tmp/.kubeconfig",
	}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		args = append(args, "--env", k+"="+env[k])
	}
	const line = `umask 077; head -c "$1" >"$KUBECONFIG" && cat >/tmp/.script && exec bash -euo pipefail /tmp/.script </dev/null`
	return append(args, "--entrypoint", "bash", node.image, "-c", line, "bash", fmt.Sprint(configSize))
}

// container runs the engine until its container has ended. Killing the engine's client would leave the container, so
// it is the container that is removed when ctx ends.
func (r *ScriptRunner) container(ctx context.Context, name string, args []string, stdin io.Reader, out io.Writer) error {
	engine := r.cluster.manager.engine
	alive := context.WithoutCancel(ctx)
	cmd := engine.Command(alive, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	rm := []string{"rm", "--force", "--volumes"}
	if engine.Name() == "podman" {
		rm = append(rm, "--time=0")
	}
	// The client may be about to make the container: removing it is tried until the client is gone.
	for patience := time.After(30 * time.Second); ; {
		removing, cancel := context.WithTimeout(alive, 10*time.Second)
		_, _ = engine.Run(removing, append(rm, name)...) // not there yet, or not there any more
		cancel()
		select {
		case <-ended:
			return ctx.Err()
		case <-patience:
			return errors.Join(ctx.Err(), cmd.Process.Kill())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// inside gives a kubeconfig the API server's address in the cluster's network; its certificate has the node's name.
func inside(kubeconfig []byte, node string) ([]byte, error) {
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the script's kubeconfig: %w", err)
	}
	for _, c := range config.Clusters {
		c.Server, c.TLSServerName = "https://"+node+":6443", ""
	}
	return clientcmd.Write(*config)
}

// tail keeps the last bytes that were written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	kept  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = slices.Delete(t.kept, 0, over)
	}
	return len(p), nil
}

// quoted is what follows an error: the last lines, whole ones where there are any.
func (t *tail) quoted() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.ToValidUTF8(string(t.kept), "")
	if len(t.kept) == t.limit {
		if _, whole, found := strings.Cut(text, "\n"); found {
			text = whole
		}
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if text = strings.Join(lines[max(0, len(lines)-10):], "\n"); text == "" {
		return ", and it wrote nothing"
	}
	return "; its last words:\n" + text
}
