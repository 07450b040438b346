package cli

import (
	"context"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
)

// connect makes what checks need of a running cluster. Close ends the streams to its nodes.
func connect(c *cluster.Cluster) (_ *check.Cluster, closeStreams func() error, err error) {
	config, err := c.RESTConfig()
	if err != nil {
		return nil, nil, err
	}
	connected, err := check.Connect(config)
	if err != nil {
		return nil, nil, err
	}
	session := probe.Open(func(ctx context.Context) ([]probe.Node, error) {
		nodes, err := c.Nodes(ctx)
		if err != nil {
			return nil, err
		}
		list := make([]probe.Node, len(nodes))
		for i := range nodes {
			list[i] = nodes[i]
		}
		return list, nil
	})
	connected.Prober = session
	return connected, session.Close, nil
}

// onLab calls do with the cluster of a place, running and connected.
func (d *deps) onLab(ctx context.Context, f *placeFlags, place journal.Place, do func(*check.Cluster) error) error {
	c, err := d.open(ctx, f, place)
	if err != nil {
		return err
	}
	connected, closeStreams, err := connect(c)
	if err != nil {
		return err
	}
	// The agents end with their streams; what they still had to say interests nobody.
	defer func() { _ = closeStreams() }()
	return do(connected)
}

// load reads a lab again, strictly and with all its files: a bad lab must not get as far as a cluster.
func (d *deps) load(name string) (*lab.Lab, error) {
	files, err := d.labFiles()
	if err != nil {
		return nil, err
	}
	return lab.Load(files, name, check.Builtin())
}
