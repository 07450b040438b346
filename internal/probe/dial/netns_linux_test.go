package dial

import (
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The agent moves a thread into a pod's network namespace, so no socket may be
// made on another one. Here the thread is moved where there is no network at
// all, while the servers in the first namespace would answer.
func TestAllSocketsAreMadeOnTheCallersThread(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("making a network namespace needs root")
	}
	z := answers(t, "127.53.0.40", map[string]string{"db.": "127.0.0.1"}, asIs)
	server := listen(t).Addr()
	tests := []struct {
		name string
		job  Job
		want Result
	}{
		{"tcp", at(t, TCP, server), Unreachable},
		{"http", at(t, HTTP, server), Unreachable},
		{"udp", at(t, UDP, packets(t).LocalAddr()), Unreachable},
		{"dns", Job{Proto: DNS, Host: "db", Server: z.ip, Timeout: patient}, DNSRefused},
	}
	for _, tt := range tests {
		got := make(chan Outcome, 1)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				got <- Outcome{Result: Error, Detail: err.Error()}
				return
			}
			got <- Do(t.Context(), tt.job, noConf)
		}()
		if o := <-got; o.Result != tt.want {
			t.Errorf("%s: got %+v, want %s", tt.name, o, tt.want)
		}
	}
	if asked := z.questions(); len(asked) != 0 {
		t.Errorf("the server outside was asked for %v", asked)
	}
}

func TestSilenceIsATimeout(t *testing.T) {
	t.Parallel()
	for _, p := range []Proto{TCP, HTTP} {
		j := at(t, p, full(t))
		j.Timeout = brief
		if got := Do(t.Context(), j, noConf); got.Result != Timeout {
			t.Errorf("%s: got %+v, want a timeout", p, got)
		}
	}
}

// full is a listener whose queue is full, so that the kernel drops what comes.
func full(t *testing.T) net.Addr {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	d := net.Dialer{Timeout: brief}
	for range 300 {
		conn, err := d.DialContext(t.Context(), "tcp4", addr.String())
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of the listener never fills")
	return nil
}
