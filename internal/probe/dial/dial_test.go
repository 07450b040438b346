package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// brief is long enough for loopback, and all that a timeout costs.
const brief = 150 * time.Millisecond

// patient is for attempts that end by themselves: it only bounds a bug.
const patient = 10 * time.Second

func noConf() (string, error) { return "", errors.New("nobody should look a literal up") }

// at makes a job for an address.
func at(t *testing.T, p Proto, addr net.Addr) Job {
	t.Helper()
	to, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return Job{ID: 7, Proto: p, Host: to.Addr().String(), Port: int(to.Port()), Timeout: patient}
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serving treats every connection the same.
func serving(t *testing.T, with func(*net.TCPConn)) net.Addr {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			with(conn)
		}
	}()
	return l.Addr()
}

func packets(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestTCP(t *testing.T) {
	t.Parallel()
	closed := listen(t)
	_ = closed.Close()
	tests := []struct {
		name string
		addr net.Addr
		want Result
	}{
		// Nobody accepts: the handshake is the kernel's, and is the answer.
		{"listening", listen(t).Addr(), OK},
		{"nobody listens", closed.Addr(), Refused},
		// A broadcast has no route for TCP, on any host.
		{"no route", &net.TCPAddr{IP: net.IPv4bcast, Port: 80}, Unreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := at(t, TCP, tt.addr)
			got := Do(t.Context(), j, noConf)
			if got.Result != tt.want || got.ID != j.ID {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
			if (got.Detail == "") != (tt.want == OK) {
				t.Errorf("detail %q with result %s", got.Detail, got.Result)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hostname":
			_, _ = fmt.Fprintln(w, "web-0")
		case "/long":
			_, _ = io.WriteString(w, strings.Repeat("x", 10*maxBody))
		case "/moved":
			http.Redirect(w, r, "/hostname", http.StatusFound)
		case "/asked":
			_, _ = fmt.Fprintln(w, r.Host == r.Context().Value(http.LocalAddrContextKey).(net.Addr).String(), r.URL.RawQuery, r.Close)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	tests := []struct {
		path   string
		status int
		body   string
	}{
		{"/hostname", http.StatusOK, "web-0"},
		{"", http.StatusNotFound, "404 page not found"},
		{"/long", http.StatusOK, strings.Repeat("x", maxBody)},
		// A redirect is the answer, and is not followed.
		{"/moved", http.StatusFound, `<a href="/hostname">Found</a>.`},
		{"/asked?msg=a%20b", http.StatusOK, "true msg=a%20b true"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			j := at(t, HTTP, srv.Listener.Addr())
			j.Path = tt.path
			got := Do(t.Context(), j, noConf)
			if got.Result != OK || got.Status != tt.status || got.Body != tt.body {
				t.Errorf("got %+v, want status %d and body %q", got, tt.status, tt.body)
			}
		})
	}
}

func TestHTTPWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	closed := listen(t)
	_ = closed.Close()
	tests := []struct {
		name    string
		addr    net.Addr
		timeout time.Duration
		want    Result
	}{
		{"refused", closed.Addr(), patient, Refused},
		{"reset", serving(t, func(c *net.TCPConn) {
			_ = c.SetLinger(0)
			_ = c.Close()
		}), patient, Reset},
		{"hung up after the request", serving(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}), patient, Reset},
		{"cut off in the body", serving(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			_ = c.Close()
		}), patient, Reset},
		{"accepts and says nothing", listen(t).Addr(), brief, Timeout},
		{"another protocol", serving(t, func(c *net.TCPConn) {
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n")
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}), patient, NotHTTP},
		{"a few letters", serving(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "hi")
			_ = c.Close()
		}), patient, NotHTTP},
		{"hardly HTTP", serving(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 fine\r\n\r\n")
			_ = c.Close()
		}), patient, NotHTTP},
		{"not the body that was announced", serving(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n")
			_ = c.Close()
		}), patient, NotHTTP},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := at(t, HTTP, tt.addr)
			j.Timeout = tt.timeout
			got := Do(t.Context(), j, noConf)
			if got.Result != tt.want || got.Status != 0 || got.Body != "" || got.Detail == "" {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
		})
	}
}

func TestUDP(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	server := packets(t)
	go func() {
		buf := make([]byte, 64)
		n, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		asked <- string(buf[:n])
		_, _ = server.WriteToUDPAddrPort([]byte("db-1"), from)
	}()
	if got := Do(t.Context(), at(t, UDP, server.LocalAddr()), noConf); got.Result != OK || got.Body != "db-1" {
		t.Errorf("got %+v, want ok from db-1", got)
	}
	if got := <-asked; got != "hostname\n" {
		t.Errorf("asked %q, want what agnhost netexec answers", got)
	}

	j := at(t, UDP, packets(t).LocalAddr())
	j.Timeout = brief
	if got := Do(t.Context(), j, noConf); got.Result != Timeout {
		t.Errorf("got %+v from a silent server, want a timeout", got)
	}
	closed := packets(t)
	_ = closed.Close()
	if got := Do(t.Context(), at(t, UDP, closed.LocalAddr()), noConf); got.Result != Refused {
		t.Errorf("got %+v from a closed port, want refused", got)
	}
}

// What says nothing of the network is never a denial: a learner would be told
// that a policy works which nobody tried.
func TestTroubleIsNoDenial(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	open := listen(t).Addr()
	tests := []struct {
		name string
		ctx  context.Context //nolint:containedctx // a row's input
		job  Job
	}{
		{"unknown protocol", t.Context(), at(t, "icmp", open)},
		{"no protocol", t.Context(), at(t, "", open)},
		{"cancelled", cancelled, at(t, TCP, open)},
		{"no resolv.conf", t.Context(), Job{Proto: TCP, Host: "db", Port: 1, Timeout: patient}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Do(tt.ctx, tt.job, noConf)
			if got.Result != Error || got.Result.Denied() || got.Detail == "" {
				t.Errorf("got %+v, want an error with its reason", got)
			}
		})
	}
}

func TestNameOf(t *testing.T) {
	t.Parallel()
	op := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}
	}
	tests := []struct {
		err    error
		want   Result
		denied bool
	}{
		{op(syscall.ECONNREFUSED), Refused, true},
		{op(syscall.ECONNRESET), Reset, true},
		{op(syscall.EPIPE), Reset, true},
		{io.EOF, Reset, true},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), Reset, true},
		{op(syscall.EHOSTUNREACH), Unreachable, true},
		{op(syscall.ENETUNREACH), Unreachable, true},
		{op(syscall.EPERM), Unreachable, true},
		{op(syscall.EACCES), Unreachable, true},
		{op(syscall.ETIMEDOUT), Timeout, true},
		{os.ErrDeadlineExceeded, Timeout, true},
		{context.DeadlineExceeded, Timeout, true},
		{context.Canceled, Error, false},
		{op(syscall.EMFILE), Error, false},
		{op(syscall.EADDRNOTAVAIL), Error, false},
		{errors.New("anything else"), Error, false},
	}
	for r, want := range map[Result]bool{OK: true, NXDomain: true, DNSFailed: true, NotHTTP: true, Refused: true, Error: false, "": false, "odd": false} {
		if r.Named() != want {
			t.Errorf("%q is named: %t", r, r.Named())
		}
	}
	for _, tt := range tests {
		if got := nameOf(tt.err); got != tt.want || got.Denied() != tt.denied {
			t.Errorf("%v is %s (denied %t), want %s (denied %t)", tt.err, got, got.Denied(), tt.want, tt.denied)
		}
	}
}

// The port is the one that was asked for, or another where that is taken.
func TestFromAPort(t *testing.T) {
	t.Parallel()
	taken, server := listen(t), listen(t)
	free := listen(t)
	_ = free.Close()
	from := func(l net.Listener) int {
		j := at(t, TCP, server.Addr())
		j.From = l.Addr().(*net.TCPAddr).Port
		if got := Do(t.Context(), j, noConf); got.Result != OK {
			t.Fatalf("from port %d: %+v", j.From, got)
		}
		conn, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.RemoteAddr().(*net.TCPAddr).Port - j.From
	}
	if off := from(free); off < 0 || off > 3 { // another test may have taken it meanwhile
		t.Errorf("dialled from %d ports off", off)
	}
	if off := from(taken); off == 0 {
		t.Error("dialled from a port that is taken")
	}
}
