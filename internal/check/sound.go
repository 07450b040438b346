package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// settled is how long an agent of the network must have run before what it does is taken for what it means to do.
const settled = 5 * time.Second

// sound returns why packets between these nodes prove nothing at the moment, or nil. Where a node or an agent of the
// network is down, packets go other ways than the API says, and that is not the learner's work, unless it is what the
// lab is about.
func (c *Cluster) sound(ctx context.Context, about focus, nodes ...string) error {
	if about.network {
		return nil
	}
	if err := c.agentsRun(ctx); err != nil {
		return err
	}
	list, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	for _, n := range list.Items {
		down := slices.ContainsFunc(n.Status.Conditions, func(cond corev1.NodeCondition) bool {
			return cond.Type == corev1.NodeReady && cond.Status != corev1.ConditionTrue
		})
		if down && slices.Contains(nodes, n.Name) {
			return fmt.Errorf("node %s is not ready, so what its pods answer proves nothing", n.Name)
		}
	}
	return c.nodesAnswer(ctx, nodes)
}

// agentsRun looks at what runs on every node for its network: kube-proxy and the CNI's agent.
func (c *Cluster) agentsRun(ctx context.Context) error {
	agents, err := c.Kube.AppsV1().DaemonSets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the network's DaemonSets: %w", err)
	}
	for _, d := range agents.Items {
		if s := d.Status; s.NumberReady < s.DesiredNumberScheduled {
			return fmt.Errorf("daemonset/%s in %s has %d of %d pods ready, so the network may not do what the API says",
				d.Name, d.Namespace, s.NumberReady, s.DesiredNumberScheduled)
		}
	}
	pods, err := c.Kube.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the network's pods: %w", err)
	}
	for _, p := range pods.Items {
		owner := metav1.GetControllerOf(&p)
		if owner == nil || owner.Kind != "DaemonSet" {
			continue
		}
		for _, status := range p.Status.ContainerStatuses {
			// The DaemonSet learns a moment later that one of its pods died.
			if status.State.Running == nil {
				return fmt.Errorf("container %s of pod %s in %s does not run, so the network may not do what the API says",
					status.Name, p.Name, p.Namespace)
			}
			if c.Clock.Since(status.State.Running.StartedAt.Time) < settled {
				return &Passing{fmt.Errorf("pod %s in %s started less than %s ago, so the network may not do what the API says yet",
					p.Name, p.Namespace, settled)}
			}
		}
	}
	return nil
}

// nodesAnswer lets each of the nodes ask itself, through its agent: the API notices a dead node only after 40 seconds.
func (c *Cluster) nodesAnswer(ctx context.Context, names []string) error {
	if _, own := c.Prober.(NodeExecer); !own {
		return nil // nodes of others take no commands
	}
	var jobs []probe.Job
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		jobs = append(jobs, probe.Job{Node: name, Proto: dial.TCP, Host: "127.0.0.1", Port: kubeletPort, Timeout: allowTimeout})
	}
	asking, cancel := context.WithTimeout(ctx, 5*allowTimeout)
	defer cancel()
	for i, o := range c.Prober.Probe(asking, jobs) {
		if o.Result != dial.OK {
			return fmt.Errorf("node %s does not answer, so what its pods answer proves nothing (%s %s)", jobs[i].Node, o.Result, o.Detail)
		}
	}
	return nil
}

// A nodeAddress is where a node is dialled.
type nodeAddress struct{ name, ip string }

// nodeAddresses lists the nodes that have an IPv4 address.
func (c *Cluster) nodeAddresses(ctx context.Context) ([]nodeAddress, error) {
	nodes, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var list []nodeAddress
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Is4() && a.Type == corev1.NodeInternalIP {
				list = append(list, nodeAddress{n.Name, a.Address})
				break
			}
		}
	}
	return list, nil
}

// nodesOf lists the nodes that pods run on.
func nodesOf(sets ...[]corev1.Pod) []string {
	var names []string
	for _, set := range sets {
		for _, p := range set {
			names = append(names, p.Spec.NodeName)
		}
	}
	return names
}

// clusterDNS is the set of the cluster's name servers.
func clusterDNS() podSet { return podSet{Pods: "k8s-app=kube-dns", Namespace: metav1.NamespaceSystem} }

// serverName is a name that the cluster's DNS always has.
const serverName = "kubernetes.default.svc.cluster.local"

// namesAnswered is the positive control behind a name that is not answered: every one of the cluster's name servers
// answers itself, from inside its own network namespace. Any answer will do, also that there is no such name. One that
// is silent is enough for doubt: the DNS Service goes on sending it every second question until its node is given up.
func (c *Cluster) namesAnswered(ctx context.Context, about focus) error {
	if about.dns {
		return nil
	}
	set := clusterDNS()
	servers, err := set.running(ctx, c)
	if f, none := errors.AsType[*Failure](err); none {
		return fmt.Errorf("the cluster's DNS is down: %s", f.Is)
	} else if err != nil {
		return err
	}
	jobs := make([]probe.Job, len(servers))
	for i, p := range servers {
		jobs[i] = jobFrom(p)
		jobs[i].Proto, jobs[i].Host, jobs[i].Server, jobs[i].Timeout = dial.DNS, serverName, p.Status.PodIP, allowTimeout
	}
	for i, o := range c.Prober.Probe(ctx, jobs) {
		if o.Result != dial.OK && o.Result != dial.NXDomain {
			return fmt.Errorf("name server %s on node %s does not answer even itself (%s %s)",
				servers[i].Name, servers[i].Spec.NodeName, o.Result, o.Detail)
		}
	}
	return nil
}

// jobFrom begins a job that leaves from a pod.
func jobFrom(p corev1.Pod) probe.Job {
	j := probe.Job{PodIP: p.Status.PodIP, Node: p.Spec.NodeName}
	if p.Spec.HostNetwork {
		j.PodUID = string(p.UID)
	}
	return j
}
