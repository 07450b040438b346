package dial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver is the part of resolv.conf that lookups follow.
type resolver struct {
	servers []string
	search  []string
	ndots   int
}

func parseResolvConf(text string) resolver {
	r := resolver{ndots: 1}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search":
			r.search = f[1:]
		case "options":
			for _, o := range f[1:] {
				if n, ok := strings.CutPrefix(o, "ndots:"); ok {
					r.ndots, _ = strconv.Atoi(n)
				}
			}
		}
	}
	return r
}

// names lists what is asked for, in the order of the C library.
func (r resolver) names(name string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var list []string
	for _, s := range r.search {
		list = append(list, name+"."+strings.Trim(s, ".")+".")
	}
	if strings.Count(name, ".") >= r.ndots {
		return append([]string{name + "."}, list...)
	}
	return append(list, name+".")
}

// lookup asks for the IPv4 addresses of a name. The Go resolver cannot be used:
// it reads this process's resolv.conf and dials on goroutines of its own.
func lookup(ctx context.Context, name, server, conf string) ([]netip.Addr, Result, error) {
	r := parseResolvConf(conf)
	list := r.names(name)
	if server != "" {
		r.servers = []string{server}
		list = []string{strings.TrimSuffix(name, ".") + "."}
	}
	if len(r.servers) == 0 {
		return nil, Error, errors.New("resolv.conf names no nameserver")
	}
	for _, full := range list {
		found, result, err := ask(ctx, full, r.servers[0])
		if result != NXDomain {
			return found, result, err
		}
	}
	return nil, NXDomain, fmt.Errorf("no such name: %s", name)
}

// ask sends one question over UDP. An answer without addresses is NXDomain:
// the name leads nowhere.
func ask(ctx context.Context, name, server string) ([]netip.Addr, Result, error) {
	qname, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, NXDomain, fmt.Errorf("asking for %q: %w", name, err)
	}
	id := uint16(rand.Uint32())
	msg := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: qname, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	query, err := msg.Pack()
	if err != nil {
		return nil, Error, fmt.Errorf("asking for %q: %w", name, err)
	}
	reply, err := exchange(ctx, net.JoinHostPort(server, "53"), query, id)
	if err != nil {
		return nil, dnsResult(nameOf(err)), fmt.Errorf("asking %s for %s: %w", server, name, err)
	}
	switch reply.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return nil, NXDomain, fmt.Errorf("%s: no such name", name)
	default:
		return nil, DNSRefused, fmt.Errorf("%s answered %s for %s", server, reply.RCode, name)
	}
	var found []netip.Addr
	for _, a := range reply.Answers {
		if body, ok := a.Body.(*dnsmessage.AResource); ok {
			found = append(found, netip.AddrFrom4(body.A))
		}
	}
	if len(found) == 0 {
		return nil, NXDomain, fmt.Errorf("%s has no IPv4 address", name)
	}
	return found, OK, nil
}

func exchange(ctx context.Context, server string, query []byte, id uint16) (dnsmessage.Message, error) {
	var reply dnsmessage.Message
	conn, err := dialOne(ctx, "udp", server)
	if err != nil {
		return reply, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(query); err != nil {
		return reply, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return reply, err
		}
		// A stray or late answer is not ours.
		if err := reply.Unpack(buf[:n]); err == nil && reply.ID == id && reply.Response {
			return reply, nil
		}
	}
}

func dnsResult(r Result) Result {
	switch r {
	case Timeout:
		return DNSTimeout
	case Refused, Unreachable, Reset:
		return DNSRefused
	default:
		return r
	}
}
