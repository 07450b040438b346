// Package site connects to a running cluster in all the ways that a lab needs: as its owner, as a grader that can only
// look, with probes, and with a runner for scripts. Commands, tests and proofs work on the same one.
package site

import (
	"context"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// Site is a running cluster as labs are graded on it.
type Site struct {
	*check.Cluster
	// Home is the cluster itself.
	Home *cluster.Cluster
	// Own tells that kindlab made the cluster, and nobody else uses it.
	Own bool
	// Note is what the learner should know about the connection; "" for nothing.
	Note string

	close func() error
}

// Connect makes the clients. Close ends what probes leave open.
func Connect(ctx context.Context, home *cluster.Cluster, own bool) (*Site, error) {
	config, err := home.RESTConfig()
	if err != nil {
		return nil, err
	}
	connected, err := check.Connect(config)
	if err != nil {
		return nil, err
	}
	s := &Site{Cluster: connected, Home: home, Own: own}
	if s.Clients, s.Note, err = stage.Grader(ctx, s.Owner); err != nil {
		return nil, err
	}
	if !own {
		// Nodes of others take no commands: probes leave from ephemeral containers instead.
		pods := probe.OpenPods(s.Owner.Kube, s.Owner.Config)
		s.Prober, s.close = pods, pods.Close
		return s, nil
	}
	nodes := probe.Open(func(ctx context.Context) ([]probe.Node, error) {
		nodes, err := home.Nodes(ctx)
		if err != nil {
			return nil, err
		}
		list := make([]probe.Node, len(nodes))
		for i := range nodes {
			list[i] = nodes[i]
		}
		return list, nil
	})
	s.Prober, s.close = nodes, nodes.Close
	return s, nil
}

// Close ends the streams of probes.
func (s *Site) Close() error { return s.close() }

// Options are how a lab comes onto the site and off it, with the values drawn for an attempt.
func (s *Site) Options(values lab.Values, steps stage.Steps) stage.Options {
	return stage.Options{Params: values, Own: s.Own, Runner: s.Home.Scripts(), Steps: steps}
}
