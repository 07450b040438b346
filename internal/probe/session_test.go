package probe

import (
	"bufio"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// fakeNode runs a function in place of each command.
type fakeNode struct {
	name string
	exec func(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error
}

func (n fakeNode) Name() string { return n.name }

func (n fakeNode) Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error {
	return n.exec(ctx, stdin, stdout, argv...)
}

// open is a session over nodes with an agent that is never run.
func open(t *testing.T, nodes ...Node) *Session {
	t.Helper()
	s := Open(func(context.Context) ([]Node, error) { return nodes, nil })
	s.agent = func() ([]byte, error) { return []byte("agent"), nil }
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func hello(w io.Writer) { _, _ = fmt.Fprintln(w, dial.Hello) }

// answer reads jobs and answers each with a denial, whatever it is.
func answer(stdin io.Reader, stdout io.Writer) error {
	dec := json.NewDecoder(stdin)
	for {
		var j Job
		if err := dec.Decode(&j); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := json.NewEncoder(stdout).Encode(Outcome{ID: j.ID, Result: dial.Refused, Body: j.Host}); err != nil {
			return err
		}
	}
}

func job(node, host string) Job {
	return Job{Node: node, Proto: dial.TCP, Host: host, Port: 1, Timeout: time.Second}
}

func TestBrokenStreamsAreTroubleAndNeverADenial(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		exec func(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error
		want string
	}{
		{"the command fails", func(context.Context, io.Reader, io.Writer, ...string) error {
			return errors.New("no such container")
		}, "running the agent: no such container"},
		{"the command says nothing", func(context.Context, io.Reader, io.Writer, ...string) error {
			return nil
		}, "the agent did not start: EOF"},
		{"not the agent", func(_ context.Context, _ io.Reader, w io.Writer, _ ...string) error {
			_, _ = fmt.Fprintln(w, "Welcome!")
			return nil
		}, `the agent did not start: it said "Welcome!\n"`},
		{"killed before it answers", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
			hello(w)
			_, _ = bufio.NewReader(r).ReadString('\n')
			return errors.New("exit status 137")
		}, "probing from node n1: running the agent: exit status 137"},
		{"leaves before it answers", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
			hello(w)
			_, _ = bufio.NewReader(r).ReadString('\n')
			return nil
		}, "probing from node n1: the agent ended"},
		{"half an answer", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
			hello(w)
			_, _ = bufio.NewReader(r).ReadString('\n')
			_, _ = io.WriteString(w, `{"id":0,"result":"ref`)
			return nil
		}, "reading the agent's answer: unexpected EOF"},
		{"an answer that is none", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
			hello(w)
			_, _ = bufio.NewReader(r).ReadString('\n')
			_, _ = fmt.Fprintln(w, "panic: oh")
			return nil
		}, "reading the agent's answer: invalid character"},
		{"cannot be put there", func(_ context.Context, _ io.Reader, w io.Writer, argv ...string) error {
			if strings.Contains(strings.Join(argv, " "), "mv ") {
				return errors.New("no space left on device")
			}
			_, _ = fmt.Fprintln(w, "missing")
			return nil
		}, "putting the agent on node n1: no space left on device"},
		{"is not there even after it was put there", func(_ context.Context, r io.Reader, w io.Writer, argv ...string) error {
			if strings.Contains(strings.Join(argv, " "), "mv ") {
				_, err := io.Copy(io.Discard, r)
				return err
			}
			_, _ = fmt.Fprintln(w, "missing")
			return nil
		}, "the agent is not on the node"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, fakeNode{"n1", tt.exec})
			for i, o := range s.Probe(t.Context(), []Job{job("n1", "10.9.9.9"), job("n1", "10.9.9.8")}) {
				if o.ID != i || o.Result != dial.Error || o.Result.Denied() {
					t.Errorf("got %+v, want an error", o)
				}
				// The second job may find the stream already broken.
				if i == 0 && !strings.Contains(o.Detail, tt.want) && !strings.Contains(o.Detail, "sending a job: io: read/write on closed pipe") {
					t.Errorf("got %q, want %q", o.Detail, tt.want)
				}
			}
		})
	}
}

func TestABrokenStreamIsMadeAnew(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	s := open(t, fakeNode{"n1", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
		hello(w)
		if runs.Add(1) == 1 {
			_, _ = bufio.NewReader(r).ReadString('\n')
			return errors.New("killed")
		}
		return answer(r, w)
	}})
	if o := s.Probe(t.Context(), []Job{job("n1", "a")})[0]; o.Result != dial.Error {
		t.Errorf("got %+v from the agent that was killed", o)
	}
	for range 3 {
		if o := s.Probe(t.Context(), []Job{job("n1", "a")})[0]; o.Result != dial.Refused || o.Body != "a" {
			t.Errorf("got %+v, want an answer", o)
		}
	}
	if runs.Load() != 2 {
		t.Errorf("ran the agent %d times, want one stream after the broken one", runs.Load())
	}
}

// Answers come in any order, and each node has its own agent.
func TestAnswersFindTheirJobs(t *testing.T) {
	t.Parallel()
	const n = 20
	backwards := func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
		hello(w)
		dec := json.NewDecoder(r)
		held := make([]Job, n)
		for i := range held {
			if err := dec.Decode(&held[n-1-i]); err != nil {
				return err
			}
		}
		for _, j := range held {
			_ = json.NewEncoder(w).Encode(Outcome{ID: j.ID, Result: dial.OK, Body: j.Node + " " + j.Host})
		}
		_, _ = io.Copy(io.Discard, r)
		return nil
	}
	s := open(t, fakeNode{"n1", backwards}, fakeNode{"n2", backwards})
	jobs := make([]Job, 2*n)
	for i := range jobs {
		jobs[i] = job([]string{"n1", "n2"}[i%2], fmt.Sprint(i))
	}
	for i, o := range s.Probe(t.Context(), jobs) {
		if want := jobs[i].Node + " " + jobs[i].Host; o.ID != i || o.Body != want {
			t.Errorf("outcome %d is %+v, want the answer to %s", i, o, want)
		}
	}
}

func TestProbeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t, fakeNode{"n1", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
		hello(w)
		_, _ = io.Copy(io.Discard, r) // takes jobs and never answers
		return nil
	}})
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, interrupted)
	defer cancel()
	if o := s.Probe(ctx, []Job{job("n1", "a")})[0]; o.Result != dial.Error || !strings.Contains(o.Detail, interrupted.Error()) {
		t.Errorf("got %+v, want an error that says why", o)
	}
}

func TestCloseEndsTheAgents(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := open(t, fakeNode{"n1", func(_ context.Context, r io.Reader, w io.Writer, _ ...string) error {
		defer close(ended)
		hello(w)
		return answer(r, w)
	}})
	s.Probe(t.Context(), []Job{job("n1", "a")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the agent still runs after Close")
	}
}

func TestUnknownNodes(t *testing.T) {
	t.Parallel()
	s := open(t, fakeNode{name: "n1"})
	if o := s.Probe(t.Context(), []Job{job("n2", "a")})[0]; o.Result != dial.Error || o.Detail != "node n2 does not take commands" {
		t.Errorf("got %+v", o)
	}
	broken := Open(func(context.Context) ([]Node, error) { return nil, errors.New("no engine") })
	if o := broken.Probe(t.Context(), []Job{job("n1", "a")})[0]; o.Result != dial.Error || o.Detail != "listing the cluster's nodes: no engine" {
		t.Errorf("got %+v", o)
	}
}

func TestNodesAreListedOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	s := Open(func(context.Context) ([]Node, error) { calls++; return []Node{fakeNode{name: "n1"}}, nil })
	for range 2 {
		s.Probe(t.Context(), []Job{job("n2", "a")})
	}
	if calls != 1 {
		t.Errorf("asked %d times", calls)
	}
}

// Not parallel: it takes the built agent away from the package for a moment.
func TestABuildWithoutTheAgentSaysWhatToDo(t *testing.T) {
	built := files
	files = embed.FS{}
	defer func() { files = built }()
	s := Open(func(context.Context) ([]Node, error) { return []Node{fakeNode{name: "n1"}}, nil })
	o := s.Probe(t.Context(), []Job{job("n1", "a")})[0]
	if o.Result != dial.Error || !strings.Contains(o.Detail, "make build") {
		t.Errorf("got %+v, want it to name make build", o)
	}
}

// No two jobs within two minutes are dialled from the same port.
func TestEachJobHasAPortOfItsOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[int]int{}
	s := open(t, fakeNode{"a", func(_ context.Context, stdin io.Reader, stdout io.Writer, _ ...string) error {
		hello(stdout)
		dec := json.NewDecoder(stdin)
		for {
			var j Job
			if err := dec.Decode(&j); err != nil {
				return err
			}
			mu.Lock()
			seen[j.From]++
			mu.Unlock()
			if err := json.NewEncoder(stdout).Encode(Outcome{ID: j.ID, Result: dial.OK}); err != nil {
				return err
			}
		}
	}})
	jobs := slices.Repeat([]Job{job("a", "10.0.0.1")}, 300)
	s.Probe(t.Context(), jobs)
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != len(jobs) {
		t.Errorf("%d jobs from %d ports", len(jobs), len(seen))
	}
	for port := range seen {
		if port < firstPort || port >= firstPort+ports {
			t.Errorf("a job from port %d", port)
		}
	}
}
