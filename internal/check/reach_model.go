package check

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/explain"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// rules are what the API says about connections between pods. Packets decide; the rules tell when the packets can be
// believed: a network takes a moment to do what the API says, and until it does, an open door proves nothing, and
// neither does a closed one. Without them, the cells of a table would be seen at different moments, and a table would
// pass that never was.
type rules struct {
	policies   []networkingv1.NetworkPolicy
	namespaces []corev1.Namespace
}

// rulesNow reads them.
func (c *Cluster) rulesNow(ctx context.Context) (*rules, error) {
	r := &rules{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		list, err := c.Kube.NetworkingV1().NetworkPolicies(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing NetworkPolicies: %w", err)
		}
		r.policies = list.Items
		return nil
	})
	group.Go(func() error {
		list, err := c.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing namespaces: %w", err)
		}
		r.namespaces = list.Items
		return nil
	})
	return r, group.Wait()
}

// allow tells whether the policies let one pod reach a port of another.
func (r *rules) allow(from, to *corev1.Pod, port int, protocol corev1.Protocol) bool {
	var about []networkingv1.NetworkPolicy
	for _, p := range r.policies {
		if p.Namespace == from.Namespace || p.Namespace == to.Namespace {
			about = append(about, p)
		}
	}
	egress, ingress, err := explain.Judge(about, r.namespaces, peer(from), peer(to), port, protocol)
	// A policy that cannot be read as the API means it is no reason to expect a closed door.
	return err != nil || egress.Allowed() && ingress.Allowed()
}

func peer(p *corev1.Pod) explain.Peer {
	ip, _ := netip.ParseAddr(p.Status.PodIP)
	return explain.Peer{Pod: p, IP: ip}
}

// unsure is why a cell cannot be judged on which policies and packets do not agree. It is nil where it can.
func (r reach) unsure(ctx context.Context, c *Cluster, p cell, o probe.Outcome, want bool, wait *patience) error {
	switch {
	case !o.Result.Named():
		return fmt.Errorf("probing from %s to %s: %s", p.row, p.column, o.Detail)
	case o.Result == dial.OK:
		return r.behind(ctx, c, p)
	case o.Result.Denied() && !want && (wait.disbelieves(o) || wait.lagging()):
		return &Failure{
			Is:   fmt.Sprintf("%s does not reach %s (%s), and no policy denies it", p.row, p.column, o.Result),
			Look: r.look(p), Settling: true,
		}
	}
	return nil
}

// unexplained are the places of cells that are denied though no policy denies them.
func unexplained(cells []cell, out []probe.Outcome) (places []int) {
	for i, p := range cells {
		if p.open && out[i].Result.Denied() {
			places = append(places, i)
		}
	}
	return places
}

// insist asks again where a door is closed that no policy closes, and whose pod answers itself: a policy that was deleted
// may have closed it, and the network does not know yet.
func (r reach) insist(ctx context.Context, c *Cluster, cells []cell, all []probe.Expectation, out []probe.Outcome, wait *patience) {
	places := unexplained(cells, out)
	if wait.quick || len(places) == 0 {
		return
	}
	again := make([]probe.Expectation, len(places))
	for n, i := range places {
		again[n] = all[i]
	}
	left := lag - time.Since(wait.start)
	for n, o := range probe.Converge(ctx, c.Prober.Probe, again, func(probe.Outcome) time.Duration { return left }) {
		out[places[n]] = o
	}
}

// catchingUp is how long a network may take to do what a changed policy says before nobody can tell any more what it does.
const catchingUp = 30 * time.Second

// behind is about a door that the policies close and the network leaves open: it has not caught up, or it does not
// enforce policies at all.
func (r reach) behind(ctx context.Context, c *Cluster, p cell) error {
	is := fmt.Sprintf("%s still reaches %s, although the policies deny it", p.row, p.column)
	if time.Since(c.lastChange(ctx, r.Objects())) > catchingUp {
		return fmt.Errorf("%s: the network does not do what the API says", is)
	}
	return &Failure{Is: is + ": the network has not caught up", Look: r.look(p), Settling: true}
}
