package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// during is a change of the learner's workload.
type during struct {
	Restart lab.Ref `yaml:"restart" doc:"a deployment, statefulset or daemonset whose pods are all replaced"`
	Delete  lab.Ref `yaml:"delete" doc:"in place of restart: a pod that is deleted"`
}

func (d *during) compile(s Scope, n lab.Node) lab.Problems {
	if (d.Restart.Kind == "") == (d.Delete.Kind == "") {
		return lab.Problems{n.Problem("expected either restart or delete")}
	}
	if k := d.Restart.Kind; k != "" && k != "deployment" && k != "statefulset" && k != "daemonset" {
		return lab.Problems{n.Field("restart").Problem("expected a deployment, statefulset or daemonset, found %q", d.Restart)}
	}
	if d.Delete.Kind != "" && d.Delete.Kind != "pod" {
		return lab.Problems{n.Field("delete").Problem("expected a pod such as pod/web-0, found %q", d.Delete)}
	}
	for _, r := range []*lab.Ref{&d.Restart, &d.Delete} {
		if r.Namespace == "" {
			r.Namespace = s.Namespace
		}
	}
	return nil
}

func (d *during) object() Dependency {
	if d.Delete.Kind != "" {
		return Dependency{Resource: pods, Namespace: d.Delete.Namespace, Name: d.Delete.Name}
	}
	return Dependency{Resource: workloads()[d.Restart.Kind], Namespace: d.Restart.Namespace, Name: d.Restart.Name}
}

func (d *during) String() string {
	if d.Delete.Kind != "" {
		return fmt.Sprintf("%s was deleted and replaced", d.Delete)
	}
	return fmt.Sprintf("%s was restarted", d.Restart)
}

const (
	// pace is the pause between two requests from one client.
	pace = 20 * time.Millisecond
	// unanswered is when a request counts as failed. It leaves room for a lost packet to be sent again, which the
	// learner has nothing to do with.
	unanswered = 3 * time.Second
	// change bounds the wait for the workload to have arrived again.
	change = 45 * time.Second
	// tail is how long requests go on after that, as rules that still lead to a pod which has gone show only then, and
	// after a request that got no answer, to tell one from many.
	tail = 2 * time.Second
)

// withstand changes the workload while requests go on, and returns what failed. A request that gets no answer decides it:
// then the end of the change is not waited for.
func (h httpCheck) withstand(ctx context.Context, c *Cluster, origins []origin, answerers []string) error {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	waiting, enough := context.WithCancel(ctx)
	defer enough()
	sent := stream{unanswered: enough}
	var done sync.WaitGroup
	for _, o := range origins {
		done.Go(func() { h.steadily(sending, ctx, c, o, &sent) })
	}
	err := h.during.run(ctx, waiting, c)
	if err == nil {
		err = pause(ctx, tail)
	}
	stop()
	done.Wait()
	if err != nil {
		return err
	}
	after, err := h.successors(ctx, c)
	if _, none := errors.AsType[*Failure](err); err != nil && (!none || waiting.Err() == nil) {
		return err
	}
	return h.lost(&sent, slices.Concat(answerers, after))
}

// successors names the pods that took the place of others.
func (h httpCheck) successors(ctx context.Context, c *Cluster) ([]string, error) {
	if h.by == nil {
		return nil, nil
	}
	found, err := h.by.running(ctx, c)
	names := make([]string, len(found))
	for i, p := range found {
		names[i] = p.Name
	}
	return names, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// stream is what was asked and answered, and when.
type stream struct {
	mu   sync.Mutex
	all  []asked
	from time.Time // of the first
	// unanswered is called when a request got no answer.
	unanswered func()
}

type asked struct {
	at      time.Duration // since the first
	origin  origin
	outcome probe.Outcome
}

// steadily sends requests until sending ends, not waiting for answers in between. ctx is for the answers.
func (h httpCheck) steadily(sending, ctx context.Context, c *Cluster, o origin, to *stream) {
	var answers sync.WaitGroup
	defer answers.Wait()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		answers.Go(func() {
			at := to.begin()
			j := h.request(o)
			j.Timeout = unanswered
			to.add(asked{at, o, c.Prober.Probe(ctx, []probe.Job{j})[0]})
		})
		select {
		case <-sending.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *stream) begin() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from.IsZero() {
		s.from = time.Now()
	}
	return time.Since(s.from)
}

// add keeps what came of a request.
func (s *stream) add(a asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, a)
	if a.outcome.Result.Named() && a.outcome.Result != dial.OK {
		s.unanswered()
	}
}

// lost judges the answers.
func (h httpCheck) lost(sent *stream, answerers []string) error {
	slices.SortFunc(sent.all, func(a, b asked) int { return int(a.at - b.at) })
	failed := 0
	var first asked
	for _, a := range sent.all {
		if h.right(a.outcome, answerers) {
			continue
		}
		if !a.outcome.Result.Named() {
			return fmt.Errorf("asking %s %s: %s", h.url, a.origin.name, a.outcome.Detail)
		}
		if failed++; failed == 1 {
			first = a
		}
	}
	if failed == 0 {
		return nil
	}
	return &Failure{
		Is: fmt.Sprintf("%d of %d requests to %s failed while %s; the first after %.1f s, %s: %s",
			failed, len(sent.all), h.url, h.during, first.at.Seconds(), first.origin.name, h.what(first.outcome)),
		Want: "an answer to each", Look: h.look(),
	}
}

// what names a wrong outcome in a few words.
func (h httpCheck) what(o probe.Outcome) string {
	switch {
	case o.Result != "ok":
		return string(o.Result)
	case o.Status != h.status:
		return fmt.Sprintf("status %d", o.Status)
	default:
		return fmt.Sprintf("answered with %q", brief(o.Body))
	}
}

// run makes the change and waits until the workload has arrived again, or waiting ends, which is no error where ctx goes
// on.
func (d *during) run(ctx, waiting context.Context, c *Cluster) error {
	arrived, what := Rollout{Ref: d.Restart}.Run, d.Restart
	if d.Delete.Kind != "" {
		replaced, err := d.remove(ctx, c)
		if err != nil {
			return err
		}
		arrived, what = replaced, d.Delete
	} else if err := d.restart(ctx, c); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(waiting, change)
	defer cancel()
	for {
		err := arrived(limit, c)
		switch {
		case err == nil:
			return nil
		case waiting.Err() != nil:
			return context.Cause(ctx)
		}
		f, no := errors.AsType[*Failure](err)
		if !no && limit.Err() == nil {
			return err
		}
		if pause(limit, 100*time.Millisecond) == nil {
			continue
		}
		if waiting.Err() != nil {
			return context.Cause(ctx)
		}
		late := &Failure{
			Is:   fmt.Sprintf("%s had not arrived %s after %s", what, change, d),
			Look: fmt.Sprintf("kubectl -n %s get pods,events", what.Namespace),
		}
		if no {
			late.Is += ": " + f.Is
		}
		return late
	}
}

// restart does what kubectl rollout restart does.
func (d *during) restart(ctx context.Context, c *Cluster) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`,
		time.Now().Format(time.RFC3339Nano))
	_, err := c.Owner.Dynamic.Resource(workloads()[d.Restart.Kind]).Namespace(d.Restart.Namespace).
		Patch(ctx, d.Restart.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kindlab-grader"})
	if apierrors.IsNotFound(err) {
		return missing(d.Restart)
	}
	if err != nil {
		return fmt.Errorf("restarting %s: %w", d.Restart, err)
	}
	return nil
}

func missing(r lab.Ref) *Failure {
	return &Failure{
		Is:   fmt.Sprintf("%s does not exist in namespace %s", r, r.Namespace),
		Look: fmt.Sprintf("kubectl -n %s get %ss", r.Namespace, r.Kind),
	}
}

// remove deletes the pod, and returns what asks whether as many are ready again as were before.
func (d *during) remove(ctx context.Context, c *Cluster) (func(context.Context, *Cluster) error, error) {
	api := c.Kube.CoreV1().Pods(d.Delete.Namespace)
	pod, err := api.Get(ctx, d.Delete.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, missing(d.Delete)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.Delete, err)
	}
	same := labels.Set{}
	for key, value := range pod.Labels {
		if key != "statefulset.kubernetes.io/pod-name" && key != "apps.kubernetes.io/pod-index" {
			same[key] = value
		}
	}
	ready := func(ctx context.Context) (n int, err error) {
		list, err := api.List(ctx, metav1.ListOptions{LabelSelector: same.String()})
		if err != nil {
			return 0, fmt.Errorf("listing pods: %w", err)
		}
		return len(slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return !podReady(&p) || p.UID == pod.UID })), nil
	}
	others, err := ready(ctx)
	if err != nil {
		return nil, err
	}
	err = c.Owner.Kube.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil {
		return nil, fmt.Errorf("deleting %s: %w", d.Delete, err)
	}
	return func(ctx context.Context, _ *Cluster) error {
		n, err := ready(ctx)
		if err == nil && n <= others {
			return &Failure{Is: fmt.Sprintf("%d pods are ready, and %d were", n, others+1), Settling: true}
		}
		return err
	}, nil
}
