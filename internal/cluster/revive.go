package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// revive brings the engine's books in line with what became of the nodes, so that stopped ones can be started: frozen
// nodes go on, a stop that was interrupted is brought to its end, and a node that ended without the engine's knowledge
// is made known to it. It returns what the engine then knows.
func (m *Manager) revive(ctx context.Context, f found) (found, error) {
	for _, box := range f.containers {
		var err error
		switch {
		case box.paused:
			_, err = m.engine.Run(ctx, "unpause", box.id)
		case box.stopping:
			err = m.endStop(ctx, box)
		case box.running && !m.runs(ctx, box):
			err = m.tellEnd(ctx, box)
		default:
			continue
		}
		if ctx.Err() != nil {
			return f, ctx.Err()
		}
		if err != nil {
			return f, remedy.New(fmt.Errorf("node %s cannot be brought back: %w", box.name, err),
				fmt.Sprintf("see what %[1]s says of it: %[1]s inspect %[2]s; the work in it is lost only by kindlab down --name %[3]s",
					m.engine.Name(), box.name, f.name))
		}
	}
	boxes, err := m.containers(ctx, f.name)
	f.containers = boxes
	return f, err
}

// runs tells whether a command can be run in a node that the engine takes for running. An engine learns of the end
// from a monitor process beside the container; where both were killed it never does.
func (m *Manager) runs(ctx context.Context, box container) bool {
	_, err := m.engine.Run(ctx, "exec", box.id, "true")
	return err == nil
}

// endStop brings an interrupted stop to its end. Where nobody is left to end it, it has ended.
func (m *Manager) endStop(ctx context.Context, box container) error {
	_, err := m.engine.Run(ctx, "stop", "--time", "0", box.id)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return m.tellEnd(ctx, box)
}

// tellEnd makes a node's end known to the engine. podman hears of it by a file that the container's monitor (conmon)
// writes in its exit folder: the exit code, in a file named like the container. Where the monitor was killed too, that
// file is written here. It concerns this container alone; podman's own way, a refresh as after a reboot, would touch
// the containers of others.
func (m *Manager) tellEnd(ctx context.Context, box container) error {
	if m.engine.Name() != "podman" {
		_, err := m.engine.Run(ctx, "stop", "--time", "0", box.id)
		return err
	}
	out, err := m.engine.Run(ctx, "inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", box.id)
	if err != nil {
		return err
	}
	for field := range strings.FieldsSeq(out) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 && alive(pid) && ofContainer(pid, box.id) {
			return fmt.Errorf("its process %d is there, and takes no commands", pid)
		}
	}
	folder, err := exitFolder(os.Getenv, os.Geteuid())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, box.id), []byte(strconv.Itoa(128+int(syscall.SIGKILL))), 0o600)
}

// alive tells whether a process of this number runs. One that has ended and that nobody has asked about yet (a zombie,
// proc_pid_stat(5)) does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the program's name
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// ofContainer tells a process of the container, or its monitor, from another that has got the number since: the
// container's ID stands in the monitor's arguments and in the names of the container's control groups.
func ofContainer(pid int, id string) bool {
	for _, file := range []string{"cmdline", "cgroup"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
		if err == nil && strings.Contains(string(text), id) {
			return true
		}
	}
	return false
}

// exitFolder is where podman's monitors tell of the ends of containers, below podman's folder for what a reboot
// forgets (containers.conf(5), tmp_dir).
func exitFolder(getenv func(string) string, uid int) (string, error) {
	candidates := []string{"/run/libpod/exits"}
	if uid != 0 {
		candidates = []string{
			filepath.Join(getenv("XDG_RUNTIME_DIR"), "libpod/tmp/exits"),
			fmt.Sprintf("/tmp/podman-run-%d/libpod/tmp/exits", uid),
		}
	}
	for _, folder := range candidates {
		if info, err := os.Stat(folder); err == nil && info.IsDir() && filepath.IsAbs(folder) {
			return folder, nil
		}
	}
	return "", fmt.Errorf("podman's folder of exits is not at %s", strings.Join(candidates, " or "))
}
