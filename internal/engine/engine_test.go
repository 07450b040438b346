package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// fakes puts shell scripts named after engines on a PATH of their own, so that Find runs real processes.
func fakes(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, body := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestFind(t *testing.T) {
	const dead = "echo 'Client: 29'; echo 'Cannot connect to the Docker daemon' >&2; exit 1"
	tests := map[string]struct {
		scripts  map[string]string
		name     string
		want     string
		wantErrs []string
		remedy   string
	}{
		"docker first":             {scripts: map[string]string{"docker": "echo 29.1", "podman": "echo /var"}, want: "docker"},
		"client without a daemon":  {scripts: map[string]string{"docker": dead, "podman": "echo /var"}, want: "podman"},
		"podman posing as docker":  {scripts: map[string]string{"docker": "echo podman version 4.3.1", "podman": "echo /var"}, want: "podman"},
		"the one asked for":        {scripts: map[string]string{"docker": "echo 29.1", "nerdctl": "echo overlayfs"}, name: "nerdctl", want: "nerdctl"},
		"nothing installed":        {wantErrs: []string{"docker: not installed", "podman: not installed", "nerdctl: not installed"}, remedy: "install Docker, or podman"},
		"installed, not answering": {scripts: map[string]string{"docker": dead}, wantErrs: []string{"Cannot connect", "podman: not installed"}, remedy: "start Docker"},
		"unknown":                  {name: "lxc", wantErrs: []string{`"lxc"`, "docker, podman or nerdctl"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			fakes(t, tc.scripts)
			e, err := Find(t.Context(), Options{Name: tc.name, StateDir: t.TempDir(), Root: sandbox()})
			if tc.want != "" {
				if err != nil || e.Name() != tc.want {
					t.Fatalf("Find = %v, %v; want %s", e, err, tc.want)
				}
				return
			}
			if err == nil {
				t.Fatalf("Find found %s", e.Name())
			}
			for _, want := range tc.wantErrs {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if got := remedy.Of(err); !strings.HasPrefix(got, tc.remedy) {
				t.Errorf("remedy %q, want %q…", got, tc.remedy)
			}
		})
	}
}

func TestPodmanGetsItsPrivateConfiguration(t *testing.T) {
	fakes(t, map[string]string{"podman": `test -f "$CONTAINERS_CONF" && echo "$CONTAINERS_CONF"`})
	state := t.TempDir()
	opts := Options{Name: "podman", StateDir: state, Root: sandbox(), Getenv: func(string) string { return "" }}
	e, err := Find(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(state, "podman", "containers.conf")
	if got, err := e.Run(t.Context(), "info"); err != nil || got != want {
		t.Errorf("CONTAINERS_CONF = %q, %v; want %q", got, err, want)
	}
	set := map[string]string{}
	if err := e.Activate(func(k, v string) error { set[k] = v; return nil }); err != nil || set["CONTAINERS_CONF"] != want {
		t.Errorf("Activate set %v, %v", set, err)
	}

	t.Setenv("CONTAINERS_CONF", filepath.Join(state, "mine"))
	if err := os.WriteFile(filepath.Join(state, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opts.Getenv = os.Getenv
	if e, err = Find(t.Context(), opts); err != nil || len(e.env) != 0 {
		t.Errorf("a user's CONTAINERS_CONF was overridden: %v, %v", e, err)
	}
}

func TestRunCarriesStderr(t *testing.T) {
	fakes(t, map[string]string{"podman": "echo out; echo 'no space left on device' >&2; exit 125"})
	e := &Engine{name: "podman"}
	if _, err := e.Run(t.Context(), "pull", "x"); err == nil || !strings.Contains(err.Error(), "running podman pull: exit status 125: no space left") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Run(ctx, "pull"); err == nil {
		t.Error("a cancelled command succeeded")
	}
}
