package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

const (
	proofTimeout  = 4 * time.Minute // a cold three-node cluster on two slow cores needs about a tenth
	resumeTimeout = 2 * time.Minute
	tidyTimeout   = time.Minute // for removing containers after the caller has already given up
	quietTime     = time.Second // without new containers, before a crashed creation counts as over
)

// Up brings the cluster about and returns it proved: made where there is none, made again where a former Up was killed,
// started where its nodes were stopped, and as it is where it runs. If making it fails or ctx ends, nothing is left; a
// cluster that was ready before is never removed.
func (m *Manager) Up(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	unlock, err := m.lock(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	f, err := m.look(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	if err := f.foreign(m.engine.Name()); err != nil {
		return nil, err
	}
	if f.state == nil {
		return m.create(ctx, o)
	}
	if f.state.Phase == creating {
		if err := m.clearCrashed(ctx, f); err != nil {
			return nil, err
		}
		return m.create(ctx, o)
	}
	if len(f.containers) == 0 { // removed behind our back: there is nothing to lose
		if err := m.forget(ctx, f); err != nil {
			return nil, err
		}
		return m.create(ctx, o)
	}
	return m.resume(ctx, o, f)
}

// clearCrashed removes what a killed Up has left. Its children outlive it and may still be starting a container, on a
// busy machine for seconds, so it looks until nothing new turns up and nobody is at it.
func (m *Manager) clearCrashed(ctx context.Context, f found) (err error) {
	end := m.steps.Start("Removing what an interrupted run has left")
	defer func() { end(err, "") }()
	for {
		if err := m.discard(ctx, f.name, f.state.Nodes); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quietTime):
		}
		left, err := m.containers(ctx, f.name)
		if err != nil {
			return err
		}
		if len(left) == 0 && !beingStarted(os.DirFS("/proc"), f.name) {
			return m.discard(ctx, f.name, f.state.Nodes) // volumes made in the meantime
		}
	}
}

func (m *Manager) create(ctx context.Context, o Options) (_ *Cluster, err error) {
	o.Nodes = max(o.Nodes, 1)
	if err := m.preflight(ctx, o.Nodes); err != nil {
		return nil, err
	}
	if o.Image == "" && o.EnsureImage != nil {
		if o.Image, err = o.EnsureImage(ctx); err != nil {
			return nil, err
		}
	}
	if err := m.needImage(ctx, o.Image); err != nil {
		return nil, err
	}
	s := state{Engine: m.engine.Name(), Nodes: o.Nodes, Image: o.Image, Phase: creating, Created: m.now().UTC()}
	if err := m.writeState(o.Name, s); err != nil {
		return nil, errors.Join(err, os.RemoveAll(m.path(o.Name, "")))
	}
	defer func() {
		if err == nil {
			return
		}
		tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
		defer cancel()
		// The record goes last: should this fail too, the next run knows whose the leftovers are.
		if gone := m.discard(tidying, o.Name, o.Nodes); gone != nil {
			err = errors.Join(err, gone)
			return
		}
		err = errors.Join(err, os.RemoveAll(m.path(o.Name, "")))
	}()
	if err := m.runKind(ctx, o); err != nil {
		return nil, err
	}
	if err := m.quicken(ctx, o.Name); err != nil {
		return nil, err
	}
	return m.finish(ctx, o.Name, s, proofTimeout)
}

// quicken changes what kubeadm installs so that the cluster follows its objects soon, on a busy machine too.
func (m *Manager) quicken(ctx context.Context, name string) error {
	kube, err := m.cluster(name).kube()
	if err != nil {
		return err
	}
	// The kubelet asks CoreDNS every second whether it is ready. kubeadm leaves it at ten, and most of the way back from a
	// reboot would be spent waiting for the second question.
	_, err = kube.AppsV1().Deployments(metav1.NamespaceSystem).Patch(ctx, "coredns", types.StrategicMergePatchType, []byte(
		`{"metadata":{"annotations":{"kubernetes.io/change-cause":"kindlab: readiness is asked every second"}},
		"spec":{"template":{"spec":{"containers":[{"name":"coredns","readinessProbe":{"periodSeconds":1}}]}}}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("quickening CoreDNS: %w", err)
	}
	// kubeadm asks for no processor for kube-proxy. As one best-effort pod among many it then waits a hundred times longer
	// than it runs, and Services lead to pods that have gone for seconds.
	_, err = kube.AppsV1().DaemonSets(metav1.NamespaceSystem).Patch(ctx, "kube-proxy", types.StrategicMergePatchType, []byte(
		`{"metadata":{"annotations":{"kubernetes.io/change-cause":"kindlab: asks for processor time"}},
		"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":"100%"}},
		"template":{"spec":{"containers":[{"name":"kube-proxy","resources":{"requests":{"cpu":"100m"}}}]}}}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("quickening kube-proxy: %w", err)
	}
	return nil
}

// finish proves the cluster and records it as ready.
func (m *Manager) finish(ctx context.Context, name string, s state, timeout time.Duration) (*Cluster, error) {
	c := m.cluster(name)
	if err := os.Chmod(c.Kubeconfig, 0o600); err != nil {
		return nil, fmt.Errorf("protecting the kubeconfig: %w", err)
	}
	boxes, err := m.containers(ctx, name)
	if err != nil {
		return nil, err
	}
	s.Containers = map[string]string{}
	var nodes []string
	for _, box := range boxes {
		s.Containers[box.name] = box.id
		nodes = append(nodes, box.name)
	}
	kube, err := c.kube()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := prove(ctx, kube, nodes, m.steps); err != nil {
		return nil, err
	}
	system, err := kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's identity: %w", err)
	}
	if s.KubeSystemUID != "" && s.KubeSystemUID != string(system.UID) {
		return nil, fmt.Errorf("the API server behind %s is not that of cluster %q", c.Kubeconfig, name)
	}
	s.KubeSystemUID, s.Phase = string(system.UID), ready
	return c, m.writeState(name, s)
}

// resume starts what is stopped of a cluster that was ready once, and proves it again.
func (m *Manager) resume(ctx context.Context, o Options, f found) (*Cluster, error) {
	if o.Nodes != 0 && o.Nodes != f.state.Nodes {
		return nil, remedy.New(fmt.Errorf("cluster %q has %d nodes, not %d", o.Name, f.state.Nodes, o.Nodes),
			fmt.Sprintf("leave out --nodes, choose another --name, or begin again: kindlab down --name %s", o.Name))
	}
	if err := f.lost(); err != nil {
		return nil, err
	}
	f, err := m.revive(ctx, f)
	if err != nil {
		return nil, err
	}
	if stopped := f.stopped(); len(stopped) > 0 {
		if err := m.start(ctx, f, stopped); err != nil {
			return nil, err
		}
		if slices.Contains(stopped, nodeNames(o.Name, 1)[0]) {
			if err := m.elect(ctx, o.Name); err != nil {
				return nil, err
			}
		}
	}
	c, err := m.finish(ctx, o.Name, *f.state, resumeTimeout)
	if err != nil {
		return nil, remedy.New(err, fmt.Sprintf("see which part is not well: kindlab status --name %s; then run the command again", o.Name))
	}
	return c, nil
}

func (m *Manager) start(ctx context.Context, f found, stopped []string) (err error) {
	// The engine would start the other nodes before it finds the control plane's port taken.
	if len(stopped) == len(f.containers) {
		if err := m.portFree(ctx, f.name); err != nil {
			return err
		}
	}
	end := m.steps.Start(fmt.Sprintf("Starting the nodes of cluster %q again", f.name))
	defer func() { end(err, "") }()
	if _, err := m.engine.Run(ctx, append([]string{"start"}, stopped...)...); err != nil {
		return fmt.Errorf("starting the nodes of cluster %q: %w", f.name, withRemedy(err))
	}
	// The published port is part of the container, so the address in the file stays; the file may have been deleted.
	if err := m.kind(nil).ExportKubeConfig(f.name, m.kubeconfig(f.name), false); err != nil {
		return fmt.Errorf("writing the kubeconfig of cluster %q: %w", f.name, withOutput(err))
	}
	return nil
}

// elect lets the controllers lead at once after their control plane was stopped. Their leases name the stopped
// processes, and the new ones would wait 15 seconds for those to expire.
func (m *Manager) elect(ctx context.Context, name string) error {
	kube, err := m.cluster(name).kube()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	for _, lease := range []string{"kube-controller-manager", "kube-scheduler"} {
		err := until(ctx, "the API server answers", func() error {
			err := kube.CoordinationV1().Leases(metav1.NamespaceSystem).Delete(ctx, lease, metav1.DeleteOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// portFree makes sure that nothing else has taken the API server's port while the cluster was stopped.
func (m *Manager) portFree(ctx context.Context, name string) error {
	cfg, err := m.cluster(name).RESTConfig()
	if err != nil {
		return nil //nolint:nilerr // the kubeconfig is gone and will be written anew; the engine reports the port by itself
	}
	server, err := url.Parse(cfg.Host)
	if err != nil {
		return fmt.Errorf("reading the API server's address: %w", err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", server.Host)
	if err != nil {
		return remedy.New(fmt.Errorf("port %s, where the API server of cluster %q listens, is taken: %w", server.Port(), name, err),
			fmt.Sprintf("stop the program that holds it (ss -ltnp 'sport = :%s' shows it), then run the command again", server.Port()))
	}
	return listener.Close()
}

func (m *Manager) cluster(name string) *Cluster {
	return &Cluster{Name: name, Kubeconfig: m.kubeconfig(name), Context: "kind-" + name, manager: m}
}
