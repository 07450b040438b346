package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	kindlog "sigs.k8s.io/kind/pkg/log"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// neededDisk is what the nodes of a cluster write in their first minutes, with some air.
const neededDisk = 2 << 30

// ownerLabel marks every node of ours for whoever looks with kubectl.
const ownerLabel = "kindlab.dev/cluster"

// kind is kind's provider for our engine. KIND_EXPERIMENTAL_PROVIDER is read by kind's own command only.
func (m *Manager) kind(logger kindlog.Logger) *kindcluster.Provider {
	if logger == nil {
		logger = kindlog.NoopLogger{}
	}
	provider := kindcluster.ProviderWithDocker()
	switch m.engine.Name() {
	case "podman":
		provider = kindcluster.ProviderWithPodman()
	case "nerdctl":
		provider = kindcluster.ProviderWithNerdctl("")
	}
	return kindcluster.NewProvider(kindcluster.ProviderWithLogger(logger), provider)
}

func kindConfig(o Options, host engine.Host) *v1alpha4.Cluster {
	// Not nil: nil makes the nodes inherit the engine's search domain, and lookups over TCP then hang under it.
	noSearch := []string{}
	cfg := &v1alpha4.Cluster{
		Name: o.Name,
		Networking: v1alpha4.Networking{
			// In iptables mode kube-proxy and the node can choose different iptables variants, and Services fail.
			KubeProxyMode: v1alpha4.NFTablesProxyMode,
			DNSSearch:     &noSearch,
		},
	}
	if host.LegacyCgroup() {
		cfg.KubeadmConfigPatches = []string{
			"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailCgroupV1: false\n",
		}
	}
	for i := range o.Nodes {
		role := v1alpha4.WorkerRole
		if i == 0 {
			role = v1alpha4.ControlPlaneRole
		}
		cfg.Nodes = append(cfg.Nodes, v1alpha4.Node{Role: role, Image: o.Image, Labels: map[string]string{ownerLabel: o.Name}})
	}
	v1alpha4.SetDefaultsCluster(cfg)
	return cfg
}

// runKind creates the cluster with kind. kind cannot be cancelled: when ctx ends, its nodes are taken away under it
// until it gives up, so that it is not still at work when we say that nothing is left.
func (m *Manager) runKind(ctx context.Context, o Options) error {
	steps := &progress{steps: m.steps}
	done := make(chan error, 1)
	go func() {
		done <- m.kind(steps).Create(o.Name,
			kindcluster.CreateWithV1Alpha4Config(kindConfig(o, m.engine.Host())),
			kindcluster.CreateWithKubeconfigPath(m.kubeconfig(o.Name)),
			kindcluster.CreateWithDisplayUsage(false),
			kindcluster.CreateWithDisplaySalutation(false))
	}()
	select {
	case err := <-done:
		steps.line("✓") // kind leaves its last step open
		if err == nil {
			return nil
		}
		if ctx.Err() != nil { // an interrupt at the terminal reaches kind's children too
			return ctx.Err()
		}
		return withRemedy(fmt.Errorf("creating cluster %q: %w", o.Name, withOutput(err)))
	case <-ctx.Done():
	}
	tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	for {
		// Errors are looked at by the caller's last attempt: a container can vanish between listing and removal.
		_ = m.discard(tidying, o.Name, o.Nodes)
		select {
		case <-done:
			steps.line("✗ " + ctx.Err().Error())
			return ctx.Err()
		case <-tidying.Done():
			return errors.Join(ctx.Err(), errors.New("kind did not stop"))
		case <-time.After(lockPoll):
		}
	}
}

// preflight finds the faults that would otherwise show late and leave a mess.
func (m *Manager) preflight(ctx context.Context, nodes int) error {
	if inotify, ok := engine.ReadInotify("/"); ok {
		if err := enoughInotify(inotify, nodes); err != nil {
			return err
		}
	}
	if err := m.engine.Prepare(); err != nil {
		return err
	}
	dir, err := m.engine.StorageDir(ctx)
	if err != nil {
		return withRemedy(err)
	}
	free, err := engine.DiskFree(dir)
	if err != nil {
		return nil //nolint:nilerr // the engine keeps its storage in a virtual machine
	}
	return enoughDisk(dir, free)
}

func enoughDisk(dir string, free uint64) error {
	if free >= neededDisk {
		return nil
	}
	return remedy.New(fmt.Errorf("%.1f GB are free below %s, a cluster needs %d GB", float64(free)/(1<<30), dir, neededDisk>>30),
		"free some disk space, for example with `podman image prune` or `docker image prune`")
}

// needImage makes sure that the node image is here, pulling it where a registry can have it.
func (m *Manager) needImage(ctx context.Context, image string) (err error) {
	if image == "" {
		return errors.New("no node image was given")
	}
	if _, err := m.engine.Run(ctx, "image", "inspect", image); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	const hint = "build one here: kindlab image build"
	if strings.HasPrefix(image, "localhost/") {
		return remedy.New(fmt.Errorf("node image %s is not on this machine", image), hint)
	}
	end := m.steps.Start("Pulling node image " + image)
	defer func() { end(err, "") }()
	if _, err := m.engine.Run(ctx, "pull", image); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return remedy.New(fmt.Errorf("node image %s is not on this machine and cannot be pulled: %w", image, err), hint)
	}
	return nil
}
