//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// namespaces finds the network namespaces of pods. containerd keeps each as a
// file cni-<uuid>, so a path never comes to mean another pod.
type namespaces struct {
	dir, proc string

	mu   sync.Mutex
	byIP map[string]string // pod IP to file
}

func newNamespaces(dir, proc string) *namespaces {
	return &namespaces{dir: dir, proc: proc, byIP: map[string]string{}}
}

// enter moves the calling goroutine into the pod's network namespace for good:
// its thread is locked and dies with it, so that no other goroutine can ever
// run in the wrong namespace. A pod on the host's network is in the node's own.
func (n *namespaces) enter(j dial.Job) error {
	if j.PodIP == "" {
		return nil
	}
	file, err := n.find(j.PodIP)
	if errors.Is(err, errNodesOwn) {
		return nil
	}
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	return setns(file)
}

func setns(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the pod's network namespace: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the pod's network namespace: %w", err)
	}
	return nil
}

// errNodesOwn says that an address is the node's: its pods are on the host's network.
var errNodesOwn = errors.New("the address is the node's own")

// find maps a pod's address to its namespace's file.
func (n *namespaces) find(podIP string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if file, ok := n.byIP[podIP]; ok {
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
		delete(n.byIP, podIP)
	}
	files, err := filepath.Glob(filepath.Join(n.dir, "cni-*"))
	if err != nil {
		return "", fmt.Errorf("listing network namespaces: %w", err)
	}
	for _, file := range files {
		for _, ip := range addresses(file) {
			n.byIP[ip] = file
		}
	}
	if file, ok := n.byIP[podIP]; ok {
		return file, nil
	}
	if slices.Contains(ownAddresses(), podIP) {
		return "", errNodesOwn
	}
	return "", fmt.Errorf("no pod with address %s runs on this node", podIP)
}

// addresses lists the addresses in a namespace; none when it is on its way out.
func addresses(file string) []string {
	found := make(chan []string)
	go func() {
		runtime.LockOSThread() // never unlocked, as in enter
		var ips []string
		defer func() { found <- ips }()
		if setns(file) == nil {
			ips = ownAddresses()
		}
	}()
	return <-found
}

// ownAddresses lists those of the calling thread's namespace.
func ownAddresses() []string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []string
	for _, a := range all {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() {
			ips = append(ips, ip.IP.String())
		}
	}
	return ips
}

// resolvConf is the file that the pod's own processes see: that of any process
// in the pod's network namespace; on the host's network, of any in its cgroup.
func (n *namespaces) resolvConf(j dial.Job) (string, error) {
	if j.PodIP == "" {
		b, err := os.ReadFile("/etc/resolv.conf")
		return string(b), err
	}
	file, err := n.find(j.PodIP)
	switch {
	case errors.Is(err, errNodesOwn):
		return n.confOf(j.PodIP, func(process string) bool { return inPod(process, j.PodUID) })
	case err != nil:
		return "", err
	}
	var want, own unix.Stat_t
	if err := unix.Stat(file, &want); err != nil {
		return "", fmt.Errorf("looking at %s: %w", file, err)
	}
	if err := unix.Stat("/etc/resolv.conf", &own); err != nil {
		return "", fmt.Errorf("looking at the node's resolv.conf: %w", err)
	}
	return n.confOf(j.PodIP, func(process string) bool {
		var have, conf unix.Stat_t
		if unix.Stat(filepath.Join(process, "ns", "net"), &have) != nil || have.Ino != want.Ino || have.Dev != want.Dev {
			return false
		}
		// A container that is just being made still sees the node's files, and
		// those would answer for the wrong place.
		err := unix.Stat(filepath.Join(process, resolvConf), &conf)
		return err == nil && (conf.Ino != own.Ino || conf.Dev != own.Dev)
	})
}

// inPod tells whether a process belongs to the pod with that UID, which the kubelet writes into its cgroup's name.
func inPod(process, uid string) bool {
	b, err := os.ReadFile(filepath.Join(process, "cgroup"))
	return err == nil && uid != "" && strings.Contains(strings.ReplaceAll(string(b), "_", "-"), "pod"+uid)
}

const resolvConf = "root/etc/resolv.conf"

// confOf reads the file that the first process of the pod sees.
func (n *namespaces) confOf(podIP string, ofPod func(process string) bool) (string, error) {
	processes, err := filepath.Glob(filepath.Join(n.proc, "[0-9]*"))
	if err != nil {
		return "", fmt.Errorf("listing processes: %w", err)
	}
	for _, p := range processes {
		if !ofPod(p) {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(p, resolvConf)); err == nil && strings.Contains(string(b), "nameserver") {
			return string(b), nil
		}
	}
	return "", fmt.Errorf("no process of the pod %s is running", podIP)
}
