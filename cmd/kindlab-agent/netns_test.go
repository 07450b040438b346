//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// A sandbox stands for containerd's folder of network namespaces and for /proc.
type sandbox struct{ dir, proc string }

func newSandbox(t *testing.T) sandbox {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("making network namespaces needs root")
	}
	return sandbox{t.TempDir(), t.TempDir()}
}

func (s sandbox) namespaces() *namespaces { return newNamespaces(s.dir, s.proc) }

// pod makes a network namespace with an address, in which a web server on port
// 80 says the pod's name.
func (s sandbox) pod(t *testing.T, name, ip string) {
	t.Helper()
	// A process holds the namespace: cat waits for the end of the test.
	cmd := exec.CommandContext(t.Context(), "cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() {
		_ = hold.Close()
		_ = cmd.Wait()
	})
	ns := fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid)
	s.link(t, ns, filepath.Join(s.dir, "cni-"+name))
	proc := filepath.Join(s.proc, fmt.Sprint(cmd.Process.Pid))
	s.link(t, ns, filepath.Join(proc, "ns", "net"))
	s.write(t, filepath.Join(proc, "root", "etc", "resolv.conf"), "nameserver "+ip+"\n")

	l := s.inside(t, ns, ip)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\n\r\n%s\n", name)
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_ = conn.Close()
		}
	}()
}

// inside gives a namespace its address and opens port 80 in it.
func (s sandbox) inside(t *testing.T, ns, ip string) net.Listener {
	t.Helper()
	var l net.Listener
	made := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		err := setns(ns)
		if err == nil {
			err = address(ip)
		}
		if err == nil {
			var c net.ListenConfig
			l, err = c.Listen(t.Context(), "tcp4", "0.0.0.0:80")
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatal(err)
	}
	return l
}

// address puts an address on the only interface that a new namespace has.
func address(ip string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	// Without the mask, lo would take in all of 10.0.0.0/8.
	for _, set := range []struct {
		call  uint
		value string
	}{{unix.SIOCSIFADDR, ip}, {unix.SIOCSIFNETMASK, "255.255.255.255"}} {
		if err := req.SetInet4Addr(net.ParseIP(set.value).To4()); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.call, req); err != nil {
			return fmt.Errorf("setting %s: %w", set.value, err)
		}
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("setting the interface up: %w", err)
	}
	return nil
}

func (s sandbox) link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

func (s sandbox) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(podIP, host string) dial.Job {
	return dial.Job{PodIP: podIP, Proto: dial.HTTP, Host: host, Port: 80, Path: "/hostname", Timeout: 10 * time.Second}
}

// Each pod has its own 127.0.0.1 and no way to the other's address, so an
// answer says from which namespace it was asked.
func TestJobsRunInThePodsNetworkNamespace(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.pod(t, "web", "10.244.1.2")
	s.pod(t, "db", "10.244.1.3")
	// Several times, because no thread may stay behind in a namespace.
	jobs := slices.Repeat([]dial.Job{
		get("10.244.1.2", "127.0.0.1"), get("10.244.1.3", "127.0.0.1"), get("10.244.1.3", "10.244.1.3"),
		get("10.244.1.2", "10.244.1.3"), get("10.244.1.9", "127.0.0.1"),
	}, 10)
	out := ask(t, s.namespaces(), jobs)
	for i, o := range out {
		var ok bool
		switch i % 5 {
		case 0:
			ok = o.Result == dial.OK && o.Body == "web"
		case 1, 2:
			ok = o.Result == dial.OK && o.Body == "db"
		case 3:
			ok = o.Result == dial.Unreachable
		case 4:
			ok = o.Result == dial.Error && strings.Contains(o.Detail, "no pod with address 10.244.1.9 runs on this node")
		}
		if !ok {
			t.Errorf("%s from pod %s: got %+v", jobs[i].Host, jobs[i].PodIP, o)
		}
	}
}

// ask serves the jobs over pipes, as the session does, and returns the answers
// in the order of the jobs.
func ask(t *testing.T, ns *namespaces, jobs []dial.Job) []dial.Outcome {
	t.Helper()
	in, stdin, stdout, out := pipes(t)
	ended := make(chan error, 1)
	go func() {
		ended <- serve(in, out, ns)
		_ = out.Close()
	}()
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); err != nil || line != dial.Hello+"\n" {
		t.Fatalf("began with %q (%v), want %q", line, err, dial.Hello)
	}
	enc := json.NewEncoder(stdin)
	for i, j := range jobs {
		j.ID = i
		if err := enc.Encode(j); err != nil {
			t.Fatal(err)
		}
	}
	_ = stdin.Close()
	found := make([]dial.Outcome, len(jobs))
	seen := map[int]bool{}
	for dec := json.NewDecoder(r); ; {
		var o dial.Outcome
		if err := dec.Decode(&o); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found[o.ID], seen[o.ID] = o, true
	}
	if err := <-ended; err != nil || len(seen) != len(jobs) {
		t.Fatalf("%d answers to %d jobs, and %v", len(seen), len(jobs), err)
	}
	return found
}

func pipes(t *testing.T) (in, stdin, stdout, out *os.File) {
	t.Helper()
	in, stdin, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, out, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{in, stdin, stdout, out} {
			_ = f.Close()
		}
	})
	return in, stdin, stdout, out
}

// A pod that was replaced may leave its address to the next one.
func TestAnAddressIsFoundAgainAfterItsPodHasGone(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.pod(t, "old", "10.244.1.4")
	ns := s.namespaces()
	if o := ask(t, ns, []dial.Job{get("10.244.1.4", "127.0.0.1")})[0]; o.Body != "old" {
		t.Fatalf("got %+v, want the old pod", o)
	}
	if err := os.Remove(filepath.Join(s.dir, "cni-old")); err != nil {
		t.Fatal(err)
	}
	if o := ask(t, ns, []dial.Job{get("10.244.1.4", "127.0.0.1")})[0]; o.Result != dial.Error {
		t.Errorf("got %+v while there is no such pod, want an error", o)
	}
	s.pod(t, "new", "10.244.1.4")
	if o := ask(t, ns, []dial.Job{get("10.244.1.4", "127.0.0.1")})[0]; o.Body != "new" {
		t.Errorf("got %+v, want the new pod", o)
	}
}

// What is on its way out, or is no namespace, does not hide the others.
func TestLeftoversAreSkipped(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.write(t, filepath.Join(s.dir, "cni-a"), "")
	s.link(t, "/nowhere", filepath.Join(s.dir, "cni-b"))
	s.pod(t, "web", "10.244.1.5")
	if _, err := s.namespaces().find("10.244.1.5"); err != nil {
		t.Error(err)
	}
}

func TestResolvConfIsThePods(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.pod(t, "web", "10.244.1.6")
	s.pod(t, "db", "10.244.1.7")
	// The sandbox's own process is in the pod's namespace with an empty file.
	s.link(t, filepath.Join(s.dir, "cni-db"), filepath.Join(s.proc, "1", "ns", "net"))
	s.write(t, filepath.Join(s.proc, "1", "root", "etc", "resolv.conf"), "")
	// A container that is being made still sees the node's own file.
	s.link(t, filepath.Join(s.dir, "cni-db"), filepath.Join(s.proc, "2", "ns", "net"))
	s.link(t, "/etc/resolv.conf", filepath.Join(s.proc, "2", "root", "etc", "resolv.conf"))
	for _, ip := range []string{"10.244.1.6", "10.244.1.7"} {
		got, err := s.namespaces().resolvConf(dial.Job{PodIP: ip})
		if want := "nameserver " + ip + "\n"; err != nil || got != want {
			t.Errorf("%s: got %q (%v), want %q", ip, got, err, want)
		}
	}
	if err := os.RemoveAll(s.proc); err != nil {
		t.Fatal(err)
	}
	if _, err := s.namespaces().resolvConf(dial.Job{PodIP: "10.244.1.6"}); err == nil || !strings.Contains(err.Error(), "no process of the pod 10.244.1.6 is running") {
		t.Errorf("got %v for a pod without processes", err)
	}
}

func TestServeWithoutAPod(t *testing.T) {
	t.Parallel()
	in, stdin, stdout, out := pipes(t)
	if _, err := io.WriteString(stdin, "{\"id\":1,\"proto\":\"icmp\",\"host\":\"127.0.0.1\",\"timeout\":1000000000}\nnot a job\n"); err != nil {
		t.Fatal(err)
	}
	err := serve(in, out, newNamespaces(t.TempDir(), t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "reading a job") {
		t.Errorf("got %v, want what is no job refused", err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != dial.Hello+"\n" {
		t.Errorf("began with %q (%v)", line, err)
	}
}

// A pod on the host's network has the node's address, which is no namespace's own. Two such pods share it, so their
// resolver configuration is found by the pod's UID.
func TestPodsOnTheHostsNetwork(t *testing.T) {
	t.Parallel()
	own := ownAddresses()
	if len(own) == 0 {
		t.Skip("this host has no address but its loopback")
	}
	s := newSandbox(t)
	s.pod(t, "web", "10.244.1.8")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the node") }))
	t.Cleanup(server.Close)
	j := get(own[0], "127.0.0.1")
	j.Port = server.Listener.Addr().(*net.TCPAddr).Port
	if o := ask(t, s.namespaces(), []dial.Job{j})[0]; o.Result != dial.OK || o.Body != "the node" {
		t.Errorf("got %+v, want an answer in the node's own namespace", o)
	}

	for pid, uid := range map[string]string{"21": "0f3a-1", "22": "0f3a-2"} {
		s.write(t, filepath.Join(s.proc, pid, "cgroup"), "0::/kubelet.slice/kubelet-pod"+strings.ReplaceAll(uid, "-", "_")+".slice/cri-1.scope\n")
		s.write(t, filepath.Join(s.proc, pid, "root", "etc", "resolv.conf"), "nameserver "+uid+"\n")
	}
	for uid, want := range map[string]string{"0f3a-1": "nameserver 0f3a-1\n", "0f3a-2": "nameserver 0f3a-2\n"} {
		if got, err := s.namespaces().resolvConf(dial.Job{PodIP: own[0], PodUID: uid}); err != nil || got != want {
			t.Errorf("pod %s: got %q (%v), want %q", uid, got, err, want)
		}
	}
	for _, uid := range []string{"", "0f3a-3"} {
		if got, err := s.namespaces().resolvConf(dial.Job{PodIP: own[0], PodUID: uid}); err == nil {
			t.Errorf("pod %q: got %q, want an error rather than another pod's file", uid, got)
		}
	}
}

func TestInAPodAttemptsAreMadeFromThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // closed at the end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	j := dial.Job{PodIP: "10.244.9.9", Proto: dial.TCP, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Timeout: 10 * time.Second}
	if o := attempt(here{}, j); o.Result != dial.OK {
		t.Errorf("got %+v, want it to dial from where it is", o)
	}
	want, err := os.ReadFile("/etc/resolv.conf")
	if got, also := (here{}).resolvConf(j); got != string(want) || (also == nil) != (err == nil) {
		t.Errorf("got %q (%v), want %q (%v)", got, also, want, err)
	}
}
