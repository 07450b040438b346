package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// A pool holds one stream to each agent.
type pool struct {
	agent func() ([]byte, error)
	dir   string   // where agents are put
	args  []string // what agents are started with

	// The streams outlive the probe that opened them, so they have a context of
	// their own, ended by Close.
	run  context.Context //nolint:containedctx // the life of the streams, not of a call
	stop context.CancelFunc

	mu    sync.Mutex
	links map[string]*link
}

func newPool(dir string, args ...string) *pool {
	run, stop := context.WithCancel(context.Background())
	return &pool{agent: embedded, dir: dir, args: args, run: run, stop: stop, links: map[string]*link{}}
}

// embedded is the agent that the build put beside this package.
func embedded() ([]byte, error) {
	b, err := files.ReadFile("agent/kindlab-agent")
	if err != nil {
		return nil, errors.New("this kindlab was built without its probe agent: run make build")
	}
	return b, nil
}

// farewell is what agents get to end by themselves: a stream that is cut off makes noise on its way out.
const farewell = 300 * time.Millisecond

// Close ends the agents' streams.
func (p *pool) Close() error {
	defer p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	late := time.After(farewell)
	for _, l := range p.links {
		l.close()
	}
	for _, l := range p.links {
		select {
		case <-l.down:
		case <-late:
			return nil
		}
	}
	return nil
}

// ask has a job done by the agent of that name, which lives at the place that find returns.
func (p *pool) ask(ctx context.Context, name string, j Job, find func(context.Context) (Node, error)) Outcome {
	l := p.link(name, find)
	if err := l.ready(ctx); err != nil {
		return trouble(j, err)
	}
	o, err := l.ask(ctx, j)
	if err != nil {
		return trouble(j, fmt.Errorf("probing from %s: %w", name, err))
	}
	return o
}

// link returns the standing stream to an agent. One that broke is made anew, so
// that an agent killed in the middle costs one answer and not the session.
func (p *pool) link(name string, find func(context.Context) (Node, error)) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.links[name]
	if !ok || l.broken() {
		l = newLink()
		p.links[name] = l
		go func() {
			node, err := find(p.run)
			if err == nil {
				err = p.serve(name, node, l)
			}
			l.fail(err)
		}()
	}
	return l
}

// errMissing says that the node does not have this agent yet.
var errMissing = errors.New("the agent is not on the node")

// serve runs the agent on a node until the stream ends, putting it there first
// when it is missing. One command tries and runs it: a process start in a node
// costs more than a probe.
func (p *pool) serve(name string, node Node, l *link) error {
	agent, err := p.agent()
	if err != nil {
		return err
	}
	path := p.dir + fmt.Sprintf("/agent-%x", sha256.Sum256(agent))[:23]
	run := append([]string{"sh", "-c", `[ -x "$0" ] || { echo missing; exit 0; }; exec "$0" "$@"`, path}, p.args...)
	err = l.run(p.run, node, run...)
	if !errors.Is(err, errMissing) {
		return err
	}
	// Written under another name first: a half-copied agent is never run. Its length is told, because not every stream
	// passes the end of its input on.
	install := fmt.Sprintf("mkdir -p %[1]s && head -c %[3]d >%[2]s.$$ && chmod 755 %[2]s.$$ && mv %[2]s.$$ %[2]s", p.dir, path, len(agent))
	if err := node.Exec(p.run, bytes.NewReader(agent), io.Discard, "sh", "-c", install); err != nil {
		return fmt.Errorf("putting the agent on %s: %w", name, err)
	}
	return l.run(p.run, node, run...)
}

// all makes all attempts at once and returns their outcomes in the order of the jobs.
func all(jobs []Job, one func(Job) Outcome) []Outcome {
	out := make([]Outcome, len(jobs))
	var wait sync.WaitGroup
	for i, j := range jobs {
		wait.Go(func() {
			j.ID = i
			out[i] = one(j)
		})
	}
	wait.Wait()
	return out
}
