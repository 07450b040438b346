package cluster

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// Status is the state of one cluster of ours.
type Status struct {
	Name       string       `json:"name"`
	Engine     string       `json:"engine"`
	Image      string       `json:"image"`
	Phase      string       `json:"phase"` // creating or ready
	Kubeconfig string       `json:"kubeconfig"`
	Nodes      []NodeStatus `json:"nodes"`
	Findings   []Finding    `json:"findings"`
}

// NodeStatus is the state of one node. Ready and Version are known only while the API server answers.
type NodeStatus struct {
	Name    string `json:"name"`
	Running bool   `json:"running"` // its container
	Ready   bool   `json:"ready"`   // as Kubernetes sees it
	Version string `json:"version,omitempty"`
}

// Status looks at a cluster of ours without changing it. That there is none is an error; that it is stopped or ill is a
// finding.
func (m *Manager) Status(ctx context.Context, name string) (Status, error) {
	f, err := m.ours(ctx, name)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Name: name, Engine: f.state.Engine, Image: f.state.Image, Phase: string(f.state.Phase),
		Kubeconfig: m.kubeconfig(name), Nodes: []NodeStatus{},
	}
	for _, box := range f.containers {
		s.Nodes = append(s.Nodes, NodeStatus{Name: box.name, Running: box.running})
	}
	if f.state.Phase == creating {
		s.Findings = []Finding{{"cluster", Error, "a run of up is at work on it or was interrupted", "finish it: " + upCommand(name)}}
		return s, nil
	}
	again := "start it again: " + upCommand(name)
	if err := f.lost(); err != nil {
		s.Findings = append(s.Findings, Finding{"containers", Error, err.Error(), remedy.Of(err)})
	}
	if stopped := f.stopped(); len(stopped) > 0 {
		s.Findings = append(s.Findings, Finding{"containers", Error, fmt.Sprintf("%d of %d nodes are stopped", len(stopped), len(s.Nodes)), again})
	}
	c := m.cluster(name)
	if err := c.reach(ctx); err != nil {
		s.Findings = append(s.Findings, Finding{"api", Error, err.Error(), again})
		return s, ctx.Err()
	}
	s.Findings = append(s.Findings, Finding{ID: "api", Level: OK, What: "the API server answers"})
	kube, err := c.kube()
	if err != nil {
		return s, err
	}
	if err := s.observe(ctx, kube); err != nil {
		return s, remedy.New(fmt.Errorf("looking at cluster %q: %w", name, err), again)
	}
	return s, nil
}

// observe adds what Kubernetes itself says about nodes and system pods.
func (s *Status) observe(ctx context.Context, kube kubernetes.Interface) error {
	nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range s.Nodes {
		node := &s.Nodes[i]
		if at := slices.IndexFunc(nodes.Items, func(n corev1.Node) bool { return n.Name == node.Name }); at >= 0 {
			node.Ready, node.Version = nodeReady(nodes.Items[at]), nodes.Items[at].Status.NodeInfo.KubeletVersion
		}
		if !node.Ready {
			s.Findings = append(s.Findings, Finding{"nodes", Error, "node " + node.Name + " is not Ready", "kubectl describe node " + node.Name})
		}
	}
	// DNS, network and proxy all live here, under names that differ between node images.
	pods, err := kube.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	healthy := Finding{ID: "system", Level: OK, What: fmt.Sprintf("all %d system pods are ready", len(pods.Items))}
	for _, pod := range pods.Items {
		if !podReady(pod) {
			healthy.Level = Warn
			s.Findings = append(s.Findings, Finding{
				"system", Warn, "pod kube-system/" + pod.Name + " is not ready",
				"if it stays so: kubectl -n kube-system describe pod " + pod.Name,
			})
		}
	}
	if healthy.Level == OK {
		s.Findings = append(s.Findings, healthy)
	}
	return nil
}

func podReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
