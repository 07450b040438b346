package engine

import (
	"strings"
	"testing"
	"testing/fstest"
)

const limitsText = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max open files            20000                20000                files
Max file locks            unlimited            unlimited            locks
`

// sandbox is a host as many CI machines are: hybrid cgroups, no systemd, no CAP_SYS_RESOURCE, low limits.
func sandbox() fstest.MapFS {
	return fstest.MapFS{
		"sys/fs/cgroup/memory/tasks":         {},
		"sys/fs/cgroup/unified/cgroup.procs": {},
		"proc/self/status":                   {Data: []byte("Name:\tx\nCapBnd:\t000001fffeffffff\n")},
		"proc/self/limits":                   {Data: []byte(limitsText)},
		"usr/sbin/runc":                      {},
		"usr/lib/podman/netavark":            {},
	}
}

// desktop is a current distribution.
func desktop() fstest.MapFS {
	return fstest.MapFS{
		"sys/fs/cgroup/cgroup.controllers": {},
		"run/systemd/system/x":             {},
		"proc/self/status":                 {Data: []byte("CapBnd:\t000001ffffffffff\n")},
		"proc/self/limits":                 {Data: []byte("Max open files  1024  1048576  files\n")},
		"usr/bin/crun":                     {},
		"lib/modules/6.1.0/modules.dep":    {Data: []byte("kernel/net/netfilter/nf_tables.ko.xz:\n")},
		"proc/kallsyms":                    {Data: []byte("ffffffff81000000 T _stext\n")},
		"proc/sys/kernel/osrelease":        {Data: []byte("6.1.0\n")},
	}
}

func TestReadHost(t *testing.T) {
	t.Parallel()
	got := ReadHost(sandbox())
	want := Host{Cgroup: CgroupHybrid, NofileHard: 20000, NprocHard: 96365, Runc: true, Netavark: "/usr/lib/podman/netavark"}
	if got != want {
		t.Errorf("sandbox = %+v\nwant      %+v", got, want)
	}
	got = ReadHost(desktop()).ReadKernel(desktop())
	want = Host{
		Cgroup: CgroupV2, SysResource: true, Systemd: true, NofileHard: 1 << 20, NprocHard: unlimited, Crun: true,
		LibModules: true, NFTables: true, NFTablesSeen: true,
	}
	if got != want {
		t.Errorf("desktop = %+v\nwant      %+v", got, want)
	}
}

func TestCgroupMode(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]Cgroup{
		"sys/fs/cgroup/cgroup.controllers": CgroupV2,
		"sys/fs/cgroup/memory/tasks":       CgroupV1,
		"sys/fs/cgroup/unified/x":          CgroupHybrid,
		"System/Library":                   CgroupUnknown,
	} {
		if got := cgroupMode(fstest.MapFS{file: {}}); got != want {
			t.Errorf("with %s: %q, want %q", file, got, want)
		}
	}
}

func TestPodmanConf(t *testing.T) {
	t.Parallel()
	host := ReadHost(sandbox())
	if !host.needsPodmanConf() {
		t.Error("the sandbox was found to need no configuration")
	}
	for _, want := range []string{
		`default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]`, `runtime = "runc"`,
		`cgroup_manager = "cgroupfs"`, `events_logger = "file"`, `network_backend = "netavark"`, `"/usr/lib/podman"`,
	} {
		if !strings.Contains(host.podmanConf(), want) {
			t.Errorf("configuration lacks %s:\n%s", want, host.podmanConf())
		}
	}
	modern := ReadHost(desktop())
	if modern.needsPodmanConf() {
		t.Error("a current desktop was found to need a configuration")
	}
	for _, unwanted := range []string{"runtime =", "cgroup_manager", "network_backend"} {
		if strings.Contains(modern.podmanConf(), unwanted) {
			t.Errorf("configuration has %s", unwanted)
		}
	}
}

func TestForwardDropped(t *testing.T) {
	t.Parallel()
	if !ForwardDropped("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n") {
		t.Error("dockerd's policy was not seen")
	}
	if ForwardDropped("-P FORWARD ACCEPT\n-A FORWARD -s 1.2.3.4/32 -j DROP\n") {
		t.Error("one rule was taken for the policy")
	}
}
