//go:build linux

// Command kindlab-agent runs in a node of a kind cluster. It reads jobs from
// stdin, one JSON object a line, makes each attempt from inside the network
// namespace of the pod it names, and answers on stdout, in the order in which
// they end. It leaves when stdin closes.
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
	if err := serve(os.Stdin, os.Stdout, newNamespaces("/var/run/netns", "/proc")); err != nil {
		fmt.Fprintln(os.Stderr, "kindlab-agent:", err)
		os.Exit(1)
	}
}

// serve runs every job on a goroutine, and so on a thread, of its own.
func serve(in *os.File, out *os.File, ns *namespaces) error {
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
			o := attempt(ns, j)
			write.Lock()
			defer write.Unlock()
			_ = enc.Encode(o) // the reader has gone: stdin will close too
		})
	}
	jobs.Wait()
	return lines.Err()
}

// attempt makes one attempt. A bug here must not take the other jobs along.
func attempt(ns *namespaces, j dial.Job) (o dial.Outcome) {
	defer func() {
		if r := recover(); r != nil {
			o = dial.Outcome{ID: j.ID, Result: dial.Error, Detail: fmt.Sprintf("the agent panicked: %v", r)}
		}
	}()
	resolvConf := func() (string, error) { return ns.resolvConf(j.PodIP) }
	if j.PodIP != "" {
		if err := ns.enter(j.PodIP); err != nil {
			return dial.Outcome{ID: j.ID, Result: dial.Error, Detail: err.Error()}
		}
	}
	return dial.Do(context.Background(), j, resolvConf)
}
