package dial

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// zone is a DNS server on port 53 of a loopback address of its own: on Linux,
// all of 127.0.0.0/8 is there.
type zone struct {
	ip string

	mu    sync.Mutex
	asked []string
}

func (z *zone) questions() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

// answers serves names; reply may change a message before it is sent, and nil
// in place of reply sends none.
func answers(t *testing.T, ip string, names map[string]string, reply func(*dnsmessage.Message)) *zone {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip), Port: 53})
	if errors.Is(err, syscall.EACCES) {
		t.Skip("resolvers are asked on port 53, which this user may not open: run as root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	z := &zone{ip: ip}
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			name := m.Questions[0].Name.String()
			z.mu.Lock()
			z.asked = append(z.asked, name)
			z.mu.Unlock()
			m.Response = true
			if addr, ok := names[name]; ok {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 5},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()},
				}}
			} else {
				m.RCode = dnsmessage.RCodeNameError
			}
			if reply == nil {
				continue
			}
			reply(&m)
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteToUDPAddrPort(out, from)
			}
		}
	}()
	return z
}

func asIs(*dnsmessage.Message) {}

func TestDNS(t *testing.T) {
	t.Parallel()
	names := map[string]string{"db.shop.": "10.1.2.3"}
	tests := []struct {
		name, ip, host string
		reply          func(*dnsmessage.Message)
		want           Result
		addresses      []string
	}{
		{"found", "127.53.0.1", "db.shop", asIs, OK, []string{"10.1.2.3"}},
		{"no such name", "127.53.0.2", "dc.shop", asIs, NXDomain, nil},
		{"a name without an address", "127.53.0.3", "db.shop", func(m *dnsmessage.Message) { m.Answers = nil }, NXDomain, nil},
		{"the server fails", "127.53.0.4", "db.shop", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }, DNSFailed, nil},
		{"the server will not say", "127.53.0.8", "db.shop", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused }, DNSRefused, nil},
		{"the server is silent", "127.53.0.5", "db.shop", nil, DNSTimeout, nil},
		// A late answer to another question must not be taken for this one's.
		{"only strangers answer", "127.53.0.6", "db.shop", func(m *dnsmessage.Message) { m.ID++ }, DNSTimeout, nil},
		{"the question comes back", "127.53.0.7", "db.shop", func(m *dnsmessage.Message) { m.Response = false }, DNSTimeout, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			z := answers(t, tt.ip, names, tt.reply)
			j := Job{ID: 7, Proto: DNS, Host: tt.host, Server: z.ip, Timeout: patient}
			if tt.want == DNSTimeout {
				j.Timeout = brief
			}
			got := Do(t.Context(), j, noConf)
			if diff := cmp.Diff(tt.addresses, got.Addresses); got.Result != tt.want || diff != "" {
				t.Errorf("got %+v, want %s %s", got, tt.want, diff)
			}
		})
	}
}

func TestDNSWithoutAServer(t *testing.T) {
	t.Parallel()
	got := Do(t.Context(), Job{Proto: DNS, Host: "db.shop", Server: "127.53.0.99", Timeout: patient}, noConf)
	if got.Result != DNSRefused || !strings.Contains(got.Detail, "asking 127.53.0.99 for db.shop.") {
		t.Errorf("got %+v, want it refused, with the server's name", got)
	}
}

func TestDNSFollowsTheSearchList(t *testing.T) {
	t.Parallel()
	z := answers(t, "127.53.0.20", map[string]string{"db.svc.": "10.1.2.3"}, asIs)
	conf := func() (string, error) {
		return "nameserver " + z.ip + "\nsearch shop.svc svc\noptions ndots:5\n", nil
	}
	got := Do(t.Context(), Job{Proto: DNS, Host: "db", Timeout: patient}, conf)
	if diff := cmp.Diff([]string{"10.1.2.3"}, got.Addresses); got.Result != OK || diff != "" {
		t.Errorf("got %+v %s", got, diff)
	}
	if diff := cmp.Diff([]string{"db.shop.svc.", "db.svc."}, z.questions()); diff != "" {
		t.Error(diff)
	}
}

func TestANameIsLookedUpBeforeItIsDialled(t *testing.T) {
	t.Parallel()
	z := answers(t, "127.53.0.30", map[string]string{"web.": "127.0.0.1"}, asIs)
	conf := func() (string, error) { return "nameserver " + z.ip + "\n", nil }
	j := at(t, TCP, listen(t).Addr())
	j.Host = "web"
	if got := Do(t.Context(), j, conf); got.Result != OK {
		t.Errorf("got %+v, want ok", got)
	}
	j.Host = "wed"
	if got := Do(t.Context(), j, conf); got.Result != NXDomain || got.Result.Denied() {
		t.Errorf("got %+v, want a missing name, which is no denial", got)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	z := answers(t, "127.53.0.50", map[string]string{"bread.": "10.1.2.3"}, func(m *dnsmessage.Message) {
		if m.Questions[0].Type == dnsmessage.TypeCNAME && len(m.Answers) == 1 {
			m.Answers[0].Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("oven.example.")}
		}
	})
	got := Do(t.Context(), Job{Proto: DNS, Host: "bread", Record: "CNAME", Server: z.ip, Timeout: patient}, noConf)
	if got.Result != OK || got.CName != "oven.example" || got.Addresses != nil {
		t.Errorf("got %+v, want an alias", got)
	}
	if got := Do(t.Context(), Job{Proto: DNS, Host: "cake", Record: "CNAME", Server: z.ip, Timeout: patient}, noConf); got.Result != NXDomain {
		t.Errorf("got %+v, want no such name", got)
	}
}

// On a train, what is not the cluster's is passed on to a server that nobody reaches.
func TestInsideTheClustersDomain(t *testing.T) {
	t.Parallel()
	z := answers(t, "127.53.0.60", nil, func(m *dnsmessage.Message) {
		if !strings.HasSuffix(m.Questions[0].Name.String(), ".cluster.local.") {
			m.RCode = dnsmessage.RCodeServerFailure
		}
	})
	conf := func() (string, error) {
		return "nameserver " + z.ip + "\nsearch shop.svc.cluster.local svc.cluster.local cluster.local home\noptions ndots:5\n", nil
	}
	for inside, want := range map[bool]Result{false: DNSFailed, true: NXDomain} {
		if got := Do(t.Context(), Job{Proto: DNS, Host: "old", Inside: inside, Timeout: patient}, conf); got.Result != want {
			t.Errorf("inside %t: got %+v, want %s", inside, got, want)
		}
	}
}
