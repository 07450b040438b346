package dial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
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

// domain is the cluster's own, as the search list tells it: what follows svc. It is "" where a pod does not use the
// cluster's DNS.
func (r resolver) domain() string {
	for _, s := range r.search {
		if d, ok := strings.CutPrefix(strings.Trim(s, "."), "svc."); ok {
			return d
		}
	}
	return ""
}

// inside keeps the names of the cluster's own domain. The others are passed on to a server that a laptop without a
// network does not reach, and its silence says nothing of the cluster.
func (r resolver) inside(names []string) []string {
	d := r.domain()
	if d == "" {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.HasSuffix(n, "."+d+".") })
}

// records is what a name leads to.
type records struct {
	addresses []netip.Addr
	cname     string
}

// lookup asks for the IPv4 addresses of a job's host, or for its alias. The Go resolver cannot be used: it reads this
// process's resolv.conf and dials on goroutines of its own.
func lookup(ctx context.Context, j Job, conf string) (records, Result, error) {
	r := parseResolvConf(conf)
	list := r.names(j.Host)
	switch {
	case j.Server != "":
		r.servers = []string{j.Server}
		list = []string{strings.TrimSuffix(j.Host, ".") + "."}
	case j.Inside:
		list = r.inside(list)
	}
	if len(r.servers) == 0 {
		return records{}, Error, errors.New("resolv.conf names no nameserver")
	}
	kind := dnsmessage.TypeA
	if j.Record == "CNAME" {
		kind = dnsmessage.TypeCNAME
	}
	for _, full := range list {
		found, result, err := ask(ctx, full, kind, r.servers[0])
		if result != NXDomain {
			return found, result, err
		}
	}
	return records{}, NXDomain, fmt.Errorf("no such name: %s", j.Host)
}

// maxAnswer is what a server may put into one packet: without being told, it would cut the addresses off after 512
// bytes.
const maxAnswer = 4096

// ask sends one question over UDP. An answer without what was asked for is NXDomain: the name leads nowhere.
func ask(ctx context.Context, name string, kind dnsmessage.Type, server string) (records, Result, error) {
	qname, err := dnsmessage.NewName(name)
	if err != nil {
		return records{}, NXDomain, fmt.Errorf("asking for %q: %w", name, err)
	}
	id := uint16(rand.Uint32())
	var size dnsmessage.ResourceHeader
	if err := size.SetEDNS0(maxAnswer, dnsmessage.RCodeSuccess, false); err != nil {
		return records{}, Error, fmt.Errorf("asking for %q: %w", name, err)
	}
	msg := dnsmessage.Message{
		Header:      dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions:   []dnsmessage.Question{{Name: qname, Type: kind, Class: dnsmessage.ClassINET}},
		Additionals: []dnsmessage.Resource{{Header: size, Body: &dnsmessage.OPTResource{}}},
	}
	query, err := msg.Pack()
	if err != nil {
		return records{}, Error, fmt.Errorf("asking for %q: %w", name, err)
	}
	reply, err := exchange(ctx, net.JoinHostPort(server, "53"), query, id)
	if err != nil {
		return records{}, dnsResult(nameOf(err)), fmt.Errorf("asking %s for %s: %w", server, name, err)
	}
	switch reply.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return records{}, NXDomain, fmt.Errorf("%s: no such name", name)
	case dnsmessage.RCodeRefused:
		return records{}, DNSRefused, fmt.Errorf("%s answered %s for %s", server, reply.RCode, name)
	default:
		return records{}, DNSFailed, fmt.Errorf("%s answered %s for %s", server, reply.RCode, name)
	}
	var found records
	for _, a := range reply.Answers {
		switch body := a.Body.(type) {
		case *dnsmessage.AResource:
			found.addresses = append(found.addresses, netip.AddrFrom4(body.A))
		case *dnsmessage.CNAMEResource:
			found.cname = strings.TrimSuffix(body.CNAME.String(), ".")
		}
	}
	switch {
	case kind == dnsmessage.TypeCNAME && found.cname == "":
		return found, NXDomain, fmt.Errorf("%s is no alias", name)
	case kind == dnsmessage.TypeA && len(found.addresses) == 0:
		return found, NXDomain, fmt.Errorf("%s has no IPv4 address", name)
	}
	return found, OK, nil
}

func exchange(ctx context.Context, server string, query []byte, id uint16) (dnsmessage.Message, error) {
	var reply dnsmessage.Message
	conn, err := dialOne(ctx, "udp", server, nil)
	if err != nil {
		return reply, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(query); err != nil {
		return reply, err
	}
	buf := make([]byte, maxAnswer)
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
