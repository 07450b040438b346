//go:build linux

// Command kindlab-agent runs in a node of a kind cluster. It reads jobs from
// stdin, one JSON object a line, makes each attempt from inside the network
// namespace of the pod it names, and answers on stdout, in the order in which
// they end. It leaves when stdin closes. With the argument "here" it runs inside
// a pod, and makes every attempt from where it is.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func main() {
	// Keeps the jobs off the main thread. It cannot die, so it would stay in a
	// pod's namespace and pass for one of the pod's processes in /proc.
	runtime.LockOSThread()
	var from place = newNamespaces("/var/run/netns", "/proc")
	if len(os.Args) == 2 && os.Args[1] == "here" {
		from = here{}
	}
	if err := serve(os.Stdin, os.Stdout, from); err != nil {
		fmt.Fprintln(os.Stderr, "kindlab-agent:", err)
		os.Exit(1)
	}
}

// A place is where attempts are made from.
type place interface {
	// enter moves the calling goroutine to where the job is to be done.
	enter(j dial.Job) error
	resolvConf(j dial.Job) (string, error)
}

// here is the pod that the agent itself runs in.
type here struct{}

func (here) enter(dial.Job) error { return nil }

func (here) resolvConf(dial.Job) (string, error) {
	b, err := os.ReadFile("/etc/resolv.conf")
	return string(b), err
}

// serve runs every job on a goroutine, and so on a thread, of its own.
func serve(in *os.File, out *os.File, from place) error {
	// The first line tells the other side that this is the agent and not a shell.
	if _, err := fmt.Fprintln(out, dial.Hello); err != nil {
		return err
	}
	var (
		write sync.Mutex
		jobs  sync.WaitGroup
		enc   = json.NewEncoder(out)
	)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var j dial.Job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			return fmt.Errorf("reading a job: %w", err)
		}
		jobs.Go(func() {
			o := attempt(from, j)
			write.Lock()
			defer write.Unlock()
			_ = enc.Encode(o) // the reader has gone: stdin will close too
		})
	}
	jobs.Wait()
	return lines.Err()
}

// attempt makes one attempt. A bug here must not take the other jobs along.
func attempt(from place, j dial.Job) (o dial.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			o = dial.Outcome{ID: j.ID, Result: dial.Error, Detail: fmt.Sprintf("the agent panicked: %v", r)}
		}
	}()
	if err := from.enter(j); err != nil {
		return dial.Outcome{ID: j.ID, Result: dial.Error, Detail: err.Error()}
	}
	return dial.Do(context.Background(), j, func() (string, error) { return from.resolvConf(j) })
}
