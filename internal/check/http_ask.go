package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// origin is where requests leave from, in words and as the start of a job.
type origin struct {
	name string
	job  probe.Job
	pod  *corev1.Pod // nil for what is no pod
}

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
		switch {
		case err == nil:
			if err = h.doubt(ctx, c, origins, answerers); err == nil {
				return nil
			}
		case !no || !wait.disbelieves(worst) || c.final(ctx, f, h.Objects()):
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
	if since < calm && h.by != nil && !h.leadsOnlyTo(ctx, c, answerers) {
		return &Failure{
			Is: fmt.Sprintf("%s is answered as it should, and something changed a moment ago", h.url), Look: h.look(), Settling: true,
		}
	}
	for _, from := range origins {
		if from.pod == nil && !h.outside {
			continue // the nodes' own requests pass every policy
		}
		// That somebody answers refutes a guess, but not at once.
		if link, err := h.trail(ctx, c, from, probe.Outcome{Result: dial.OK}); err == nil && link != nil && (!link.Guess || since < calm) {
			return (&Failure{Is: fmt.Sprintf("%s still answers %s", h.url, from.name), Settling: true}).explained(link, nil)
		}
	}
	return nil
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
		return nil, set.unready(found)
	}
	return names, nil
}

func (h httpCheck) origins(ctx context.Context, c *Cluster) (list []origin, clients []corev1.Pod, err error) {
	switch {
	case h.outside:
		list, err = h.routes(ctx, c)
		return list, nil, err
	case h.node != "":
		list, err = h.fromNodes(ctx, c)
		return list, nil, err
	}
	if clients, err = h.from.running(ctx, c); err != nil {
		return nil, nil, err
	}
	for _, p := range clients {
		j := jobFrom(p)
		j.Host = h.host
		list = append(list, origin{"from pod " + p.Name, j, &p})
	}
	return list, clients, nil
}

// nodes lists those that the check's packets touch, as far as that is known.
func (h httpCheck) nodes(origins []origin, clients []corev1.Pod) []string {
	names := nodesOf(clients)
	for _, o := range origins {
		if o.job.Node != "" {
			names = append(names, o.job.Node)
		}
	}
	return names
}

// kubeletPort answers on every node: a host that cannot connect to it has no
// route, and its silence says nothing about a Service.
const kubeletPort = 10250

// routes leads to every node from this host. Where the host has no route to the
// nodes (engines in a virtual machine), a neighbouring node asks instead: to
// the node it is just as much a stranger from the network.
func (h httpCheck) routes(ctx context.Context, c *Cluster) ([]origin, error) {
	nodes, err := c.nodeAddresses(ctx)
	if err != nil {
		return nil, err
	}
	jobs := make([]probe.Job, len(nodes))
	for i, n := range nodes {
		jobs[i] = probe.Job{Proto: dial.TCP, Host: n.ip, Port: kubeletPort, Timeout: allowTimeout}
	}
	var list []origin
	var around []int
	for i, o := range c.Prober.Probe(ctx, jobs) {
		list = append(list, origin{"through node " + nodes[i].name, probe.Job{Host: nodes[i].ip}, nil})
		if o.Result == dial.OK {
			continue
		}
		if len(nodes) == 1 {
			return nil, fmt.Errorf("this host has no route to node %s (%s), and there is no second node to ask from", nodes[i].name, nodes[i].ip)
		}
		around = append(around, i)
		list[i].job.Node = nodes[(i+1)%len(nodes)].name
		jobs[i].Node = list[i].job.Node
	}
	if len(around) == 0 {
		return list, nil
	}
	// The neighbour has to reach it: a node that is down denies nothing.
	again := make([]probe.Job, len(around))
	for k, i := range around {
		again[k] = jobs[i]
	}
	for k, o := range c.Prober.Probe(ctx, again) {
		if n := nodes[around[k]]; o.Result != dial.OK {
			return nil, fmt.Errorf("neither this host nor node %s reaches node %s (%s): %s %s", again[k].Node, n.name, n.ip, o.Result, o.Detail)
		}
	}
	return list, nil
}

// fromNodes asks from the nodes' own namespaces. Nodes do not use the cluster's DNS, so a Service is asked at its
// address.
func (h httpCheck) fromNodes(ctx context.Context, c *Cluster) ([]origin, error) {
	nodes, err := c.nodeAddresses(ctx)
	if err != nil {
		return nil, err
	}
	var hosts []string
	switch {
	case h.everyNode:
		for _, n := range nodes {
			hosts = append(hosts, n.ip)
		}
	case isAddress(h.host):
		hosts = []string{h.host}
	default:
		svc, err := h.find(ctx, c)
		if err != nil {
			return nil, err
		}
		if svc == nil || svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.Spec.ClusterIP == "" {
			return nil, &Failure{
				Is:   fmt.Sprintf("there is no Service %s with a cluster IP in namespace %s", h.service, h.namespace),
				Look: fmt.Sprintf("kubectl -n %s get services", h.namespace),
			}
		}
		hosts = []string{svc.Spec.ClusterIP}
	}
	var list []origin
	for i, n := range nodes {
		if h.node == "any" && i > 0 || h.node != "any" && h.node != "all" && h.node != n.name {
			continue
		}
		for _, host := range hosts {
			list = append(list, origin{"from node " + n.name, probe.Job{Node: n.name, Host: host}, nil})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the cluster has no node %s", h.node)
	}
	return list, nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
