package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	kindnodes "sigs.k8s.io/kind/pkg/cluster/nodes"
)

// Node is one node of a cluster of ours: a container in which commands can be run.
type Node struct {
	node kindnodes.Node
}

// Name is the node's name, in Kubernetes and in the engine.
func (n Node) Name() string { return n.node.String() }

// IPv4 is the node's address. It can change when the node's container is started again.
func (n Node) IPv4(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ip, _, err := n.node.IP()
	if err != nil {
		return "", fmt.Errorf("reading the address of node %s: %w", n.Name(), withOutput(err))
	}
	return ip, nil
}

// Exec runs argv as root on the node, in the node's own namespaces. Nil stdin and stdout are allowed. The error carries
// what the command wrote to stderr.
func (n Node) Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error {
	if stdout == nil {
		stdout = io.Discard
	}
	var stderr bytes.Buffer
	cmd := n.node.CommandContext(ctx, argv[0], argv[1:]...).SetStdout(stdout).SetStderr(&stderr)
	if stdin != nil {
		cmd.SetStdin(stdin)
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("running %s on node %s: %w: %s", argv[0], n.Name(), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
