//go:build bench

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kindlab-dev/kindlab/internal/report"
)

const (
	objectRounds  = 50
	trafficRounds = 20
	// The limits are counted from the moment the API server has accepted a change to the line that says so.
	objectHalf    = 150 * time.Millisecond
	objectMost    = 400 * time.Millisecond
	trafficMost   = 1500 * time.Millisecond
	memoryLimit   = 120e6
	eventPatience = 90 * time.Second
)

// watch measures `kindlab watch -o json`, a process as a learner's editor would run it.
func (b *bench) watch() {
	kube := b.client()
	b.onLab("bench/reset", false, func(w *watching) {
		services := kube.CoreV1().Services("bench-reset")
		selector := func(app string) {
			patch := fmt.Sprintf(`{"spec":{"selector":{"app":%q}}}`, app)
			if _, err := services.Patch(b.t.Context(), "c", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				b.t.Fatal(err)
			}
		}
		b.run("solution", "--apply", "--name", ours, "--labs", b.labs())
		took := w.rounds(objectRounds, "service", func() { selector("nobody") }, func() { selector("c") })
		b.add(timed("watch, an object, median", median(took), objectHalf, 1, "baseline: the 150 ms limit"))
		b.add(timed("watch, an object, 95 %", percentile(took, 95), objectMost, 1, "baseline: the 400 ms limit"))
		b.add(sized("memory of watch", w.memory(), memoryLimit, "baseline: the 120 MB limit"))
	})
	b.onLab("bench/policy", true, func(w *watching) {
		policies := kube.NetworkingV1().NetworkPolicies("bench-policy")
		right, err := policies.Get(b.t.Context(), "queue", metav1.GetOptions{})
		if err != nil {
			b.t.Fatal(err)
		}
		closed := []byte(`{"spec":{"ingress":[]}}`)
		open, err := json.Marshal(map[string]any{"spec": map[string]any{"ingress": right.Spec.Ingress}})
		if err != nil {
			b.t.Fatal(err)
		}
		patch := func(to []byte) {
			if _, err := policies.Patch(b.t.Context(), "queue", types.MergePatchType, to, metav1.PatchOptions{}); err != nil {
				b.t.Fatal(err)
			}
		}
		took := w.rounds(trafficRounds, "table", func() { patch(closed) }, func() { patch(open) })
		b.add(timed("watch, traffic, 95 %", percentile(took, 95), trafficMost, 1, "baseline: the 1.5 s limit"))
	})
}

func (b *bench) client() kubernetes.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", b.kubeconfig())
	if err != nil {
		b.t.Fatal(err)
	}
	config.QPS = -1
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.t.Fatal(err)
	}
	return kube
}

// watching is a running `kindlab watch`.
type watching struct {
	b       *bench
	command *exec.Cmd
	events  chan report.Event
}

// onLab starts a lab, watches it while measure runs, and takes it off again.
func (b *bench) onLab(name string, solve bool, measure func(*watching)) {
	flags := []string{"--name", ours, "--labs", b.labs()}
	b.run(append([]string{"start", name}, flags...)...)
	if solve {
		b.run(append([]string{"solution", "--apply"}, flags...)...)
	}
	w := &watching{b: b, events: make(chan report.Event, 1000)}
	w.command = exec.CommandContext(context.Background(), b.kindlab, append([]string{"watch", "-o", "json", "--keep"}, flags...)...)
	out, err := w.command.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := w.command.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		defer close(w.events)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var e report.Event
			if json.Unmarshal(lines.Bytes(), &e) == nil {
				w.events <- e
			}
		}
	}()
	measure(w)
	_ = w.command.Process.Signal(syscall.SIGTERM)
	for range w.events { // until it has ended
	}
	_ = w.command.Wait() // it was interrupted, and says so
	b.run(append([]string{"stop"}, flags...)...)
}

// rounds breaks and mends a task again and again, and times from each mending to the line that calls it passed.
func (w *watching) rounds(n int, task string, breaks, mends func()) []time.Duration {
	w.until(task, report.Passed)
	took := make([]time.Duration, 0, n)
	for range n {
		breaks()
		w.until(task, report.Failed)
		mends()
		accepted := time.Now()
		w.until(task, report.Passed)
		took = append(took, time.Since(accepted))
	}
	return took
}

// until waits for a task to stand so.
func (w *watching) until(task string, verdict report.Verdict) {
	w.b.t.Helper()
	patience := time.After(eventPatience)
	for {
		select {
		case e, more := <-w.events:
			if !more {
				w.b.t.Fatal("kindlab watch has ended")
			}
			if e.Task != nil && e.Task.ID == task && e.Task.Verdict == verdict {
				return
			}
		case <-patience:
			w.b.t.Fatalf("task %s is not %s within %s", task, verdict, eventPatience)
		}
	}
}

// memory is the most that the process has held, in bytes.
func (w *watching) memory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.command.Process.Pid))
	if err != nil {
		w.b.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
			if err != nil {
				w.b.t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	w.b.t.Fatal("no VmHWM in the process's status")
	return 0
}
