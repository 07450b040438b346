package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// Down removes a cluster of ours, also a half-made one, and everything kindlab keeps about it. there
// tells whether there was one; a cluster that kindlab did not make is an error.
func (m *Manager) Down(ctx context.Context, name string) (there bool, err error) {
	if err := validName(name); err != nil {
		return false, err
	}
	unlock, err := m.lock(ctx, name)
	if err != nil {
		return false, err
	}
	defer unlock()
	f, err := m.look(ctx, name)
	if err != nil {
		return false, err
	}
	if err := f.foreign(m.engine.Name()); err != nil {
		return false, err
	}
	if f.state == nil {
		return false, nil
	}
	if f.state.Phase == creating {
		if err := m.clearCrashed(ctx, f); err != nil {
			return true, err
		}
	}
	return true, m.forget(ctx, f)
}

// forget removes the nodes, the entries in kubeconfigs the cluster was exported to, and last the record.
func (m *Manager) forget(ctx context.Context, f found) (err error) {
	end := m.steps.Start(fmt.Sprintf("Removing cluster %q", f.name))
	defer func() { end(err, "") }()
	if err := m.discard(ctx, f.name, f.state.Nodes); err != nil {
		return err
	}
	for _, path := range f.state.Exported {
		// Its nodes are gone, so all that is left for kind to delete is the entry in that file.
		if err := m.kind(nil).Delete(f.name, path); err != nil {
			return fmt.Errorf("taking cluster %q out of the kubeconfig: %w", f.name, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(m.dir, f.name)); err != nil {
		return fmt.Errorf("removing the record of cluster %q: %w", f.name, err)
	}
	return nil
}

// Open returns a running cluster of ours. Its errors tell a cluster that does not exist from one that is stopped and
// one whose API server does not answer.
func (m *Manager) Open(ctx context.Context, name string) (*Cluster, error) {
	// The engine takes its time. An API server that is the recorded one needs no word from it.
	if s, err := m.readState(name); err == nil && s != nil && s.Phase == ready && s.Engine == m.engine.Name() {
		if c := m.cluster(name); c.reachAs(ctx, s.KubeSystemUID) == nil {
			return c, nil
		}
	}
	f, err := m.ours(ctx, name)
	if err != nil {
		return nil, err
	}
	up := "start it again: " + upCommand(name)
	if f.state.Phase == creating {
		return nil, remedy.New(fmt.Errorf("cluster %q is not ready: a run of up is at work on it or was interrupted", name),
			"wait for it, or finish it: "+upCommand(name))
	}
	if err := f.lost(); err != nil {
		return nil, err
	}
	if stopped := f.stopped(); len(stopped) > 0 {
		return nil, remedy.New(fmt.Errorf("cluster %q is stopped (%d of %d nodes)", name, len(stopped), len(f.containers)), up)
	}
	c := m.cluster(name)
	if err := c.reach(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, remedy.New(err, "look at its parts with `kindlab status`, or "+up)
	}
	return c, nil
}

// ExportKubeconfig merges the cluster into the kubeconfig at path ("" for kubectl's default) and makes it the current
// context there. Down takes it out again.
func (m *Manager) ExportKubeconfig(ctx context.Context, name, path string) error {
	unlock, err := m.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := m.ours(ctx, name)
	if err != nil {
		return err
	}
	// Recorded first: an entry that Down does not know of would stay for good.
	if !slices.Contains(f.state.Exported, path) {
		f.state.Exported = append(f.state.Exported, path)
		if err := m.writeState(name, *f.state); err != nil {
			return err
		}
	}
	if err := m.kind(nil).ExportKubeConfig(name, path, false); err != nil {
		return fmt.Errorf("exporting the kubeconfig of cluster %q: %w", name, withOutput(err))
	}
	return nil
}

// ours looks up a cluster that must exist and be ours.
func (m *Manager) ours(ctx context.Context, name string) (found, error) {
	if err := validName(name); err != nil {
		return found{}, err
	}
	f, err := m.look(ctx, name)
	if err != nil {
		return found{}, err
	}
	if err := f.foreign(m.engine.Name()); err != nil {
		return found{}, err
	}
	if f.state == nil || f.state.Phase == ready && len(f.containers) == 0 {
		return found{}, remedy.New(fmt.Errorf("there is no cluster %q", name), "make it: "+upCommand(name))
	}
	return f, nil
}

func upCommand(name string) string { return "kindlab up --name " + name }
