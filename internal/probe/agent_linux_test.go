package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// machine is a node whose commands run here, with a folder of its own in place
// of /var/lib/kindlab.
type machine struct {
	dir      string
	commands atomic.Int32
}

func (*machine) Name() string { return "n1" }

func (m *machine) Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error {
	m.commands.Add(1)
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "/var/lib/kindlab", m.dir)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	// Like a container engine, which ends with its command and not with its stdin.
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

func TestTheRealAgent(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "kindlab-agent")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/kindlab-dev/kindlab/cmd/kindlab-agent").CombinedOutput(); err != nil {
		t.Fatalf("building the agent: %v\n%s", err, out)
	}
	agent, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "web-0\n") }))
	t.Cleanup(srv.Close)
	gone, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()

	m := &machine{dir: t.TempDir()}
	session := func() *Session {
		s := open(t, m)
		s.agent = func() ([]byte, error) { return agent, nil }
		return s
	}
	local := func(p dial.Proto, a net.Addr) Job {
		to := netip.MustParseAddrPort(a.String())
		return Job{Node: "n1", Proto: p, Host: to.Addr().String(), Port: int(to.Port()), Path: "/hostname", Timeout: 10 * time.Second}
	}
	nobody := local(dial.TCP, srv.Listener.Addr())
	nobody.PodIP = "192.0.2.1"
	jobs := []Job{local(dial.TCP, srv.Listener.Addr()), local(dial.HTTP, srv.Listener.Addr()), local(dial.TCP, gone.Addr()), nobody}

	// The first session puts the agent there, in three commands; the next finds it.
	for _, commands := range []int32{3, 1} {
		m.commands.Store(0)
		s := session()
		for range 2 {
			out := s.Probe(t.Context(), jobs)
			if out[0].Result != dial.OK || out[1].Result != dial.OK || out[1].Body != "web-0" || out[2].Result != dial.Refused {
				t.Errorf("got %+v, want ok, ok from web-0, refused", out)
			}
			if o := out[3]; o.Result != dial.Error || !strings.Contains(o.Detail, "no pod with address 192.0.2.1") {
				t.Errorf("got %+v from a pod that is not there, want an error", o)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := m.commands.Load(); got != commands {
			t.Errorf("ran %d commands, want %d", got, commands)
		}
	}
	left, err := filepath.Glob(filepath.Join(m.dir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v on the node, want the agent alone (%v)", left, err)
	}
}
