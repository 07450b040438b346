package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// A link is the stream to one agent. Answers come in any order; ids match them.
type link struct {
	up   chan struct{} // closed when the agent said hello
	down chan struct{} // closed when the stream ended; err says why

	// send takes jobs, one line each, to the goroutine that writes them: an agent that does not read blocks only that.
	send chan []byte

	mu      sync.Mutex
	err     error
	stdin   *io.PipeWriter
	next    int
	slot    int64 // of the last port to dial from
	waiting map[int]chan Outcome
}

func newLink() *link {
	return &link{
		up: make(chan struct{}), down: make(chan struct{}), send: make(chan []byte), waiting: map[int]chan Outcome{},
	}
}

// run executes the agent and dispatches its answers until the stream ends.
func (l *link) run(ctx context.Context, node Node, argv ...string) error {
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	l.mu.Lock()
	l.stdin = stdin
	l.mu.Unlock()

	read := make(chan struct{})
	defer close(read)
	go l.write(stdin, read)

	ended := make(chan error, 1)
	go func() {
		err := node.Exec(ctx, in, out, argv...)
		// Both ends learn of it: nobody waits for a process that has gone.
		_ = in.CloseWithError(io.ErrClosedPipe)
		_ = out.CloseWithError(io.EOF)
		ended <- err
	}()

	readErr := l.read(stdout)
	_ = stdin.Close()
	_ = stdout.CloseWithError(io.ErrClosedPipe)
	err := <-ended
	switch {
	case errors.Is(readErr, errMissing):
		return errMissing
	case err != nil:
		return fmt.Errorf("running the agent: %w", err)
	case readErr != nil:
		return readErr
	}
	return errors.New("the agent ended")
}

// write passes jobs on until the agent's answers end. A write that fails shows there too.
func (l *link) write(stdin io.Writer, ended <-chan struct{}) {
	for {
		select {
		case line := <-l.send:
			if _, err := stdin.Write(line); err != nil {
				return
			}
		case <-ended:
			return
		}
	}
}

func (l *link) read(stdout io.Reader) error {
	r := bufio.NewReader(stdout)
	hello, err := r.ReadString('\n')
	switch {
	case err != nil:
		return fmt.Errorf("the agent did not start: %w", err)
	case hello == "missing\n":
		return errMissing
	case hello != dial.Hello+"\n":
		return fmt.Errorf("the agent did not start: it said %q", hello)
	}
	close(l.up)
	dec := json.NewDecoder(r)
	for {
		var o Outcome
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the agent's answer: %w", err)
		}
		l.mu.Lock()
		answer := l.waiting[o.ID]
		delete(l.waiting, o.ID)
		l.mu.Unlock()
		if answer != nil {
			answer <- o
		}
	}
}

// ready waits for the agent's hello.
func (l *link) ready(ctx context.Context) error {
	select {
	case <-l.up:
		return nil
	case <-l.down:
		return l.reason()
	case <-ctx.Done():
		return fmt.Errorf("waiting for the agent: %w", context.Cause(ctx))
	}
}

// The ports that jobs are dialled from are taken in turn, by the clock, so that no job of this process or of the one before
// gets a port anew within two minutes. They are those that Linux gives out itself (ip_local_port_range).
const (
	firstPort, ports = 32768, 28232
	slotMillis       = 5 // 141 seconds for all
)

// ask sends a job and waits for its answer.
func (l *link) ask(ctx context.Context, j Job) (Outcome, error) {
	answer := make(chan Outcome, 1)
	l.mu.Lock()
	id := l.next
	l.next++
	l.waiting[id] = answer
	l.slot = max(l.slot+1, time.Now().UnixMilli()/slotMillis)
	j.From = firstPort + int(l.slot%ports)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, id)
		l.mu.Unlock()
	}()

	want := j.ID
	j.ID = id
	b, err := json.Marshal(j)
	if err != nil {
		return Outcome{}, fmt.Errorf("sending a job: %w", err)
	}
	send, line := l.send, slices.Concat(b, []byte{'\n'})
	for {
		select {
		case send <- line:
			send = nil // sent: from now on only the answer is waited for
		case o := <-answer:
			o.ID = want
			return o, nil
		case <-l.down:
			return Outcome{}, l.reason()
		case <-ctx.Done():
			return Outcome{}, context.Cause(ctx)
		}
	}
}

func (l *link) fail(err error) {
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	close(l.down)
}

func (l *link) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *link) broken() bool {
	select {
	case <-l.down:
		return true
	default:
		return false
	}
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stdin != nil {
		_ = l.stdin.Close()
	}
}
