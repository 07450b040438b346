// Package probe sends packets from inside the learner's own pods. A small agent
// on each node, reached over one standing stream, enters the pod's network
// namespace and dials; nothing of it shows in the API, in the pod or in its image.
package probe

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// The words of package dial, for those who send jobs from here.
type (
	// Job is one attempt.
	Job = dial.Job
	// Outcome is what a job came to.
	Outcome = dial.Outcome
	// Result is the name of an outcome.
	Result = dial.Result
)

// A Node is a machine of the cluster that takes commands.
type Node interface {
	Name() string // as in the API
	// Exec runs a command until it ends; stdin is closed to end an agent.
	Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error
}

//go:embed agent
var files embed.FS

// A Session probes through the nodes, with an agent on each. It is safe for concurrent use, and nothing runs before the
// first probe.
type Session struct {
	*pool
	nodes func(context.Context) ([]Node, error)

	mu    sync.Mutex
	known []Node
}

// Open returns a Session over the nodes, which are asked for once, when needed.
func Open(nodes func(context.Context) ([]Node, error)) *Session {
	return &Session{nodes: nodes, pool: newPool("/var/lib/kindlab")}
}

func (s *Session) list(ctx context.Context) ([]Node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		nodes, err := s.nodes(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the cluster's nodes: %w", err)
		}
		s.known = nodes
	}
	return s.known, nil
}

// Probe makes all attempts at once and returns their outcomes in the order of
// the jobs. Trouble on our side is an outcome too: dial.Error.
func (s *Session) Probe(ctx context.Context, jobs []Job) []Outcome {
	return all(jobs, func(j Job) Outcome { return s.one(ctx, j) })
}

func (s *Session) one(ctx context.Context, j Job) Outcome {
	if j.Node == "" {
		return fromHost(ctx, j)
	}
	return s.ask(ctx, "node "+j.Node, j, func(ctx context.Context) (Node, error) { return s.find(ctx, j.Node) })
}

// fromHost makes the attempt from this process.
func fromHost(ctx context.Context, j Job) Outcome {
	return dial.Do(ctx, j, func() (string, error) {
		return "", errors.New("names are not looked up from the host")
	})
}

func trouble(j Job, err error) Outcome {
	return Outcome{ID: j.ID, Result: dial.Error, Detail: err.Error()}
}

func (s *Session) find(ctx context.Context, name string) (Node, error) {
	nodes, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("node %s does not take commands", name)
}

// Exec runs a command as root in a node's own namespaces, and returns what it wrote to stdout and its exit code. An
// error says that it could not be run, or that its output is longer than a megabyte. It is for looking only.
func (s *Session) Exec(ctx context.Context, node string, argv ...string) (stdout string, code int, err error) {
	n, err := s.find(ctx, node)
	if err != nil {
		return "", 0, err
	}
	out := &limited{left: maxOutput}
	// The shell reports the exit code, because an engine's own error tells no failed command from a failed engine.
	script := `"$@" </dev/null; printf '\nexit %d\n' $?`
	if err := n.Exec(ctx, nil, out, append([]string{"sh", "-c", script, "sh"}, argv...)...); err != nil {
		return "", 0, fmt.Errorf("running %s on node %s: %w", argv[0], node, err)
	}
	text := out.buf.String()
	at := strings.LastIndex(text, "\nexit ")
	if at < 0 {
		return "", 0, fmt.Errorf("running %s on node %s: its output was cut off", argv[0], node)
	}
	if _, err := fmt.Sscanf(text[at:], "\nexit %d\n", &code); err != nil {
		return "", 0, fmt.Errorf("running %s on node %s: its output was cut off", argv[0], node)
	}
	return text[:at], code, nil
}

// maxOutput bounds what a command on a node may say.
const maxOutput = 1 << 20

// limited keeps what is written to it, and refuses more than it has room for.
type limited struct {
	buf  bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, errors.New("the output is longer than a megabyte")
	}
	return l.buf.Write(b)
}
