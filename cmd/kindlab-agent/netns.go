//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
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
// run in the wrong namespace.
func (n *namespaces) enter(podIP string) error {
	file, err := n.find(podIP)
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
	return "", fmt.Errorf("no pod with address %s runs on this node", podIP)
}

// addresses lists the addresses in a namespace; none when it is on its way out.
func addresses(file string) []string {
	found := make(chan []string)
	go func() {
		runtime.LockOSThread() // never unlocked, as in enter
		var ips []string
		defer func() { found <- ips }()
		if setns(file) != nil {
			return
		}
		all, err := net.InterfaceAddrs()
		if err != nil {
			return
		}
		for _, a := range all {
			if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() {
				ips = append(ips, ip.IP.String())
			}
		}
	}()
	return <-found
}

// resolvConf is the file that the pod's own processes see: that of any process
// in the pod's network namespace.
func (n *namespaces) resolvConf(podIP string) (string, error) {
	if podIP == "" {
		b, err := os.ReadFile("/etc/resolv.conf")
		return string(b), err
	}
	file, err := n.find(podIP)
	if err != nil {
		return "", err
	}
	var want, have, own, found unix.Stat_t
	if err := unix.Stat(file, &want); err != nil {
		return "", fmt.Errorf("looking at %s: %w", file, err)
	}
	if err := unix.Stat("/etc/resolv.conf", &own); err != nil {
		return "", fmt.Errorf("looking at the node's resolv.conf: %w", err)
	}
	links, err := filepath.Glob(filepath.Join(n.proc, "[0-9]*", "ns", "net"))
	if err != nil {
		return "", fmt.Errorf("listing processes: %w", err)
	}
	for _, link := range links {
		if unix.Stat(link, &have) != nil || have.Ino != want.Ino || have.Dev != want.Dev {
			continue
		}
		// A container that is just being made still sees the node's files, and
		// those would answer for the wrong place.
		conf := filepath.Join(strings.TrimSuffix(link, "/ns/net"), "root", "etc", "resolv.conf")
		if unix.Stat(conf, &found) != nil || found.Ino == own.Ino && found.Dev == own.Dev {
			continue
		}
		if b, err := os.ReadFile(conf); err == nil && strings.Contains(string(b), "nameserver") {
			return string(b), nil
		}
	}
	return "", fmt.Errorf("no process of the pod %s is running", podIP)
}
