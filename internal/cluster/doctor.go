package cluster

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// Doctor looks at the machine: its engine, and what of the host decides whether a node can run. It changes nothing and
// always answers; a missing engine is a finding.
func Doctor(ctx context.Context, opts engine.Options) []Finding {
	root := opts.Root
	if root == nil {
		root = os.DirFS("/")
	}
	host := engine.ReadHost(root).ReadKernel(root)
	var findings []Finding
	e, err := engine.Find(ctx, opts)
	if err != nil {
		findings = append(findings, Finding{"engine", Error, err.Error(), remedy.Of(err)})
	} else {
		findings = append(findings, Finding{ID: "engine", Level: OK, What: e.Name() + " answers"})
		findings = append(findings, engineFindings(ctx, e)...)
	}
	if runtime.GOOS != "linux" {
		return findings // the engine's virtual machine is the host, and it looks after itself
	}
	name := ""
	if e != nil {
		name = e.Name()
	}
	findings = append(findings, hostFindings(host, name)...)
	if inotify, ok := engine.ReadInotify("/"); ok {
		findings = append(findings, inotifyFinding(inotify))
	}
	return findings
}

func engineFindings(ctx context.Context, e *engine.Engine) []Finding {
	var findings []Finding
	if dir, err := e.StorageDir(ctx); err == nil {
		if free, err := engine.DiskFree(dir); err == nil {
			f := Finding{ID: "disk", Level: OK, What: fmt.Sprintf("%.1f GB free below %s", float64(free)/(1<<30), dir)}
			if low := enoughDisk(dir, free); low != nil {
				f = Finding{"disk", Error, low.Error(), remedy.Of(low)}
			}
			findings = append(findings, f)
		}
	}
	if e.Name() == "podman" {
		// Where iptables is missing there is no dockerd that could have set the policy either.
		if rules, err := engine.ForwardRules(ctx); err == nil && engine.ForwardDropped(rules) {
			findings = append(findings, Finding{
				"forward", Warn,
				"the firewall drops forwarded packets, as a running dockerd makes it do: pods on different nodes will not reach each other",
				"use docker (--engine docker), stop dockerd, or allow forwarding: iptables -P FORWARD ACCEPT",
			})
		}
	}
	return findings
}

// hostFindings judges the facts of a Linux host for the named engine ("" for none).
func hostFindings(h engine.Host, engineName string) []Finding {
	podman := engineName == "podman"
	return []Finding{
		cgroupFinding(h, podman),
		capabilityFinding(h, engineName),
		limitsFinding(h),
		modulesFinding(h, podman),
		nftablesFinding(h),
	}
}

func cgroupFinding(h engine.Host, podman bool) Finding {
	f := Finding{ID: "cgroup", Level: OK, What: "control groups are " + string(h.Cgroup)}
	switch {
	case h.Cgroup == engine.CgroupUnknown:
		return Finding{"cgroup", Error, "no control groups are mounted at /sys/fs/cgroup", "mount them, or use a machine that has them"}
	case h.LegacyCgroup() && podman && !h.Runc:
		return Finding{"cgroup", Error, f.What + ", which crun refuses, and runc is not installed", "apt-get install runc"}
	case h.LegacyCgroup():
		f.What += "; the kubelet is told to accept them"
	}
	return f
}

func capabilityFinding(h engine.Host, engineName string) Finding {
	switch {
	case h.SysResource:
		return Finding{ID: "capabilities", Level: OK, What: "privileged containers get every capability they ask for"}
	case engineName == "docker":
		return Finding{
			"capabilities", Warn, "CAP_SYS_RESOURCE is missing here: a Docker daemon under the same limit cannot start privileged containers",
			"if up fails with `unable to apply caps`, use podman: --engine podman",
		}
	}
	return Finding{ID: "capabilities", Level: OK, What: "CAP_SYS_RESOURCE is missing; podman is configured to do without"}
}

// neededFiles is what a node with its pods has open in a busy minute.
const neededFiles = 4096

func limitsFinding(h engine.Host) Finding {
	if h.NofileHard < neededFiles {
		return Finding{
			"limits", Warn, fmt.Sprintf("a process may open only %d files", h.NofileHard),
			fmt.Sprintf("raise the hard limit: ulimit -Hn %d, as root", neededFiles),
		}
	}
	return Finding{ID: "limits", Level: OK, What: "the limits of open files and processes are high enough"}
}

func modulesFinding(h engine.Host, podman bool) Finding {
	if h.LibModules || !podman {
		return Finding{ID: "lib-modules", Level: OK, What: "/lib/modules can be mounted into nodes"}
	}
	if os.Geteuid() == 0 {
		return Finding{ID: "lib-modules", Level: OK, What: "/lib/modules does not exist; up creates it as an empty directory"}
	}
	return Finding{"lib-modules", Error, "/lib/modules does not exist, and every node mounts it", "create it once: sudo mkdir /lib/modules"}
}

func nftablesFinding(h engine.Host) Finding {
	switch {
	case !h.NFTablesSeen:
		return Finding{"nftables", Warn, "the kernel's features cannot be read", "check that it has nf_tables: nft list tables"}
	case !h.NFTables:
		return Finding{"nftables", Error, "the kernel has no nf_tables, which Services need", "load it: modprobe nf_tables, or use another kernel"}
	}
	return Finding{ID: "nftables", Level: OK, What: "the kernel has nf_tables"}
}
