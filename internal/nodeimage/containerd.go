package nodeimage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// containerdConfig finishes kind's containerd configuration as its Dockerfile does, but for what kindlab changes and adds.
func (b *Builder) containerdConfig(ctx context.Context, root string) error {
	spec, err := run(exec.CommandContext(ctx, filepath.Join(root, "usr/local/bin/ctr"), "oci", "spec"))
	if err != nil {
		return err
	}
	patched, err := kindRuntimeSpec([]byte(spec))
	if err != nil {
		return err
	}
	folder := filepath.Join(root, "etc/containerd")
	if err := os.WriteFile(filepath.Join(folder, "cri-base.json"), patched, 0o644); err != nil {
		return err
	}
	name := filepath.Join(folder, "config.toml")
	config, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	// Where the host's root lacks CAP_SYS_RESOURCE (some VMs and CI sandboxes) no process may lower its OOM score.
	// With this, containerd asks for the lowest it may have; elsewhere it changes nothing.
	restricted := bytes.Replace(config, []byte("restrict_oom_score_adj = false"), []byte("restrict_oom_score_adj = true"), 1)
	if bytes.Equal(config, restricted) {
		return errors.New("kind's containerd configuration no longer sets restrict_oom_score_adj: adapt containerdConfig")
	}
	more, err := fs.ReadFile(b.recipe.files, "files/containerd.toml")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(restricted, more...), 0o644)
}

// kindRuntimeSpec drops the limits of containerd's default runtime spec, as kind's Dockerfile does with jq. The hook that
// kind adds there is left out: it hides the machine's product name from containers, which no lab asks for, with five
// processes for each, and they are a sixth of what it costs to run a pod and end it.
func kindRuntimeSpec(raw []byte) ([]byte, error) {
	var spec map[string]any
	if err := json.Unmarshal(raw, &spec); err != nil {
		return nil, fmt.Errorf("reading containerd's default runtime spec: %w", err)
	}
	process, ok := spec["process"].(map[string]any)
	if !ok {
		return nil, errors.New("reading containerd's default runtime spec: no process in it")
	}
	delete(process, "rlimits")
	return json.Marshal(spec)
}

// privateContainerd is a containerd of the builder's own: its root is the image store that the node image will carry,
// its socket lies beside it, and it ends with this process.
type privateContainerd struct {
	binaries string // folder with containerd and ctr
	root     string // becomes /var/lib/containerd of the node
	runtime  string // sockets and state; thrown away
}

// importArchive starts containerd, imports the archive into the namespace the kubelet uses, unpacked, and stops it.
// Unpacked images are what makes a node start fast: nothing is decompressed when the cluster comes up. The packed
// layers are dropped; pinned images are safe from the kubelet's garbage collection.
func (c privateContainerd) importArchive(ctx context.Context, archive string) (err error) {
	// Not below the build folder: a socket's path has at most 104 bytes, and the user chose that folder's.
	if c.runtime, err = os.MkdirTemp("", "kindlab-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.runtime)) }()
	stop, err := c.start(ctx)
	if err != nil {
		return err
	}
	_, importing := c.ctr(ctx, "images", "import", "--local", "--discard-unpacked-layers",
		"--label", "io.cri-containerd.image=managed", "--label", "io.cri-containerd.pinned=pinned", archive)
	if importing == nil {
		// A garbage collection now, so that the dropped layers do not travel in the node image.
		_, importing = c.ctr(ctx, "content", "prune", "references")
	}
	return errors.Join(importing, stop())
}

func (c privateContainerd) start(ctx context.Context) (stop func() error, err error) {
	config := filepath.Join(c.runtime, "config.toml")
	text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\", \"io.containerd.grpc.v1.cri\", \"io.containerd.nri.v1.nri\"]\n[grpc]\n  address = %q\n",
		c.root, filepath.Join(c.runtime, "state"), c.socket())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var log bytes.Buffer
	// Not ended by ctx but by stop, which lets it write its store to the end.
	command := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(c.binaries, "containerd"), "--config", config)
	command.Stdout, command.Stderr = &log, &log
	isolateMounts(command)
	dieTogether(command)
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting containerd: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	stop = func() error {
		if err := command.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		<-exited
		return nil
	}
	for {
		if _, err := c.ctr(ctx, "version"); err == nil {
			return stop, nil
		}
		select {
		case err := <-exited:
			return nil, commandError(command, err, log.String())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), stop())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c privateContainerd) socket() string { return filepath.Join(c.runtime, "containerd.sock") }

func (c privateContainerd) ctr(ctx context.Context, arguments ...string) (string, error) {
	arguments = append([]string{"--address", c.socket(), "--namespace", "k8s.io", "--connect-timeout", "2s"}, arguments...)
	return run(exec.CommandContext(ctx, filepath.Join(c.binaries, "ctr"), arguments...))
}
