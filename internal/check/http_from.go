package check

import (
	"context"
	"fmt"
	"net/netip"

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
