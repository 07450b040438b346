package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	kindnodes "sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// Node is one node of a cluster of ours: a container in which commands can be run.
type Node struct {
	name, id string // the container's ID, because a name could come to mean somebody else's
	cluster  *Cluster
}

// Name is the node's name, in Kubernetes and in the engine.
func (n Node) Name() string { return n.name }

// kind is the node as kind knows it.
func (n Node) kind() (kindnodes.Node, error) {
	all, err := n.cluster.manager.kind(nil).ListNodes(n.cluster.Name)
	if err != nil {
		return nil, err
	}
	for _, node := range all {
		if node.String() == n.name {
			return node, nil
		}
	}
	return nil, fmt.Errorf("cluster %q has no node %s any more", n.cluster.Name, n.name)
}

// Exec runs argv as root on the node, in the node's own namespaces. Nil stdin and stdout are allowed. The error carries
// what the command wrote to stderr.
func (n Node) Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error {
	cmd := n.inside(ctx, argv)
	if cmd == nil {
		args := []string{"exec", "--privileged"}
		if stdin != nil {
			args = append(args, "--interactive")
		}
		cmd = n.cluster.manager.engine.Command(ctx, append(append(args, n.id), argv...)...)
	}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case n.stopped(ctx):
		return remedy.New(fmt.Errorf("node %s is stopped", n.name), "start it again: "+upCommand(n.cluster.Name))
	}
	return fmt.Errorf("running %s on node %s: %w: %s", argv[0], n.name, err, strings.TrimSpace(stderr.String()))
}

func (n Node) stopped(ctx context.Context) bool {
	running, err := n.cluster.manager.engine.Run(ctx, "container", "inspect", "--format", "{{.State.Running}}", n.id)
	return err == nil && running == "false"
}

// load loads the image tar at path.
func (n Node) load(ctx context.Context, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() // only read
	node, err := n.kind()
	if err != nil {
		return err
	}
	return nodeutils.LoadImageArchive(node, contextReader{ctx, file})
}

// contextReader ends with the context: kind's load has none.
type contextReader struct {
	ctx context.Context //nolint:containedctx // kind's exec.Cmd interface has no place for it
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
