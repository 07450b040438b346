//go:build e2e

// Package sitetest opens the real cluster that tests run on.
package sitetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/cluster"
	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/site"
)

// Open connects to the cluster that KINDLAB_E2E_CLUSTER names, until the test ends. A test without one fails: it never
// passes by being skipped.
func Open(t *testing.T) (*site.Site, *engine.Engine) {
	t.Helper()
	name := os.Getenv("KINDLAB_E2E_CLUSTER")
	if name == "" {
		t.Fatal("KINDLAB_E2E_CLUSTER names no cluster: run make e2e, or kindlab up and set it")
	}
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	state := filepath.Join(base, "kindlab")
	e, err := engine.Find(t.Context(), engine.Options{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Activate(func(name, value string) error { t.Setenv(name, value); return nil }); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.NewManager(e, state, nil, time.Now).Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Connect(t.Context(), c, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, e
}
