package cluster

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// clusterLabel is how kind marks its node containers.
const clusterLabel = "io.x-k8s.kind.cluster"

// container is a node as the engine sees it.
type container struct {
	id, name string
	running  bool
}

// containers lists the node containers of any kind cluster with this name, sorted by node name.
func (m *Manager) containers(ctx context.Context, name string) ([]container, error) {
	out, err := m.engine.Run(ctx, "ps", "--all", "--no-trunc", "--filter", "label="+clusterLabel+"="+name,
		"--format", "{{.ID}}|{{.Names}}|{{.Status}}")
	if err != nil {
		return nil, fmt.Errorf("listing the node containers of cluster %q: %w", name, withRemedy(err))
	}
	return parseContainers(out), nil
}

func parseContainers(out string) []container {
	var boxes []container
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimSpace(line), "|", 3)
		if len(fields) != 3 {
			continue
		}
		// Of the engines only docker and podman have a state field; "Up 3 minutes" is common to all.
		running := strings.HasPrefix(fields[2], "Up") && !strings.Contains(fields[2], "Paused")
		boxes = append(boxes, container{id: fields[0], name: fields[1], running: running})
	}
	slices.SortFunc(boxes, func(a, b container) int { return cmp.Compare(a.name, b.name) })
	return boxes
}

// found is a cluster name as the record and the engine know it.
type found struct {
	name       string
	state      *state // nil: kindlab has no record
	containers []container
}

func (m *Manager) look(ctx context.Context, name string) (found, error) {
	s, err := m.readState(name)
	if err != nil {
		return found{}, err
	}
	boxes, err := m.containers(ctx, name)
	return found{name: name, state: s, containers: boxes}, err
}

// foreign returns an error when something under this name is not ours to change.
func (f found) foreign(engineName string) error {
	if f.state != nil && f.state.Engine != engineName {
		return remedy.New(fmt.Errorf("cluster %q runs on %s, not on %s", f.name, f.state.Engine, engineName),
			"add --engine "+f.state.Engine)
	}
	for _, box := range f.containers {
		if f.state == nil || f.state.Phase == ready && f.state.Containers[box.name] != box.id {
			return remedy.New(fmt.Errorf("a kind cluster %q exists that kindlab did not make", f.name),
				fmt.Sprintf("choose another name with --name, or remove it yourself: kind delete cluster --name %s", f.name))
		}
	}
	return nil
}

// missing are the recorded nodes whose containers somebody removed.
func (f found) missing() []string {
	var gone []string
	for name := range f.state.Containers {
		if !slices.ContainsFunc(f.containers, func(c container) bool { return c.name == name }) {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone
}

func (f found) stopped() []string {
	var names []string
	for _, box := range f.containers {
		if !box.running {
			names = append(names, box.name)
		}
	}
	return names
}

// alive returns an error when a node has ended and the engine takes it for running. An engine learns of the end from a
// monitor process beside the container; where both were killed it never does, and can neither stop nor start the node.
// A cluster that answers is not looked into.
func (m *Manager) alive(ctx context.Context, f found) error {
	if m.cluster(f.name).reachAs(ctx, f.state.KubeSystemUID) == nil {
		return nil
	}
	for _, box := range f.containers {
		if _, err := m.engine.Run(ctx, "exec", box.name, "true"); err != nil && ctx.Err() == nil {
			return remedy.New(fmt.Errorf("node %s has ended, and %s takes it for running: %w", box.name, m.engine.Name(), err),
				"begin again: kindlab down --name "+f.name)
		}
	}
	return nil
}

// beingStarted reports whether some process is starting a node container of the cluster: kind hands the engine's `run`
// the cluster's label as an argument of its own. Where there is no /proc it cannot tell and says no.
func beingStarted(proc fs.FS, name string) bool {
	files, err := fs.Glob(proc, "[0-9]*/cmdline")
	if err != nil {
		return false
	}
	for _, file := range files {
		args, err := fs.ReadFile(proc, file)
		if err == nil && slices.Contains(strings.Split(string(args), "\x00"), clusterLabel+"="+name) {
			return true
		}
	}
	return false
}

// nodeNames are the names kind gives the nodes of a cluster with one control plane.
func nodeNames(name string, count int) []string {
	names := []string{name + "-control-plane"}
	for i := 1; i < count; i++ {
		suffix := ""
		if i > 1 {
			suffix = fmt.Sprint(i)
		}
		names = append(names, name+"-worker"+suffix)
	}
	return names
}

// discard removes every container of the name and the volumes kind made for its nodes. The caller has made sure that
// they are ours.
func (m *Manager) discard(ctx context.Context, name string, nodes int) error {
	boxes, err := m.containers(ctx, name)
	if err != nil {
		return err
	}
	if len(boxes) > 0 {
		args := []string{"rm", "--force", "--volumes"}
		if m.engine.Name() == "podman" {
			args = append(args, "--time=0") // the others kill at once; podman first waits ten seconds for systemd
		}
		for _, box := range boxes {
			args = append(args, box.id)
		}
		_, err := m.engine.Run(ctx, args...)
		if err != nil && ctx.Err() == nil {
			// podman fails when it learns only now that a node has ended, and then knows.
			_, err = m.engine.Run(ctx, args...)
		}
		if err != nil {
			return fmt.Errorf("removing the nodes of cluster %q: %w", name, err)
		}
	}
	if m.engine.Name() != "podman" {
		return nil
	}
	// On podman kind makes each node's /var as a volume of its own, labelled with the node's name.
	for _, node := range nodeNames(name, nodes) {
		volumes, err := m.engine.Run(ctx, "volume", "ls", "--quiet", "--filter", "label="+node)
		if err != nil {
			return fmt.Errorf("listing the volumes of node %s: %w", node, err)
		}
		if volumes == "" {
			continue
		}
		if _, err := m.engine.Run(ctx, append([]string{"volume", "rm", "--force"}, strings.Fields(volumes)...)...); err != nil {
			return fmt.Errorf("removing the volumes of node %s: %w", node, err)
		}
	}
	return nil
}
