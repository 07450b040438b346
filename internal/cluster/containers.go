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
	paused   bool // its processes are frozen
	stopping bool // the engine began to stop it, and was ended before it had
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
		status := fields[2]
		paused := strings.Contains(status, "Paused")
		boxes = append(boxes, container{
			id: fields[0], name: fields[1], paused: paused,
			running:  strings.HasPrefix(status, "Up") && !paused,
			stopping: strings.HasPrefix(status, "Stopping"),
		})
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

// lost is the error of a cluster one of whose nodes was removed: what went with it, and what going on costs.
func (f found) lost() error {
	gone := f.missing()
	if len(gone) == 0 {
		return nil
	}
	with := "the volumes on it are lost, and its pods start on other nodes while the control plane runs"
	if gone[0] == nodeNames(f.name, 1)[0] {
		with = "every object of the cluster is lost with it"
	}
	return remedy.New(fmt.Errorf("cluster %q has lost its node %s: %s", f.name, gone[0], with),
		fmt.Sprintf("begin again: kindlab down --name %s removes what is left of it, objects and volumes too", f.name))
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
