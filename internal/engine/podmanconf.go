package engine

import (
	"fmt"
	"strings"
)

const (
	// podmanNofile and podmanNproc are the limits podman asks for by itself; a hard limit below makes the container fail.
	podmanNofile = 1 << 20
	podmanNproc  = 30000 // enough for a node; podman's own default is the kernel's maximum
)

func helperDirs() []string {
	return []string{"/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman", "/usr/lib/podman"}
}

// needsPodmanConf reports whether podman's own defaults would fail here. Where they would not, podman keeps reading
// what the user configured.
func (h Host) needsPodmanConf() bool {
	if h.Cgroup == CgroupUnknown {
		return false // podman runs in a virtual machine of its own
	}
	return h.LegacyCgroup() || !h.SysResource || !h.Systemd || h.NofileHard < podmanNofile
}

// podmanConf is the containers.conf for this host. podman reads it alone, in place of the system's.
func (h Host) podmanConf() string {
	var b strings.Builder
	b.WriteString("# Written by kindlab for the podman it runs, and read by nothing else. Changes are overwritten.\n")
	fmt.Fprintf(&b, "[containers]\ndefault_ulimits = [%q, %q]\n",
		limit("nofile", min(h.NofileHard, podmanNofile)), limit("nproc", min(h.NprocHard, podmanNproc)))
	b.WriteString("\n[engine]\n")
	// crun refuses hybrid control groups, and it is podman's first choice.
	if h.Runc && (h.LegacyCgroup() || !h.Crun) {
		b.WriteString("runtime = \"runc\"\n")
	}
	if !h.Systemd {
		b.WriteString("cgroup_manager = \"cgroupfs\"\n")
	}
	b.WriteString("events_logger = \"file\"\n") // journald is not everywhere, and kind follows the logs
	fmt.Fprintf(&b, "helper_binaries_dir = [%s]\n", quoteAll(helperDirs()))
	if h.Netavark != "" {
		b.WriteString("\n[network]\nnetwork_backend = \"netavark\"\n") // nodes find each other by name only with it
	}
	return b.String()
}

func limit(name string, n uint64) string { return fmt.Sprintf("%s=%d:%d", name, n, n) }

func quoteAll(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(quoted, ", ")
}
