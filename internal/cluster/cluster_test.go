package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// fakeEngine returns a manager on a `podman` that is a shell script: `ps` prints the file ps, `rm` and `volume rm` are
// logged to the file calls, and everything else succeeds.
func fakeEngine(t *testing.T, ps string) (m *Manager, calls func() string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("ps", ps, 0o600)
	write("podman", `#!/bin/sh
case "$1" in
  ps) cat `+dir+`/ps ;;
  rm) echo "$*" >> `+dir+`/calls; : > `+dir+`/ps ;;
  volume) test "$2" = ls && echo "vol-${5#label=}" || echo "$*" >> `+dir+`/calls ;;
  image) exit 1 ;;
esac
exit 0
`, 0o755)
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	root := fstest.MapFS{"sys/fs/cgroup/cgroup.controllers": {}, "run/systemd/system/x": {}, "lib/modules/x": {}}
	e, err := engine.Find(t.Context(), engine.Options{Name: "podman", StateDir: dir, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return NewManager(e, dir, nil, func() time.Time { return time.Unix(0, 0) }), func() string {
		data, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(data)
	}
}

func TestForeignClusterIsNeverTouched(t *testing.T) {
	for name, record := range map[string]*state{
		"no record":           nil,
		"record of other IDs": {Engine: "podman", Nodes: 1, Phase: ready, Containers: map[string]string{"x-control-plane": "beef"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, calls := fakeEngine(t, "cafe|x-control-plane|Up 3 minutes ago\n")
			if record != nil {
				if err := m.writeState("x", *record); err != nil {
					t.Fatal(err)
				}
			}
			_, upErr := m.Up(t.Context(), Options{Name: "x", Image: "i"})
			_, openErr := m.Open(t.Context(), "x")
			_, downErr := m.Down(t.Context(), "x")
			for _, err := range []error{upErr, openErr, downErr, m.ExportKubeconfig(t.Context(), "x", "")} {
				if err == nil || !strings.Contains(err.Error(), "did not make") || !strings.Contains(remedy.Of(err), "kind delete cluster") {
					t.Errorf("error %v, remedy %q", err, remedy.Of(err))
				}
			}
			if calls() != "" {
				t.Errorf("it was changed: %s", calls())
			}
		})
	}
}

func TestDown(t *testing.T) {
	for name, phase := range map[string]phase{"ready": ready, "half-made": creating} {
		t.Run(name, func(t *testing.T) {
			m, calls := fakeEngine(t, "cafe|x-control-plane|Created\n")
			if err := m.writeState("x", state{Engine: "podman", Nodes: 2, Phase: phase, Containers: map[string]string{"x-control-plane": "cafe"}}); err != nil {
				t.Fatal(err)
			}
			for round := range 2 {
				if there, err := m.Down(t.Context(), "x"); err != nil || there != (round == 0) {
					t.Fatalf("there: %t, error %v", there, err)
				}
			}
			for _, want := range []string{"rm --force --volumes --time=0 cafe\n", "volume rm --force vol-x-control-plane\n", "volume rm --force vol-x-worker\n"} {
				if !strings.Contains(calls(), want) {
					t.Errorf("calls %q lack %q", calls(), want)
				}
			}
			if s, err := m.readState("x"); s != nil || err != nil {
				t.Errorf("record left: %+v, %v", s, err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const running = "cafe|x-control-plane|Up 3 minutes\n"
	one := map[string]string{"x-control-plane": "cafe"}
	two := map[string]string{"x-control-plane": "cafe", "x-worker": "f00d"}
	open := func(m *Manager) error { _, err := m.Open(t.Context(), "x"); return err }
	up := func(o Options) func(m *Manager) error {
		o.Name = "x"
		return func(m *Manager) error { _, err := m.Up(t.Context(), o); return err }
	}
	tests := map[string]struct {
		ps           string
		record       *state
		do           func(m *Manager) error
		want, remedy string
	}{
		"no such cluster":    {do: open, want: `there is no cluster "x"`, remedy: "kindlab up"},
		"stopped":            {ps: "cafe|x-control-plane|Exited (0) 1 hour ago\n", record: &state{Engine: "podman", Phase: ready, Containers: one}, do: open, want: "is stopped (1 of 1 nodes)", remedy: "start it again"},
		"being made":         {ps: running, record: &state{Engine: "podman", Phase: creating}, do: open, want: "not ready", remedy: "kindlab up"},
		"a node is gone":     {ps: running, record: &state{Engine: "podman", Phase: ready, Containers: two}, do: open, want: "lost its node x-worker", remedy: "kindlab down"},
		"no kubeconfig":      {ps: running, record: &state{Engine: "podman", Phase: ready, Containers: one}, do: open, want: "kubeconfig", remedy: "kindlab status"},
		"another engine":     {record: &state{Engine: "docker", Phase: ready}, do: open, want: "runs on docker", remedy: "--engine docker"},
		"other node count":   {ps: running, record: &state{Engine: "podman", Phase: ready, Nodes: 1, Containers: one}, do: up(Options{Nodes: 3}), want: "has 1 nodes, not 3", remedy: "--nodes"},
		"local image absent": {do: up(Options{Image: "localhost/kindlab/node:v1"}), want: "is not on this machine", remedy: "kindlab image build"},
		"too many nodes":     {do: up(Options{Nodes: 99}), want: "99 nodes"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m, _ := fakeEngine(t, tc.ps)
			if tc.record != nil {
				if err := m.writeState("x", *tc.record); err != nil {
					t.Fatal(err)
				}
			}
			err := tc.do(m)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q", err, tc.want)
			}
			if !strings.Contains(remedy.Of(err), tc.remedy) {
				t.Errorf("remedy %q, want %q", remedy.Of(err), tc.remedy)
			}
			if after, err := m.readState("x"); err != nil || (after == nil) != (tc.record == nil) {
				t.Errorf("record afterwards: %+v, %v", after, err)
			}
		})
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"kindlab": true, "a": true, "a-1": true, strings.Repeat("a", 40): true,
		"": false, "-a": false, "a-": false, "A": false, "a/b": false, "..": false, strings.Repeat("a", 41): false,
	} {
		if err := validName(name); (err == nil) != ok {
			t.Errorf("validName(%q) = %v", name, err)
		}
	}
}

func TestParseContainers(t *testing.T) {
	t.Parallel()
	got := parseContainers("b|x-worker|Exited (137) 2 minutes ago\na|x-control-plane|Up 2 minutes\nc|x-worker2|Up 1 hour (Paused)\nd|x-worker3|Created\ne|x-worker4|Stopping\n")
	want := []container{
		{id: "a", name: "x-control-plane", running: true},
		{id: "b", name: "x-worker"},
		{id: "c", name: "x-worker2", paused: true},
		{id: "d", name: "x-worker3"},
		{id: "e", name: "x-worker4", stopping: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if parseContainers("") != nil {
		t.Error("containers out of nothing")
	}
	if got := nodeNames("x", 4); !reflect.DeepEqual(got, []string{"x-control-plane", "x-worker", "x-worker2", "x-worker3"}) {
		t.Errorf("node names %v", got)
	}
}

func TestBeingStarted(t *testing.T) {
	t.Parallel()
	proc := fstest.MapFS{
		"12/cmdline": {Data: []byte("podman\x00run\x00--label\x00io.x-k8s.kind.cluster=x\x00image\x00")},
		"13/cmdline": {Data: []byte("podman\x00ps\x00--filter\x00label=io.x-k8s.kind.cluster=y\x00")}, // only looks
	}
	for name, want := range map[string]bool{"x": true, "y": false, "z": false} {
		if got := beingStarted(proc, name); got != want {
			t.Errorf("beingStarted(%q) = %t", name, got)
		}
	}
}

func TestKindConfig(t *testing.T) {
	t.Parallel()
	cfg := kindConfig(Options{Name: "x", Nodes: 3, Image: "i"}, engine.Host{Cgroup: engine.CgroupHybrid})
	if cfg.Networking.KubeProxyMode != v1alpha4.NFTablesProxyMode || cfg.Networking.DNSSearch == nil || len(*cfg.Networking.DNSSearch) != 0 {
		t.Errorf("networking %+v", cfg.Networking)
	}
	roles := ""
	for _, n := range cfg.Nodes {
		roles += string(n.Role) + " "
		if n.Image != "i" || n.Labels[ownerLabel] != "x" {
			t.Errorf("node %+v", n)
		}
	}
	if roles != "control-plane worker worker " {
		t.Errorf("roles %s", roles)
	}
	if len(cfg.KubeadmConfigPatches) != 1 || !strings.Contains(cfg.KubeadmConfigPatches[0], "failCgroupV1: false") {
		t.Errorf("patches %v", cfg.KubeadmConfigPatches)
	}
	if cfg = kindConfig(Options{Name: "x", Nodes: 1}, engine.Host{Cgroup: engine.CgroupV2}); cfg.KubeadmConfigPatches != nil {
		t.Errorf("patched on cgroup v2: %v", cfg.KubeadmConfigPatches)
	}
}

// recorder keeps the names of steps as they begin and end.
type recorder struct {
	mu  sync.Mutex
	log []string
}

func (r *recorder) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, line)
}

func (r *recorder) has(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.log, "\n"), part)
}

func (r *recorder) Start(name string) func(error, string) {
	r.add("> " + name)
	return func(err error, _ string) {
		if err != nil {
			r.add("! " + err.Error())
			return
		}
		r.add("< " + name)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	p := &progress{steps: r}
	p.V(0).Infof("Creating cluster %q ...\n", "x")
	p.V(0).Infof(" • %s  ...\n", "Preparing nodes 📦 📦 ")
	p.V(1).Infof(" • %s  ...\n", "a debug line")
	p.V(0).Infof(" ✓ %s\n", "Preparing nodes 📦 📦 ")
	p.V(0).Infof(" • %s  ...\n", "Starting control-plane 🕹️")
	p.V(0).Infof(" ✗ %s\n", "Starting control-plane 🕹️")
	want := []string{"> Preparing nodes", "< Preparing nodes", "> Starting control-plane", "! Starting control-plane failed"}
	if !reflect.DeepEqual(r.log, want) {
		t.Errorf("steps %q, want %q", r.log, want)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	m := NewManager(nil, t.TempDir(), r, time.Now)
	unlock, err := m.lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := m.lock(t.Context(), "y"); err != nil {
		t.Errorf("another cluster's lock: %v", err)
	} else {
		other()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { _, err := m.lock(ctx, "x"); done <- err }()
	if err := until(t.Context(), "it says that it waits", func() error {
		if !r.has("> Waiting for another kindlab") {
			return errors.New("silent")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait returned %v", err)
	}
	go func() {
		second, err := m.lock(t.Context(), "x")
		if err == nil {
			second()
		}
		done <- err
	}()
	unlock()
	if err := <-done; err != nil {
		t.Errorf("the lock after its release: %v", err)
	}
}

func TestReadState(t *testing.T) {
	t.Parallel()
	m := NewManager(nil, t.TempDir(), nil, time.Now)
	if s, err := m.readState("x"); s != nil || err != nil {
		t.Errorf("no record read as %+v, %v", s, err)
	}
	want := state{Version: stateVersion, Engine: "podman", Nodes: 2, Phase: ready, Containers: map[string]string{"n": "id"}, Created: time.Unix(9, 0).UTC()}
	if err := m.writeState("x", want); err != nil {
		t.Fatal(err)
	}
	if got, err := m.readState("x"); err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("read %+v, %v; want %+v", got, err, want)
	}
	for text, want := range map[string]string{`{"version":`: "state.json", `{"version": 7}`: "another kindlab"} {
		if err := os.WriteFile(m.path("x", "state.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := m.readState("x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"write /var: no space left on device":       "disk space",
		"bind: address already in use":              "port",
		"Cannot connect to the Docker daemon":       "start the container engine",
		`failed to pull image "kindest/node"`:       "kindlab image build",
		`exec: "podman": executable file not found`: "install",
		"something nobody has seen":                 "",
	} {
		if got := remedy.Of(withRemedy(errors.New(text))); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: remedy %q, want %q", text, got, want)
		}
	}
	known := remedy.New(errors.New("no space left on device"), "mine")
	if got := remedy.Of(withRemedy(known)); got != "mine" {
		t.Errorf("a remedy was replaced: %q", got)
	}
	if err := enoughDisk("/var", 1<<30); err == nil || !strings.Contains(err.Error(), "1.0 GB are free below /var") || remedy.Of(err) == "" {
		t.Errorf("1 GB free: %v", err)
	}
	if err := enoughDisk("/var", 50<<30); err != nil {
		t.Errorf("50 GB free: %v", err)
	}
}

func TestHostFindings(t *testing.T) {
	t.Parallel()
	good := engine.Host{Cgroup: engine.CgroupV2, SysResource: true, NofileHard: 1 << 20, LibModules: true, NFTables: true, NFTablesSeen: true}
	for _, f := range hostFindings(good, "podman") {
		if f.Level != OK || f.Remedy != "" {
			t.Errorf("a good host: %+v", f)
		}
	}
	for id, tc := range map[string]struct {
		engine string
		spoil  func(h *engine.Host)
		level  Level
	}{
		"cgroup":       {"podman", func(h *engine.Host) { h.Cgroup = engine.CgroupHybrid }, Error}, // without runc
		"capabilities": {"docker", func(h *engine.Host) { h.SysResource = false }, Warn},
		"limits":       {"podman", func(h *engine.Host) { h.NofileHard = 1024 }, Warn},
		"nftables":     {"docker", func(h *engine.Host) { h.NFTables = false }, Error},
	} {
		bad := good
		tc.spoil(&bad)
		for _, f := range hostFindings(bad, tc.engine) {
			if want := map[bool]Level{true: tc.level, false: OK}[f.ID == id]; f.Level != want || (f.Remedy == "") != (want == OK) {
				t.Errorf("with bad %s: %+v", id, f)
			}
		}
	}
}
