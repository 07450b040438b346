package check

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kindlab-dev/kindlab/internal/explain"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// failure explains one wrong answer.
func (h httpCheck) failure(ctx context.Context, c *Cluster, from origin, o probe.Outcome) error {
	f := &Failure{Want: fmt.Sprintf("status %d", h.status), Look: h.look()}
	switch {
	case o.Result == dial.NotHTTP:
		f.Is = fmt.Sprintf("what answers at %s %s does not speak HTTP", h.url, from.name)
		f.More = []string{printable(o.Detail)}
	case o.Result != dial.OK:
		f.Is = fmt.Sprintf("%s does not answer %s (%s)", h.url, from.name, o.Result)
		f.More = []string{o.Detail}
	case o.Status != h.status:
		f.Is = fmt.Sprintf("%s answers %s with status %d", h.url, from.name, o.Status)
		f.certain = h.allAnswerWrong(ctx, c, o)
	case h.body != nil && !h.body.matches(o.Body):
		f.Is = fmt.Sprintf("%s answers %s with %q", h.url, from.name, brief(o.Body))
		f.Want = "a body that " + h.body.String()
		f.certain = h.allAnswerWrong(ctx, c, o)
	default:
		f.Is = fmt.Sprintf("%s is answered by %s", h.url, brief(o.Body))
		f.Want = fmt.Sprintf("only pods with labels %s in namespace %s", h.by.Pods, h.by.Namespace)
		f.certain = h.leadsTo(ctx, c, o.Body)
	}
	if o.Result == dial.OK {
		return f
	}
	if o.Result == dial.DNSTimeout || o.Result == dial.DNSRefused || o.Result == dial.DNSFailed {
		if err := c.namesAnswered(ctx, h.about); err != nil {
			return err
		}
	}
	// This first: a pod that arrives while the chain is walked would be missed by both.
	arriving := h.arriving(ctx, c)
	link, err := h.trail(ctx, c, from, o)
	if err == nil && !c.freshDoors(link) {
		link = c.knock(ctx, link)
	}
	f.Settling = arriving && (link == nil || !link.Lasting)
	f = f.explained(link, err)
	f.unexplained = o.Result.Denied() && err == nil && link == nil
	// An alias of a name outside, and no such name: had the cluster's DNS not heard of the alias yet, it would by now.
	if link != nil && link.Leaves && o.Result.OfDNS() && time.Since(c.lastChange(ctx, h.Objects())) >= calm {
		f.certain = !f.Settling
	}
	return f
}

// knock finds out whether a guess is right, which says that nobody listens at a pod's port: the pod asks itself, where no
// policy and no rule of a node stands between. Where somebody answers, the guess was wrong, and no link remains.
func (c *Cluster) knock(ctx context.Context, link *explain.Link) *explain.Link {
	if link == nil || !link.Guess || len(link.Doors) == 0 {
		return link
	}
	jobs := make([]probe.Job, len(link.Doors))
	for i, d := range link.Doors {
		jobs[i] = jobFrom(d.Pod)
		jobs[i].Proto, jobs[i].Host, jobs[i].Port, jobs[i].Timeout = dial.TCP, d.Pod.Status.PodIP, d.Port, allowTimeout
	}
	shut := true
	for _, o := range c.Prober.Probe(ctx, jobs) {
		if o.Result == dial.OK {
			return nil
		}
		shut = shut && o.Result == dial.Refused
	}
	if !shut {
		return link
	}
	known := *link
	known.Guess, known.Is = false, fmt.Sprintf("%s; nobody listens on port %d there", link.Is, link.Doors[0].Port)
	return &known
}

// freshDoors tells whether a program behind one of a link's doors started a moment ago: it may be about to listen.
func (c *Cluster) freshDoors(link *explain.Link) bool {
	return link != nil && slices.ContainsFunc(link.Doors, func(d explain.Door) bool {
		return c.Clock.Since(startedLast(&d.Pod)) < maxPatience
	})
}

// startedLast is when the youngest of a pod's running containers started.
func startedLast(p *corev1.Pod) time.Time {
	var last time.Time
	for _, status := range p.Status.ContainerStatuses {
		if r := status.State.Running; r != nil && r.StartedAt.After(last) {
			last = r.StartedAt.Time
		}
	}
	return last
}

// arriving tells whether a pod behind the Service is on its way: started, not ready, and not stuck either; or ready since a
// moment ago, which the answer that was seen may not know yet, nor the cluster's DNS and the nodes.
func (h httpCheck) arriving(ctx context.Context, c *Cluster) bool {
	svc, err := h.find(ctx, c)
	if err != nil || svc == nil || len(svc.Spec.Selector) == 0 {
		return false
	}
	list, err := c.Kube.CoreV1().Pods(svc.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(svc.Spec.Selector).String()})
	return err == nil && slices.ContainsFunc(list.Items, func(p corev1.Pod) bool {
		if !stays(&p) {
			return false
		}
		if podReady(&p) {
			return c.Clock.Since(readySince(&p)) < justReady
		}
		why, err := c.stuck(ctx, &p)
		return why == "" && err == nil
	})
}

// justReady is how long the cluster may take to follow a pod that got ready, where it is busy. Times of conditions are
// whole seconds.
const justReady = 4 * time.Second

// probeTwice probes, and asks once more, with more time, where a few of many requests were not answered: on a machine that
// is busy a single one is late, and that is no verdict on the learner's work. Where more are missing, they are missing.
func (c *Cluster) probeTwice(ctx context.Context, jobs []probe.Job) []probe.Outcome {
	out := c.Prober.Probe(ctx, jobs)
	var late []int
	for i, o := range out {
		if o.Result == dial.Timeout || o.Result == dial.DNSTimeout {
			late = append(late, i)
		}
	}
	if len(late) == 0 || len(late) > max(1, len(jobs)/fewLate) || len(jobs) == 1 {
		return out
	}
	again := make([]probe.Job, len(late))
	for n, i := range late {
		again[n] = jobs[i]
		again[n].Timeout *= 3
	}
	for n, o := range c.Prober.Probe(ctx, again) {
		out[late[n]] = o
	}
	return out
}

// fewLate is how many requests there must be for each that may be late.
const fewLate = 10
