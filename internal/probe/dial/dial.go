// Package dial makes one attempt to reach something and says what came of it.
// It is the part that the CLI (dialling from the host) and the agent (dialling
// from inside a pod's network namespace) share, so it must create every socket
// on the calling goroutine: that goroutine's thread may be in another namespace.
package dial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// A Proto is the way to knock.
type Proto string

// The protocols.
const (
	TCP  Proto = "tcp"
	UDP  Proto = "udp" // sends "hostname", as agnhost netexec answers; any answer counts
	HTTP Proto = "http"
	DNS  Proto = "dns" // a lookup of Host with the pod's own resolv.conf
)

// A Job is one attempt.
type Job struct {
	ID    int    `json:"id"`
	PodIP string `json:"podIP,omitempty"` // whose network namespace to dial from; "" is the node's own
	// PodUID is needed of pods on the host's network only: an address that many share does not tell whose resolv.conf.
	PodUID string `json:"podUID,omitempty"`
	Node   string `json:"node,omitempty"` // which node's agent does it; "" is this host, without an agent
	Proto  Proto  `json:"proto"`
	// Host is an IP literal, or a name that is looked up as the pod would.
	Host   string `json:"host"`
	Port   int    `json:"port,omitempty"`
	Path   string `json:"path,omitempty"`   // HTTP: path and query
	Server string `json:"server,omitempty"` // DNS: ask this address instead of resolv.conf's
	Record string `json:"record,omitempty"` // DNS: A (the default) or CNAME
	Inside bool   `json:"inside,omitempty"` // DNS: ask only for names in the cluster's own domain
	// From is the port to dial from over TCP, or the next one that is free; 0 is any. A node remembers for two minutes
	// (nf_conntrack_tcp_timeout_syn_sent) to which pod it sent a connection that nobody answered, and a new one from the
	// same port goes to that pod again, though it may be gone. So ports that were used a while ago only are free of that.
	From    int           `json:"from,omitempty"`
	Timeout time.Duration `json:"timeout"`
}

// A Result is the name of what happened.
type Result string

// The results. Error is the grader's own trouble and says nothing of the pod.
const (
	OK          Result = "ok"
	Refused     Result = "refused"
	Timeout     Result = "timeout"
	Unreachable Result = "unreachable"
	Reset       Result = "reset"
	NXDomain    Result = "dns-nxdomain"
	DNSTimeout  Result = "dns-timeout"
	DNSRefused  Result = "dns-refused"
	DNSFailed   Result = "dns-servfail" // the name server answered that it could not tell
	NotHTTP     Result = "not-http"     // something answered an HTTP request, in another language
	Error       Result = "error"
)

// Named tells whether it says something of the network: every result but Error, and those that nobody knows.
func (r Result) Named() bool {
	switch r {
	case OK, NXDomain, DNSFailed, NotHTTP:
		return true
	default:
		return r.Denied()
	}
}

// Denied tells whether the packet was turned away or swallowed. Policy engines
// do either: kube-router rejects, kindnet drops.
func (r Result) Denied() bool {
	switch r {
	case Refused, Timeout, Unreachable, Reset, DNSTimeout, DNSRefused:
		return true
	default:
		return false
	}
}

// An Outcome is what an attempt came to.
type Outcome struct {
	ID        int      `json:"id"`
	Result    Result   `json:"result"`
	Detail    string   `json:"detail,omitempty"` // for Error: the reason
	Status    int      `json:"status,omitempty"` // HTTP
	Body      string   `json:"body,omitempty"`   // HTTP and UDP: at most 4096 bytes
	Addresses []string `json:"addresses,omitempty"`
	CName     string   `json:"cname,omitempty"` // the name that the asked one is an alias of, without the last dot
}

const maxBody = 4096

// Do makes the attempt. resolvConf is the text of the resolver configuration
// that names are looked up with.
func Do(ctx context.Context, j Job, resolvConf func() (string, error)) Outcome {
	out := Outcome{ID: j.ID}
	ctx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()

	addr, err := netip.ParseAddr(j.Host)
	if err != nil || j.Proto == DNS {
		conf := ""
		if j.Server == "" {
			if conf, err = resolvConf(); err != nil {
				return out.failed(fmt.Errorf("reading resolv.conf: %w", err))
			}
		}
		found, result, err := lookup(ctx, j, conf)
		out.Result, out.CName = result, found.cname
		for _, a := range found.addresses {
			out.Addresses = append(out.Addresses, a.String())
		}
		if err != nil {
			out.Detail = err.Error()
		}
		if j.Proto == DNS || result != OK {
			return out
		}
		addr = found.addresses[0]
	}

	to := netip.AddrPortFrom(addr, uint16(j.Port)).String()
	switch j.Proto {
	case TCP:
		conn, err := dialFrom(ctx, j.From, to)
		if err != nil {
			return out.failed(err)
		}
		// The handshake is the answer; a linger would only cost a port.
		_ = conn.Close()
		out.Result = OK
		return out
	case UDP:
		return out.udp(ctx, to)
	case HTTP:
		return out.http(ctx, j, to)
	default:
		return out.failed(fmt.Errorf("unknown protocol %q", j.Proto))
	}
}

// dialFrom dials over TCP from a port, or from one of the next where a program of the pod holds it.
func dialFrom(ctx context.Context, port int, to string) (net.Conn, error) {
	for _, p := range []int{port, port + 1, port + 2, port + 3} {
		if port == 0 {
			break
		}
		conn, err := dialOne(ctx, "tcp", to, &net.TCPAddr{Port: p})
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return conn, err
		}
	}
	return dialOne(ctx, "tcp", to, nil)
}

// dialOne dials one literal address, which net does on this goroutine; with
// several it would race them on goroutines that are in another namespace.
func dialOne(ctx context.Context, network, to string, from net.Addr) (net.Conn, error) {
	d := net.Dialer{LocalAddr: from}
	conn, err := d.DialContext(ctx, network, to)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	return conn, nil
}

func (out Outcome) udp(ctx context.Context, to string) Outcome {
	conn, err := dialOne(ctx, "udp", to, nil)
	if err != nil {
		return out.failed(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("hostname\n")); err != nil {
		return out.failed(err)
	}
	buf := make([]byte, maxBody)
	n, err := conn.Read(buf)
	if err != nil {
		return out.failed(err)
	}
	out.Result, out.Body = OK, string(buf[:n])
	return out
}

// http speaks over one fresh connection: net/http's transport would dial on a
// goroutine of its own, and a kept connection outlives a new policy.
func (out Outcome) http(ctx context.Context, j Job, to string) Outcome {
	conn, err := dialFrom(ctx, j.From, to)
	if err != nil {
		return out.failed(err)
	}
	defer func() { _ = conn.Close() }()
	target, err := url.Parse("http://" + net.JoinHostPort(j.Host, fmt.Sprint(j.Port)) + j.Path)
	if err != nil {
		return out.failed(err)
	}
	req := (&http.Request{Method: http.MethodGet, URL: target, Host: target.Host, Header: http.Header{
		"User-Agent": {"kindlab"}, "Connection": {"close"},
	}}).WithContext(ctx)
	if err := req.Write(conn); err != nil {
		return out.failed(err)
	}
	answer := bufio.NewReader(conn)
	if first, err := answer.Peek(len("HTTP/")); string(first) != "HTTP/" && len(first) > 0 {
		return out.notHTTP(fmt.Errorf("the answer begins with %q", first))
	} else if err != nil {
		return out.failed(err)
	}
	resp, err := http.ReadResponse(answer, req)
	if err != nil {
		return out.notHTTP(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return out.notHTTP(err)
	}
	out.Result, out.Status, out.Body = OK, resp.StatusCode, strings.TrimSpace(string(body))
	return out
}

// notHTTP is for errors of reading what the other side said: one that is not the network's is about its language.
func (out Outcome) notHTTP(err error) Outcome {
	if out = out.failed(err); out.Result == Error {
		out.Result = NotHTTP
	}
	return out
}

// failed names an error. What it cannot name is Error, never a denial.
func (out Outcome) failed(err error) Outcome {
	out.Result, out.Detail = nameOf(err), err.Error()
	return out
}

func nameOf(err error) Result {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Reset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		// A local reject rule in the way out answers with EPERM or EACCES.
		return Unreachable
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return Timeout
	default:
		return Error
	}
}

// Hello is the first line that an agent writes.
const Hello = "kindlab-agent 2"

// OfDNS tells that a name was not found, so that nothing was dialled.
func (r Result) OfDNS() bool { return strings.HasPrefix(string(r), "dns-") }
