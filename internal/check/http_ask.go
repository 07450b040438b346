package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func (h httpCheck) Run(ctx context.Context, c *Cluster) error {
	answerers, err := h.answerers(ctx, c)
	if err != nil {
		return err
	}
	origins, clients, err := h.origins(ctx, c)
	if err != nil {
		return err
	}
	start, wait := time.Now(), c.patience(ctx, h.Objects(), clients, h.past)
	err = h.settle(ctx, c, origins, answerers, wait)
	f, no := errors.AsType[*Failure](err)
	switch {
	case err == nil && h.during != nil:
		return h.withstand(ctx, c, origins, answerers)
	case err == nil || no:
		h.past.note(start, err == nil)
	}
	if err == nil && !h.deny || no && f.Settling || err != nil && !no {
		return err
	}
	if unsound := c.sound(ctx, h.about, h.nodes(origins, clients)...); unsound != nil {
		return unsound
	}
	return err
}

// settle looks until what is seen can be believed, or once when the look is quick.
func (h httpCheck) settle(ctx context.Context, c *Cluster, origins []origin, answerers []string, wait *patience) error {
	for {
		worst, err := h.askOnce(ctx, c, origins, answerers)
		f, no := errors.AsType[*Failure](err)
		if no {
			// A pod may have become ready between the list and its answer.
			if now, listed := h.answerers(ctx, c); listed == nil && !slices.Equal(now, answerers) {
				answerers = now
				continue
			}
		}
		mayCome := wait.disbelieves(worst) || no && f.unexplained && wait.lagging()
		switch {
		case err == nil:
			if err = h.doubt(ctx, c, origins, answerers); err == nil {
				return nil
			}
		case no && f.unexplained && worst.Result == dial.Timeout && !h.slow && !c.Quick && !mayCome:
			// Only a busy machine explains the silence, on which a pod waits for a processor. It gets more time, once.
			h.slow = true
			continue
		case !no || !mayCome || c.final(ctx, f, h.Objects()):
			return err
		default:
			f.Settling = true
		}
		if c.Quick {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(probe.Interval):
		}
	}
}

// doubt is why an answer as it should be is not believed yet: something changed a moment ago, and either a pod that must
// not answer may be on its way into the nodes' rules, or by the API nobody should answer any more. That contradicts what
// is seen, so the network gets more time for it.
func (h httpCheck) doubt(ctx context.Context, c *Cluster, origins []origin, answerers []string) error {
	since := time.Since(c.lastChange(ctx, h.Objects()))
	if h.deny || since >= maxPatience {
		return nil
	}
	if h.by != nil && h.mayStray(ctx, c, answerers, since) {
		return &Failure{
			Is: fmt.Sprintf("%s is answered as it should, and something changed a moment ago", h.url), Look: h.look(), Settling: true,
		}
	}
	for _, from := range origins {
		if from.pod == nil && !h.outside {
			continue // the nodes' own requests pass every policy
		}
		link, err := h.trail(ctx, c, from, probe.Outcome{Result: dial.OK})
		if err != nil {
			continue
		}
		// That somebody answers refutes what remains a guess, but not at once.
		if link = c.knock(ctx, link); link != nil && (!link.Guess || since < calm) {
			return (&Failure{Is: fmt.Sprintf("%s still answers %s", h.url, from.name), Settling: true}).explained(link, nil)
		}
	}
	return nil
}

// mayStray tells whether a pod other than the answerers is perhaps on its way into the nodes' rules. Where the Service
// selects one that stays and is none of by, the rules are late rather than right: on a busy cluster they follow after
// seconds, and so does the readiness of a pod that lost it for a moment.
func (h httpCheck) mayStray(ctx context.Context, c *Cluster, answerers []string, since time.Duration) bool {
	others, known := h.others(ctx, c, answerers)
	if slices.ContainsFunc(others, func(p corev1.Pod) bool { return stays(&p) && !h.by.has(&p) }) {
		return true
	}
	return since < calm && (!known || len(others) > 0)
}

// askOnce asks once, in as many requests as that takes, and returns the outcome that was wrong beside its explanation.
func (h httpCheck) askOnce(ctx context.Context, c *Cluster, origins []origin, answerers []string) (probe.Outcome, error) {
	switch {
	case h.deny:
		return h.denied(ctx, c, origins)
	case h.share != nil:
		return h.shared(ctx, c, origins, answerers)
	}
	jobs, owners := h.requests(origins, max(6, 12*len(answerers)))
	return h.judge(ctx, c, c.probeTwice(ctx, jobs), owners, answerers)
}

// requests are n from each origin: so many that a pod which gets its share is
// hardly ever missed. They are judged together, because a balanced request that
// is repeated until the right pod answers would hide the wrong ones.
func (h httpCheck) requests(origins []origin, n int) (jobs []probe.Job, owners []origin) {
	for _, o := range origins {
		for range n {
			jobs, owners = append(jobs, h.request(o)), append(owners, o)
		}
	}
	return jobs, owners
}

func (h httpCheck) request(o origin) probe.Job {
	j := o.job
	j.Proto, j.Port, j.Path, j.Timeout = dial.HTTP, h.port, h.path, allowTimeout
	if h.slow {
		j.Timeout = slowTimeout
	}
	// That a name is not there is told by the cluster, also where nobody is there to ask outside of it.
	j.Inside = h.deny
	return j
}

// judge returns the outcome that was wrong beside its explanation.
func (h httpCheck) judge(ctx context.Context, c *Cluster, out []probe.Outcome, owners []origin, answerers []string) (probe.Outcome, error) {
	seen := map[string]bool{}
	for i, o := range out {
		switch {
		case h.right(o, answerers):
			seen[o.Body] = true
		case !o.Result.Named():
			return o, fmt.Errorf("asking %s %s: %s", h.url, owners[i].name, o.Detail)
		default:
			return o, h.failure(ctx, c, owners[i], o)
		}
	}
	if !h.every {
		return probe.Outcome{}, nil
	}
	for _, name := range answerers {
		if !seen[name] {
			return probe.Outcome{}, &Failure{
				Is:   fmt.Sprintf("pod %s never answers at %s", name, h.url),
				Want: "an answer from each of " + strings.Join(answerers, ", "), Look: h.look(),
			}
		}
	}
	return probe.Outcome{}, nil
}

func (h httpCheck) right(o probe.Outcome, answerers []string) bool {
	return o.Result == dial.OK && o.Status == h.status && (h.body == nil || h.body.matches(o.Body)) &&
		(h.by == nil || slices.Contains(answerers, o.Body))
}

// denied asks for no answer, twice, because one lost packet looks the same.
func (h httpCheck) denied(ctx context.Context, c *Cluster, origins []origin) (probe.Outcome, error) {
	jobs, owners := h.requests(origins, 1)
	for range 2 {
		for i, o := range c.Prober.Probe(ctx, jobs) {
			switch {
			case o.Result.Denied() && o.Result != dial.DNSTimeout && o.Result != dial.DNSRefused, o.Result == dial.NXDomain:
			case o.Result == dial.OK || o.Result == dial.NotHTTP:
				return o, &Failure{
					Is:   fmt.Sprintf("%s still answers %s", h.url, owners[i].name),
					Want: "no answer", Look: h.look(),
				}
			case o.Result.Named():
				// A name that could not be looked up is no denial of what it leads to.
				return o, fmt.Errorf("asking %s %s: the name was not looked up (%s %s)", h.url, owners[i].name, o.Result, o.Detail)
			default:
				return o, fmt.Errorf("asking %s %s: %s", h.url, owners[i].name, o.Detail)
			}
		}
	}
	if !h.outside {
		return probe.Outcome{}, nil
	}
	// The way to the nodes was there before; it must be there afterwards too.
	_, err := h.routes(ctx, c)
	return probe.Outcome{}, err
}

func (h httpCheck) answerers(ctx context.Context, c *Cluster) ([]string, error) {
	if h.by == nil {
		return nil, nil
	}
	return readyOf(ctx, c, h.by)
}

// readyOf names the ready pods of a set. None at all is a failure.
func readyOf(ctx context.Context, c *Cluster, set *podSet) ([]string, error) {
	found, err := set.running(ctx, c)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range found {
		if podReady(&found[i]) {
			names = append(names, found[i].Name)
		}
	}
	if len(names) == 0 {
		return nil, set.unready(found, c.Clock)
	}
	return names, nil
}
