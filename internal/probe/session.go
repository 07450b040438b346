// Package probe sends packets from inside the learner's own pods. A small agent
// on each node, reached over one standing stream, enters the pod's network
// namespace and dials; nothing of it shows in the API, in the pod or in its image.
package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
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
	// IPv4 is the address at which the host and the other nodes dial it.
	IPv4(ctx context.Context) (string, error)
	// Exec runs a command until it ends; stdin is closed to end an agent.
	Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error
}

// A NodeAddress is where a node is dialled.
type NodeAddress struct{ Name, IPv4 string }

//go:embed agent
var files embed.FS

// A Session holds one stream to each node's agent. It is safe for concurrent
// use, and nothing runs before the first probe.
type Session struct {
	nodes func(context.Context) ([]Node, error)
	agent func() ([]byte, error)

	// The streams outlive the probe that opened them, so they have a context of
	// their own, ended by Close.
	run  context.Context //nolint:containedctx // the life of the streams, not of a call
	stop context.CancelFunc

	mu    sync.Mutex
	known []Node
	links map[string]*link
}

// Open returns a Session over the nodes, which are asked for once, when needed.
func Open(nodes func(context.Context) ([]Node, error)) *Session {
	run, stop := context.WithCancel(context.Background())
	return &Session{
		nodes: nodes, agent: embedded, run: run, stop: stop,
		links: map[string]*link{},
	}
}

// embedded is the agent that the build put beside this package.
func embedded() ([]byte, error) {
	b, err := files.ReadFile("agent/kindlab-agent")
	if err != nil {
		return nil, errors.New("this kindlab was built without its probe agent: run make build")
	}
	return b, nil
}

// Close ends the agents' streams.
func (s *Session) Close() error {
	// First, because it ends the streams: a job that an agent does not read would keep its link busy for ever.
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		l.close()
	}
	s.links = map[string]*link{}
	return nil
}

// Nodes lists the nodes and their addresses.
func (s *Session) Nodes(ctx context.Context) ([]NodeAddress, error) {
	nodes, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]NodeAddress, len(nodes))
	for i, n := range nodes {
		ip, err := n.IPv4(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding the address of node %s: %w", n.Name(), err)
		}
		list[i] = NodeAddress{n.Name(), ip}
	}
	return list, nil
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
	out := make([]Outcome, len(jobs))
	var all sync.WaitGroup
	for i, j := range jobs {
		all.Go(func() {
			j.ID = i
			out[i] = s.one(ctx, j)
		})
	}
	all.Wait()
	return out
}

func (s *Session) one(ctx context.Context, j Job) Outcome {
	if j.Node == "" {
		return dial.Do(ctx, j, func() (string, error) {
			return "", errors.New("names are not looked up from the host")
		})
	}
	l, err := s.link(ctx, j.Node)
	if err != nil {
		return trouble(j, err)
	}
	o, err := l.ask(ctx, j)
	if err != nil {
		return trouble(j, fmt.Errorf("probing from node %s: %w", j.Node, err))
	}
	return o
}

func trouble(j Job, err error) Outcome {
	return Outcome{ID: j.ID, Result: dial.Error, Detail: err.Error()}
}

// link returns the standing stream to a node. One that broke is made anew, so
// that an agent killed in the middle costs one answer and not the session.
func (s *Session) link(ctx context.Context, name string) (*link, error) {
	nodes, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	l, ok := s.links[name]
	if !ok || l.broken() {
		node := find(nodes, name)
		if node == nil {
			s.mu.Unlock()
			return nil, fmt.Errorf("node %s does not take commands", name)
		}
		l = newLink()
		s.links[name] = l
		go func() { l.fail(s.serve(node, l)) }()
	}
	s.mu.Unlock()
	return l, l.ready(ctx)
}

func find(nodes []Node, name string) Node {
	for _, n := range nodes {
		if n.Name() == name {
			return n
		}
	}
	return nil
}

// errMissing says that the node does not have this agent yet.
var errMissing = errors.New("the agent is not on the node")

// serve runs the agent on a node until the stream ends, putting it there first
// when it is missing. One command tries and runs it: a process start in a node
// costs more than a probe.
func (s *Session) serve(node Node, l *link) error {
	agent, err := s.agent()
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/var/lib/kindlab/agent-%x", sha256.Sum256(agent))[:40]
	script := "[ -x " + path + " ] || { echo missing; exit 0; }; exec " + path
	err = l.run(s.run, node, "sh", "-c", script)
	if !errors.Is(err, errMissing) {
		return err
	}
	// Written under another name first: a half-copied agent is never run.
	install := fmt.Sprintf("mkdir -p /var/lib/kindlab && cat >%[1]s.$$ && chmod 755 %[1]s.$$ && mv %[1]s.$$ %[1]s", path)
	if err := node.Exec(s.run, bytes.NewReader(agent), io.Discard, "sh", "-c", install); err != nil {
		return fmt.Errorf("putting the agent on node %s: %w", node.Name(), err)
	}
	return l.run(s.run, node, "sh", "-c", script)
}
