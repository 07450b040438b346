//go:build e2e

package labs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
	"github.com/kindlab-dev/kindlab/internal/site"
)

// pair is one pod that asks, and what it asks for.
type pair struct {
	client, target string
	end            reachEnd
	from, to       corev1.Pod // to is without a name for a lookup
}

func (p pair) String() string { return p.client + " to " + p.target }

// pairs are all pods of all clients with all pods of all targets, those that the table leaves open too.
func (r reachTable) pairs(ctx context.Context, s *site.Site, l *lab.Lab) ([]pair, error) {
	var all []pair
	for _, client := range slices.Sorted(maps.Keys(r.Clients)) {
		from, err := r.Clients[client].running(ctx, s, l)
		if err != nil {
			return nil, err
		}
		for _, target := range slices.Sorted(maps.Keys(r.Targets)) {
			end := r.Targets[target]
			to := []corev1.Pod{{}}
			if end.Lookup == "" {
				if to, err = end.running(ctx, s, l); err != nil {
					return nil, err
				}
			}
			for _, a := range from {
				for _, b := range to {
					if a.UID != b.UID { // a pod always reaches itself
						all = append(all, pair{client, target, end, a, b})
					}
				}
			}
		}
	}
	return all, nil
}

func (e reachEnd) running(ctx context.Context, s *site.Site, l *lab.Lab) ([]corev1.Pod, error) {
	ns := e.Namespace
	if ns == "" {
		ns = l.Namespaces[0]
	}
	list, err := s.Owner.Kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: e.Pods, FieldSelector: "status.phase=Running"})
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	if len(found) == 0 {
		return nil, fmt.Errorf("no pod with labels %s is running in namespace %s", e.Pods, ns)
	}
	return found, nil
}

// jobsOf are the pairs as kindlab's probes ask them.
func jobsOf(pairs []pair) []probe.Job {
	jobs := make([]probe.Job, len(pairs))
	for i, p := range pairs {
		jobs[i] = probe.Job{
			PodIP: p.from.Status.PodIP, Node: p.from.Spec.NodeName,
			Proto: dial.Proto(p.protocol()), Host: p.to.Status.PodIP, Port: p.end.Port, Timeout: 2 * time.Second,
		}
		if p.end.Lookup != "" {
			jobs[i].Proto, jobs[i].Host = dial.DNS, p.end.Lookup
		}
	}
	return jobs
}

func (p pair) protocol() string {
	if p.end.Protocol == "" {
		return "tcp"
	}
	return p.end.Protocol
}

// argv is the pair as a program in the pod asks it.
func (p pair) argv() []string {
	if p.end.Lookup != "" {
		// dig takes an answer that there is no such name for a success; an empty one is none for grep.
		return []string{"sh", "-c", "dig +short +time=2 +tries=1 " + p.end.Lookup + ". | grep -E '^[0-9.]+$'"}
	}
	address := fmt.Sprintf("%s:%d", p.to.Status.PodIP, p.end.Port)
	return []string{"/agnhost", "connect", address, "--protocol=" + p.protocol(), "--timeout=2s"}
}

// execAll asks all pairs by exec, a few at a time, and returns which are open, and what the program wrote.
func execAll(ctx context.Context, s *site.Site, pairs []pair) (open []bool, words []string, err error) {
	open, words = make([]bool, len(pairs)), make([]string, len(pairs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, p := range pairs {
		group.Go(func() (err error) {
			open[i], words[i], err = execIn(ctx, s, p.from, p.argv())
			return err
		})
	}
	return open, words, group.Wait()
}

// execIn runs a program in the first container of a pod, and tells whether it succeeded. err is trouble with the stream.
func execIn(ctx context.Context, s *site.Site, pod corev1.Pod, argv []string) (ok bool, words string, err error) {
	url := s.Owner.Kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: pod.Spec.Containers[0].Name, Command: argv, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	stream, err := remotecommand.NewWebSocketExecutor(s.Owner.Config, "GET", url.String())
	if err != nil {
		return false, "", err
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &out})
	if exit, exited := errors.AsType[exec.ExitError](err); exited {
		// Exit codes beyond 125 are the shell's and the runtime's: the program was not there or was killed.
		if exit.ExitStatus() > 125 {
			return false, "", fmt.Errorf("running %v in pod %s: %w: %s", argv, pod.Name, err, out.String())
		}
		return false, strings.TrimSpace(out.String()), nil
	}
	if err != nil {
		return false, "", fmt.Errorf("running %v in pod %s: %w", argv, pod.Name, err)
	}
	return true, strings.TrimSpace(out.String()), nil
}
