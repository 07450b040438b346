package cluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// agentsReady waits until what carries the cluster's network has arrived: kube-proxy and the CNI's agent on every node,
// and every name server. Before that connections may work on one way of several, and a rollout that is under way takes
// agents down that had already carried the proof.
func (p *prover) agentsReady(ctx context.Context) error {
	return until(ctx, "the network's agents and DNS are ready", func() error {
		agents, err := p.kube.AppsV1().DaemonSets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range agents.Items {
			s := d.Status
			if s.ObservedGeneration < d.Generation || s.UpdatedNumberScheduled < s.DesiredNumberScheduled || s.NumberReady < s.DesiredNumberScheduled {
				return fmt.Errorf("daemonset/%s has %d of %d pods up to date, and %d ready",
					d.Name, s.UpdatedNumberScheduled, s.DesiredNumberScheduled, s.NumberReady)
			}
		}
		servers, err := p.kube.AppsV1().Deployments(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
		if err != nil {
			return err
		}
		for _, d := range servers.Items {
			s := d.Status
			if s.ObservedGeneration < d.Generation || s.UpdatedReplicas < s.Replicas || s.ReadyReplicas < s.Replicas {
				return fmt.Errorf("deployment/%s has %d of %d pods up to date, and %d ready", d.Name, s.UpdatedReplicas, s.Replicas, s.ReadyReplicas)
			}
		}
		return nil
	})
}
