package engine

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Cgroup is how the host's control groups are mounted.
type Cgroup string

// The three layouts, and the answer on hosts that are not Linux.
const (
	CgroupV1      Cgroup = "v1"
	CgroupHybrid  Cgroup = "hybrid" // v1 controllers with a v2 tree at unified/
	CgroupV2      Cgroup = "v2"
	CgroupUnknown Cgroup = ""
)

// capSysResource is the bit of CAP_SYS_RESOURCE in the masks of /proc/self/status.
const capSysResource = 24

// unlimited stands for "unlimited" in a resource limit.
const unlimited = ^uint64(0)

// Host is what matters about the machine to a container engine and a kind node.
type Host struct {
	Cgroup       Cgroup
	SysResource  bool   // this process may raise limits (CAP_SYS_RESOURCE)
	Systemd      bool   // systemd runs the host
	NofileHard   uint64 // hard limit of open files
	NprocHard    uint64 // hard limit of processes
	Crun, Runc   bool
	Netavark     string // path of podman's network program, "" where it is not installed
	LibModules   bool   // /lib/modules exists
	NFTables     bool   // the kernel has nf_tables, built in or loaded
	NFTablesSeen bool   // NFTables could be told at all
}

// ReadHost reads the facts from root, the host's file system from "/" on.
func ReadHost(root fs.FS) Host {
	h := Host{
		Cgroup:      cgroupMode(root),
		SysResource: true,
		Systemd:     exists(root, "run/systemd/system"),
		NofileHard:  unlimited,
		NprocHard:   unlimited,
		Crun:        installed(root, "crun"),
		Runc:        installed(root, "runc"),
		LibModules:  exists(root, "lib/modules"),
	}
	if status, err := fs.ReadFile(root, "proc/self/status"); err == nil {
		h.SysResource = hasCapability(string(status), capSysResource)
	}
	if limits, err := fs.ReadFile(root, "proc/self/limits"); err == nil {
		h.NofileHard = hardLimit(string(limits), "Max open files")
		h.NprocHard = hardLimit(string(limits), "Max processes")
	}
	for _, dir := range helperDirs() {
		if file := dir + "/netavark"; h.Netavark == "" && exists(root, file[1:]) {
			h.Netavark = file
		}
	}
	return h
}

// ReadKernel adds the facts that are slow to read (the kernel's symbol table is megabytes): only doctor wants them.
func (h Host) ReadKernel(root fs.FS) Host {
	symbols, err := fs.ReadFile(root, "proc/kallsyms")
	if err != nil || len(symbols) == 0 {
		return h
	}
	h.NFTablesSeen = true
	h.NFTables = strings.Contains(string(symbols), " nft_do_chain")
	if release, err := fs.ReadFile(root, "proc/sys/kernel/osrelease"); !h.NFTables && err == nil {
		dep, _ := fs.ReadFile(root, path.Join("lib/modules", strings.TrimSpace(string(release)), "modules.dep"))
		h.NFTables = strings.Contains(string(dep), "/nf_tables.ko") // loaded on first use
	}
	return h
}

func cgroupMode(root fs.FS) Cgroup {
	switch {
	case exists(root, "sys/fs/cgroup/cgroup.controllers"):
		return CgroupV2
	case exists(root, "sys/fs/cgroup/unified"):
		return CgroupHybrid
	case exists(root, "sys/fs/cgroup/memory"), exists(root, "sys/fs/cgroup/cpu"):
		return CgroupV1
	}
	return CgroupUnknown
}

// hasCapability reports whether the bounding set of a /proc/<pid>/status text has the capability bit.
func hasCapability(status string, bit uint) bool {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return err != nil || mask&(1<<bit) != 0
		}
	}
	return true // not Linux, or a /proc that hides it: nothing to work around
}

// hardLimit reads one row of /proc/self/limits: name, soft limit, hard limit, unit, in columns.
func hardLimit(limits, name string) uint64 {
	for line := range strings.Lines(limits) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		if fields := strings.Fields(rest); len(fields) >= 2 {
			if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				return n
			}
		}
	}
	return unlimited
}

func installed(root fs.FS, program string) bool {
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"} {
		if exists(root, dir+"/"+program) {
			return true
		}
	}
	return false
}

func exists(root fs.FS, name string) bool {
	_, err := fs.Stat(root, name)
	return err == nil
}

// LegacyCgroup reports whether the kubelet must be told to run without cgroup v2.
func (h Host) LegacyCgroup() bool {
	return h.Cgroup == CgroupV1 || h.Cgroup == CgroupHybrid
}

// ForwardDropped reports whether rules, the output of `iptables -S FORWARD`, drop forwarded packets by policy. A
// dockerd beside podman sets that, and pods on different podman nodes then cannot talk.
func ForwardDropped(rules string) bool {
	for line := range strings.Lines(rules) {
		if strings.TrimSpace(line) == "-P FORWARD DROP" {
			return true
		}
	}
	return false
}
