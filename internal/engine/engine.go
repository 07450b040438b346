// Package engine finds the container engine of this machine and, where the host needs it, gives podman a private
// configuration. It changes no system-wide setting.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// answerTimeout bounds one engine's answer: a docker client whose DOCKER_HOST is gone would otherwise hang.
const answerTimeout = 15 * time.Second

// Options say where to look for an engine.
type Options struct {
	Name     string                       // docker, podman or nerdctl; "" takes the first that answers
	Trusted  bool                         // Name has answered before, and is not asked whether it does
	StateDir string                       // where the private podman configuration is written
	Getenv   func(key string) string      // nil means os.Getenv
	Root     fs.FS                        // the host's file system from "/" on; nil means the real one
	LookPath func(string) (string, error) // nil means exec.LookPath
}

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Root == nil {
		o.Root = os.DirFS("/")
	}
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	return o
}

// Engine runs commands of one container engine that has answered.
type Engine struct {
	name string
	host Host
	env  []string // added to the process environment, KEY=value
}

// candidate is an engine and a question that only a working one answers: `docker version` alone succeeds in printing
// the client's half, so the template asks for the server's.
type candidate struct {
	name string
	ask  []string
}

func candidates() []candidate {
	return []candidate{
		{"docker", []string{"version", "--format", "{{.Server.Version}}"}},
		{"podman", []string{"info", "--format", "{{.Store.GraphRoot}}"}},
		{"nerdctl", []string{"info", "--format", "{{.Driver}}"}},
	}
}

// Find returns the named engine, or the first of docker, podman and nerdctl that answers. When none does, its one error
// says what was tried, why each failed, and carries a remedy.
func Find(ctx context.Context, opts Options) (*Engine, error) {
	opts = opts.withDefaults()
	host := ReadHost(opts.Root)
	var failures []string
	installed, known := "", false
	for _, c := range candidates() {
		if opts.Name != "" && opts.Name != c.name {
			continue
		}
		known = true
		if _, err := opts.LookPath(c.name); err != nil {
			failures = append(failures, c.name+": not installed")
			continue
		}
		e, err := try(ctx, c, host, opts)
		if err == nil {
			return e, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		installed = c.name
		failures = append(failures, c.name+": "+lastLine(err.Error()))
	}
	if !known {
		return nil, fmt.Errorf("unknown container engine %q: want docker, podman or nerdctl", opts.Name)
	}
	err := errors.New("no container engine answers (" + strings.Join(failures, "; ") + ")")
	return nil, remedy.New(err, startHint(installed))
}

func startHint(installed string) string {
	switch installed {
	case "docker":
		return "start Docker (on Linux: systemctl start docker), or install podman, which needs no daemon: apt-get install podman runc"
	case "podman":
		return "run `podman info` and mend what it reports"
	case "nerdctl":
		return "start containerd: systemctl start containerd"
	}
	return "install Docker, or podman: apt-get install podman runc"
}

func try(ctx context.Context, c candidate, host Host, opts Options) (*Engine, error) {
	e := &Engine{name: c.name, host: host}
	// A user who already hands podman a configuration knows better than we do.
	if c.name == "podman" && host.needsPodmanConf() && opts.Getenv("CONTAINERS_CONF") == "" {
		path := filepath.Join(opts.StateDir, "podman", "containers.conf")
		if err := writeIfChanged(path, host.podmanConf()); err != nil {
			return nil, fmt.Errorf("writing podman's private configuration: %w", err)
		}
		e.env = append(e.env, "CONTAINERS_CONF="+path)
	}
	if opts.Trusted {
		return e, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if _, err := e.Run(ctx, c.ask...); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("no answer within %s", answerTimeout)
		}
		return nil, err
	}
	// podman-docker installs a `docker` that is podman; kind's docker provider does not get on with it.
	if c.name == "docker" {
		if out, err := e.Run(ctx, "--version"); err == nil && strings.Contains(out, "podman") {
			return nil, errors.New("is podman under another name")
		}
	}
	return e, nil
}

// Name is docker, podman or nerdctl.
func (e *Engine) Name() string { return e.name }

// Host holds what was seen on the machine when the engine was found.
func (e *Engine) Host() Host { return e.host }

// Command is an engine command with its environment set; stopping ctx kills it.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.name, args...)
	cmd.Env = append(os.Environ(), e.env...)
	// A container's monitor inherits the pipes; without a limit Wait would outlive the killed client.
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Run runs an engine command and returns its trimmed stdout. The error carries the command's stderr.
func (e *Engine) Run(ctx context.Context, args ...string) (string, error) {
	cmd := e.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return "", fmt.Errorf("running %s %s: %w: %s", e.name, args[0], err, text)
		}
		return "", fmt.Errorf("running %s %s: %w", e.name, args[0], err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// Activate passes the engine's environment to setenv (os.Setenv in a program). kind runs the engine with the process
// environment, so this comes before any use of it.
func (e *Engine) Activate(setenv func(key, value string) error) error {
	for _, kv := range e.env {
		key, value, _ := strings.Cut(kv, "=")
		if err := setenv(key, value); err != nil {
			return fmt.Errorf("setting %s: %w", key, err)
		}
	}
	return nil
}

// Prepare makes what a kind node needs of the host and podman does not: kind bind-mounts /lib/modules, dockerd creates
// a missing mount source and podman refuses it. An empty directory is what a kernel without modules would have anyway,
// and the one thing kindlab ever adds outside its own folders.
func (e *Engine) Prepare() error {
	if e.name == "docker" || e.host.LibModules {
		return nil
	}
	if err := os.MkdirAll("/lib/modules", 0o755); err != nil {
		return remedy.New(fmt.Errorf("creating /lib/modules, which every kind node mounts: %w", err),
			"create it once as root: sudo mkdir /lib/modules")
	}
	return nil
}

// StorageDir is the folder where the engine keeps images and containers.
func (e *Engine) StorageDir(ctx context.Context) (string, error) {
	switch e.name {
	case "docker":
		return e.Run(ctx, "info", "--format", "{{.DockerRootDir}}")
	case "podman":
		return e.Run(ctx, "info", "--format", "{{.Store.GraphRoot}}")
	}
	return "/var/lib/containerd", nil
}

func writeIfChanged(path, content string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".containers-*.conf")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // nothing is left of it after the rename
	_, err = tmp.WriteString(content)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// ForwardRules lists the host's rules for forwarded packets, as ForwardDropped reads them. It needs root and iptables.
func ForwardRules(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "iptables", "-S", "FORWARD").Output()
	if err != nil {
		return "", fmt.Errorf("listing the firewall's rules: %w", err)
	}
	return string(out), nil
}
