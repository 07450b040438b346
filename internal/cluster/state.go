package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// phase is how far a cluster has come.
type phase string

const (
	creating phase = "creating" // kind may be at work; whatever is there is ours to throw away
	ready    phase = "ready"    // proved; the learner's work may be in it
)

// state is what kindlab records about one of its clusters.
type state struct {
	Version int       `json:"version"`
	Engine  string    `json:"engine"`
	Nodes   int       `json:"nodes"`
	Image   string    `json:"image"`
	Phase   phase     `json:"phase"`
	Created time.Time `json:"created"`
	// Containers maps node names to the engine's IDs. A cluster with other IDs under our name is not the one we made.
	Containers map[string]string `json:"containers,omitempty"`
	// KubeSystemUID is the cluster's identity as its API server tells it.
	KubeSystemUID string `json:"kubeSystemUID,omitempty"`
	// Exported lists the kubeconfig files the user asked to have the cluster in; "" is kubectl's default.
	Exported []string `json:"exported,omitempty"`
}

const stateVersion = 1

func (m *Manager) path(name, file string) string { return filepath.Join(m.dir, name, file) }

// kubeconfig is the path of a cluster's own kubeconfig.
func (m *Manager) kubeconfig(name string) string { return m.path(name, "kubeconfig") }

// Recorded tells whether kindlab has a record of a cluster, without a look at any engine.
func Recorded(stateDir, name string) bool {
	_, err := os.Stat(filepath.Join(stateDir, "clusters", name, "state.json"))
	return err == nil
}

// readState returns nil where nothing is recorded.
func (m *Manager) readState(name string) (*state, error) {
	file := m.path(name, "state.json")
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the record of cluster %q: %w", name, err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("reading %s: version %d was written by another kindlab, want %d", file, s.Version, stateVersion)
	}
	return &s, nil
}

// writeState replaces the record in one step, so that a crash leaves the old or the new one.
func (m *Manager) writeState(name string, s state) error {
	s.Version = stateVersion
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file := m.path(name, "state.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("recording cluster %q: %w", name, err)
	}
	if err := writeSynced(file+".new", data); err != nil {
		return fmt.Errorf("recording cluster %q: %w", name, withRemedy(err))
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("recording cluster %q: %w", name, err)
	}
	return nil
}

// writeSynced has the bytes on disk before the rename: after a power cut an empty record would disown the cluster.
func writeSynced(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
