package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// A Probing check sends packets. Its no is believed only while the cluster itself is well, and watching asks it again
// now and then, because the data plane tells nobody of its changes.
type Probing interface {
	Check
	Probes() bool
}

// sound is a probing check whose no counts only while the cluster under it is well: a packet that a dead node, a dead
// CNI or a dead cluster DNS lost says nothing about the learner's work.
type sound struct {
	Probing
	// mine are the objects outside its namespaces that the lab is about: their illness is the learner's to cure.
	mine []lab.Ref
}

func (s sound) Run(ctx context.Context, c *Cluster) error {
	err := s.Probing.Run(ctx, c)
	if _, no := errors.AsType[*Failure](err); !no {
		return err
	}
	if sick := s.vitals(ctx, c); sick != nil {
		return fmt.Errorf("the cluster is not well, so nothing can be said: %w", sick)
	}
	return err
}

// settled is how long a part of the cluster must have run before what it does is taken for what it means to do.
const settled = 5 * time.Second

// vitals returns what is wrong with the parts of the cluster that every packet depends on, or nil.
func (s sound) vitals(ctx context.Context, c *Cluster) error {
	for _, look := range []func(context.Context, *Cluster) error{s.nodes, s.agents, s.dns} {
		if err := look(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// isMine tells whether the lab is about an object of this kind, in kube-system or of the cluster.
func (s sound) isMine(kind, name string) bool {
	return slices.ContainsFunc(s.mine, func(r lab.Ref) bool { return r.Kind == kind && (r.Name == name || r.Name == "*") })
}

// nodes looks whether every node is Ready, and alive now: the API notices a dead one only after 40 seconds.
func (s sound) nodes(ctx context.Context, c *Cluster) error {
	list, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	for _, n := range list.Items {
		ready := slices.ContainsFunc(n.Status.Conditions, func(cond corev1.NodeCondition) bool {
			return cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue
		})
		if !ready && !s.isMine("node", n.Name) {
			return fmt.Errorf("node %s is not Ready", n.Name)
		}
	}
	addresses, err := c.Prober.Nodes(ctx)
	if err != nil {
		return err
	}
	// Each node asks itself, through its agent: a node that does not answer is dead, whatever its last status was.
	jobs := make([]probe.Job, 0, len(addresses))
	for _, n := range addresses {
		jobs = append(jobs, probe.Job{Node: n.Name, Proto: dial.TCP, Host: n.IPv4, Port: kubeletPort, Timeout: allowTimeout})
	}
	asking, cancel := context.WithTimeout(ctx, 3*allowTimeout)
	defer cancel()
	for i, o := range c.Prober.Probe(asking, jobs) {
		if o.Result != dial.OK && !s.isMine("node", addresses[i].Name) {
			return fmt.Errorf("node %s does not answer (%s %s)", addresses[i].Name, o.Result, o.Detail)
		}
	}
	return nil
}

// agents looks whether what runs on every node for its network does so: kube-proxy and the CNI's agent.
func (s sound) agents(ctx context.Context, c *Cluster) error {
	sets, err := c.Kube.AppsV1().DaemonSets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the DaemonSets of kube-system: %w", err)
	}
	isOther := func(d appsv1.DaemonSet) bool { return s.isMine("daemonset", d.Name) }
	for _, set := range slices.DeleteFunc(sets.Items, isOther) {
		if set.Status.NumberReady < set.Status.DesiredNumberScheduled {
			return fmt.Errorf("%s is ready on %d of %d nodes", set.Name, set.Status.NumberReady, set.Status.DesiredNumberScheduled)
		}
		pods, err := c.Kube.CoreV1().Pods(set.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector)})
		if err != nil {
			return fmt.Errorf("listing the pods of %s: %w", set.Name, err)
		}
		for _, p := range pods.Items {
			for _, status := range p.Status.ContainerStatuses {
				if status.State.Running == nil || time.Since(status.State.Running.StartedAt.Time) < settled {
					return fmt.Errorf("%s has just been started again on node %s", set.Name, p.Spec.NodeName)
				}
			}
		}
	}
	return nil
}

// dns looks whether cluster DNS answers, asked from inside its own pods, where no policy is in between.
func (s sound) dns(ctx context.Context, c *Cluster) error {
	if s.isMine("deployment", "coredns") || s.isMine("configmap", "coredns") {
		return nil
	}
	set := podSet{Namespace: metav1.NamespaceSystem, Pods: "k8s-app=kube-dns"}
	pods, err := set.running(ctx, c)
	if f, no := errors.AsType[*Failure](err); no {
		return errors.New("cluster DNS does not run: " + f.Is)
	}
	if err != nil {
		return err
	}
	jobs := make([]probe.Job, len(pods))
	for i, p := range pods {
		jobs[i] = probe.Job{
			PodIP: p.Status.PodIP, Node: p.Spec.NodeName, Server: p.Status.PodIP,
			Proto: dial.DNS, Host: "kubernetes.default.svc.cluster.local", Timeout: allowTimeout,
		}
	}
	var said []string
	for i, o := range c.Prober.Probe(ctx, jobs) {
		if o.Result == dial.OK && podReady(&pods[i]) {
			return nil
		}
		said = append(said, strings.TrimSpace(string(o.Result)+" "+o.Detail))
	}
	return fmt.Errorf("cluster DNS does not answer (%s)", strings.Join(said, ", "))
}
