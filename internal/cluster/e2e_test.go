//go:build e2e

package cluster

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// childEnv tells the test binary to run one Up and nothing else, as a process that a test can kill.
const childEnv = "KINDLAB_E2E_CHILD_STATE"

func TestMain(m *testing.M) {
	if state := os.Getenv(childEnv); state != "" {
		if err := childUp(state); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childUp(state string) error {
	e, err := engine.Find(context.Background(), engine.Options{StateDir: state})
	if err != nil {
		return err
	}
	if err := e.Activate(os.Setenv); err != nil {
		return err
	}
	_, err = NewManager(e, state, nil, time.Now).Up(context.Background(),
		Options{Name: os.Getenv("KINDLAB_E2E_CHILD_NAME"), Nodes: 1, Image: os.Getenv("KINDLAB_E2E_IMAGE")})
	return err
}

// logged shows steps in the test's log, with their time.
type logged struct{ t *testing.T }

func (l logged) Start(name string) func(error, string) {
	start := time.Now()
	return func(err error, note string) {
		l.t.Logf("%5.1fs %s %s %v", time.Since(start).Seconds(), name, note, err)
	}
}

// manager returns a manager with a state folder of its own, and removes the named clusters when the test ends.
func manager(t *testing.T, names ...string) (*Manager, string) {
	t.Helper()
	if os.Getenv("KINDLAB_E2E_IMAGE") == "" {
		t.Fatal("KINDLAB_E2E_IMAGE must name a node image")
	}
	state := t.TempDir()
	e, err := engine.Find(t.Context(), engine.Options{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Activate(func(k, v string) error { t.Setenv(k, v); return nil }); err != nil {
		t.Fatal(err)
	}
	m := NewManager(e, state, logged{t}, time.Now)
	t.Cleanup(func() {
		for _, name := range names {
			if err := m.discard(context.Background(), name, 3); err != nil {
				t.Error(err)
			}
		}
	})
	return m, state
}

func up(t *testing.T, m *Manager, name string, nodes int) *Cluster {
	t.Helper()
	c, err := m.Up(t.Context(), Options{Name: name, Nodes: nodes, Image: os.Getenv("KINDLAB_E2E_IMAGE")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// nothingLeft checks that neither containers nor volumes nor records remain.
func nothingLeft(t *testing.T, m *Manager, name string) {
	t.Helper()
	boxes, err := m.containers(context.Background(), name)
	if err != nil || len(boxes) != 0 {
		t.Errorf("containers left: %v, %v", boxes, err)
	}
	if m.engine.Name() == "podman" {
		for _, node := range nodeNames(name, 3) {
			if out, err := m.engine.Run(context.Background(), "volume", "ls", "-q", "--filter", "label="+node); err != nil || out != "" {
				t.Errorf("volumes of %s left: %q, %v", node, out, err)
			}
		}
	}
	if _, err := os.Stat(m.path(name, "")); !os.IsNotExist(err) {
		t.Errorf("record left: %v", err)
	}
}

func TestClusterLife(t *testing.T) {
	const name = "a-life"
	home := t.TempDir()
	usual := filepath.Join(home, "config")
	t.Setenv("KUBECONFIG", usual)
	m, _ := manager(t, name)

	c := up(t, m, name, 2)
	if info, err := os.Stat(c.Kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig is %v, %v; want 0600", info.Mode(), err)
	}
	if _, err := os.Stat(usual); !os.IsNotExist(err) {
		t.Errorf("the user's kubeconfig was touched: %v", err)
	}
	kube, err := c.kube()
	if err != nil {
		t.Fatal(err)
	}

	t.Run("again", func(t *testing.T) {
		start := time.Now()
		if again := up(t, m, name, 2); again.Kubeconfig != c.Kubeconfig {
			t.Errorf("a second up returned %+v", again)
		}
		t.Logf("idempotent up took %s", time.Since(start))
		if _, err := m.Up(t.Context(), Options{Name: name, Nodes: 3}); err == nil || !strings.Contains(err.Error(), "has 2 nodes, not 3") {
			t.Errorf("up with 3 nodes: %v", err)
		}
	})
	t.Run("nodes", func(t *testing.T) {
		nodes, err := c.Nodes(t.Context())
		if err != nil || len(nodes) != 2 {
			t.Fatalf("Nodes = %v, %v", nodes, err)
		}
		var out strings.Builder
		if err := nodes[1].Exec(t.Context(), strings.NewReader("hello"), &out, "cat"); err != nil || out.String() != "hello" {
			t.Errorf("Exec = %q, %v", out.String(), err)
		}
		if err := nodes[0].Exec(t.Context(), nil, nil, "ls", "/no-such"); err == nil || !strings.Contains(err.Error(), "/no-such") {
			t.Errorf("a failing command: %v", err)
		}
	})
	t.Run("images", func(t *testing.T) { loads(t, c) })
	t.Run("status", func(t *testing.T) {
		s, err := m.Status(t.Context(), name)
		if err != nil || len(s.Nodes) != 2 || !s.Nodes[0].Ready || s.Nodes[0].Version == "" || s.Phase != "ready" {
			t.Errorf("Status = %+v, %v", s, err)
		}
		for _, f := range s.Findings {
			if f.Level == Error {
				t.Errorf("finding %+v", f)
			}
		}
	})
	t.Run("nothing in kube-system takes what pods leave", func(t *testing.T) {
		pods, err := kube.CoreV1().Pods(metav1.NamespaceSystem).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) == 0 {
			t.Fatalf("%d pods, %v", len(pods.Items), err)
		}
		for _, p := range pods.Items {
			if p.DeletionTimestamp == nil && p.Status.QOSClass == corev1.PodQOSBestEffort {
				t.Errorf("pod %s asks for no processor", p.Name)
			}
		}
	})
	t.Run("foreign", func(t *testing.T) {
		stranger := NewManager(m.engine, t.TempDir(), nil, time.Now)
		_, upErr := stranger.Up(t.Context(), Options{Name: name, Image: "x"})
		_, openErr := stranger.Open(t.Context(), name)
		_, downErr := stranger.Down(t.Context(), name)
		for _, err := range []error{upErr, openErr, downErr} {
			if err == nil || !strings.Contains(err.Error(), "did not make") || remedy.Of(err) == "" {
				t.Errorf("another's cluster: %v", err)
			}
		}
	})
	t.Run("export", func(t *testing.T) {
		if err := m.ExportKubeconfig(t.Context(), name, usual); err != nil {
			t.Fatal(err)
		}
		if opened, err := OpenContext(t.Context(), usual, "kind-"+name); err != nil || opened.Kubeconfig != usual {
			t.Errorf("OpenContext = %+v, %v", opened, err)
		}
	})
	t.Run("reboot", func(t *testing.T) { reboot(t, m, name) })

	list, err := kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{LabelSelector: proofLabel})
	for _, ns := range list.Items {
		if ns.DeletionTimestamp == nil {
			t.Errorf("namespace %s of a proof was left, %v", ns.Name, err)
		}
		pods, err := kube.CoreV1().Pods(ns.Name).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 0 {
			t.Errorf("%d proof pods left, %v", len(pods.Items), err)
		}
	}
	for range 2 { // the second finds nothing to do
		if _, err := m.Down(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	nothingLeft(t, m, name)
	if data, err := os.ReadFile(usual); err != nil || strings.Contains(string(data), name) {
		t.Errorf("the exported kubeconfig still has the cluster: %s, %v", data, err)
	}
	if _, err := m.Open(t.Context(), name); err == nil || !strings.Contains(err.Error(), "there is no cluster") {
		t.Errorf("opening a removed cluster: %v", err)
	}
}

// reboot stops every node and brings the same cluster back, with what the learner put in it.
func reboot(t *testing.T, m *Manager, name string) {
	t.Helper()
	c, err := m.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	kube, err := c.kube()
	if err != nil {
		t.Fatal(err)
	}
	work := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "work"}, Data: map[string]string{"is": "mine"}}
	if _, err := kube.CoreV1().ConfigMaps("default").Create(t.Context(), work, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.engine.Run(t.Context(), append([]string{"stop", "--time=5"}, nodeNames(name, 2)...)...); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), name); err == nil || !strings.Contains(err.Error(), "is stopped") {
		t.Errorf("opening a stopped cluster: %v", err)
	}

	cfg, err := c.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", server.Host)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context(), Options{Name: name}); err == nil || !strings.Contains(err.Error(), "is taken") || remedy.Of(err) == "" {
		t.Errorf("up with its port taken: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}

	start := time.Now()
	up(t, m, name, 0)
	t.Logf("coming back took %s; make bench holds it to 20 s", time.Since(start))
	got, err := kube.CoreV1().ConfigMaps("default").Get(t.Context(), "work", metav1.GetOptions{})
	if err != nil || got.Data["is"] != "mine" {
		t.Errorf("the learner's work: %v, %v", got, err)
	}
}

// loads puts an image that no node has on all of them.
func loads(t *testing.T, c *Cluster) {
	t.Helper()
	const reference = "example.com/kindlab/loaded:1"
	image, err := random.Image(1<<10, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(archive, name.MustParseReference(reference), image); err != nil {
		t.Fatal(err)
	}
	if err := c.LoadImageArchive(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	nodes, err := c.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		var out strings.Builder
		if err := n.Exec(t.Context(), nil, &out, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet"); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), reference) {
			t.Errorf("node %s has not got the image:\n%s", n.Name(), &out)
		}
	}
	if err := c.LoadImageArchive(t.Context(), archive+".none"); err == nil || !strings.Contains(err.Error(), "image.tar.none") {
		t.Errorf("an archive that is not there: %v", err)
	}
}

func TestClusterSurvivesKill(t *testing.T) {
	const name = "a-kill"
	m, state := manager(t, name)
	// Killed once as the container appears and once as Kubernetes is being set up: the two halves of a creation.
	for _, sign := range []func() bool{
		func() bool { boxes, err := m.containers(t.Context(), name); return err == nil && len(boxes) > 0 },
		func() bool {
			_, err := m.engine.Run(t.Context(), "exec", name+"-control-plane", "test", "-e", "/etc/kubernetes/manifests/etcd.yaml")
			return err == nil
		},
	} {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+state, "KINDLAB_E2E_CHILD_NAME="+name)
		stderr := &bytes.Buffer{}
		child.Stderr = stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- child.Wait() }()
		waiting, stop := context.WithCancel(t.Context())
		err := until(waiting, "the child is half-way", func() error {
			select {
			case <-ended:
				stop()
			default:
			}
			if !sign() {
				return errors.New("not yet")
			}
			return nil
		})
		stop()
		if err != nil {
			t.Fatalf("the child ended before it could be killed: %s", stderr)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		if s, err := m.readState(name); err != nil || s == nil || s.Phase != creating {
			t.Fatalf("record after the kill: %+v, %v", s, err)
		}
	}
	c := up(t, m, name, 1)
	if err := c.reach(t.Context()); err != nil {
		t.Error(err)
	}
	if volumes, err := m.engine.Run(t.Context(), "volume", "ls", "-q", "--filter", "label="+name+"-control-plane"); err != nil ||
		m.engine.Name() == "podman" && len(strings.Fields(volumes)) != 1 {
		t.Errorf("volumes of the killed runs were left: %q, %v", volumes, err)
	}
	if m.engine.Name() == "podman" {
		work := leaveWork(t, c)
		killUnnoticed(t, m, name+"-control-plane")
		// The kernel takes a moment to end all that ran in it.
		gone := until(t.Context(), "the API server is gone", func() error {
			if c.reach(t.Context()) == nil {
				return errors.New("it answers still")
			}
			return nil
		})
		if gone != nil {
			t.Fatal(gone)
		}
		comesBack(t, m, name, "killed with its monitor", work)
		if _, err := m.engine.Run(t.Context(), "pause", name+"-control-plane"); err != nil {
			t.Fatal(err)
		}
		comesBack(t, m, name, "paused", work)
		interruptStop(t, m, name+"-control-plane")
		comesBack(t, m, name, "half stopped", work)
	}
	if _, err := m.Down(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, m, name)
}

// leaveWork puts something of the learner's on the cluster, and returns its UID.
func leaveWork(t *testing.T, c *Cluster) types.UID {
	t.Helper()
	kube, err := c.kube()
	if err != nil {
		t.Fatal(err)
	}
	made, err := kube.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "work"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made.UID
}

// comesBack brings a cluster up again after something was done to it, and looks whether the learner's work is there.
// Until then, status has to name the way that works.
func comesBack(t *testing.T, m *Manager, name, what string, work types.UID) {
	t.Helper()
	status, err := m.Status(t.Context(), name)
	if err != nil {
		t.Fatalf("%s: status: %v", what, err)
	}
	for _, f := range status.Findings {
		if f.Level == Error && !strings.Contains(f.Remedy, "kindlab up") {
			t.Errorf("%s: status finds %s, and names %q", what, f.What, f.Remedy)
		}
	}
	if _, err := m.Open(t.Context(), name); err == nil || !strings.Contains(remedy.Of(err), "kindlab up") {
		t.Errorf("%s: opening it: %v, and names %q", what, err, remedy.Of(err))
	}
	start := time.Now()
	kube, err := up(t, m, name, 0).kube()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: up took %s", what, time.Since(start))
	got, err := kube.CoreV1().ConfigMaps("default").Get(t.Context(), "work", metav1.GetOptions{})
	if err != nil || got.UID != work {
		t.Errorf("%s: the work is %v, %v", what, got.UID, err)
	}
}

// interruptStop kills the engine's command while it waits for a node to stop.
func interruptStop(t *testing.T, m *Manager, node string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := m.engine.Run(ctx, "stop", "--time", "60", node); ended <- err }()
	err := until(t.Context(), "the node is being stopped", func() error {
		out, err := m.engine.Run(t.Context(), "ps", "--all", "--filter", "name="+node, "--format", "{{.Status}}")
		if err == nil && !strings.HasPrefix(out, "Stopping") && !strings.HasPrefix(out, "Exited") {
			err = errors.New(out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
}

// killUnnoticed kills a node and the process that would tell the engine of it.
func killUnnoticed(t *testing.T, m *Manager, node string) {
	t.Helper()
	out, err := m.engine.Run(t.Context(), "inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", node)
	if err != nil {
		t.Fatal(err)
	}
	for field := range strings.FieldsSeq(out) { // the monitor first
		pid, err := strconv.Atoi(field)
		if err != nil || pid < 2 {
			t.Fatalf("the processes of %s are %q", node, out)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClusterCancelLeavesNothing(t *testing.T) {
	const name = "a-cancel"
	m, _ := manager(t, name)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := m.Up(ctx, Options{Name: name, Nodes: 1, Image: os.Getenv("KINDLAB_E2E_IMAGE")})
		done <- err
	}()
	if err := until(t.Context(), "a container exists", func() error {
		if boxes, err := m.containers(t.Context(), name); err != nil || len(boxes) == 0 {
			return errors.Join(err, errors.New("none yet"))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Up = %v, want it cancelled", err)
	}
	nothingLeft(t, m, name)
}

func TestClusterTwoUpsAtOnce(t *testing.T) {
	const name = "a-two"
	m, _ := manager(t, name)
	uids := make(chan string, 2)
	for range 2 {
		go func() {
			c, err := m.Up(t.Context(), Options{Name: name, Nodes: 1, Image: os.Getenv("KINDLAB_E2E_IMAGE")})
			if err != nil {
				uids <- err.Error()
				return
			}
			uids <- identity(t.Context(), c)
		}()
	}
	first, second := <-uids, <-uids
	if first != second || len(first) != 36 {
		t.Errorf("two ups made %q and %q, want one and the same cluster", first, second)
	}
	if _, err := m.Down(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, m, name)
}

func identity(ctx context.Context, c *Cluster) string {
	kube, err := c.kube()
	if err != nil {
		return err.Error()
	}
	ns, err := kube.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err.Error()
	}
	return string(ns.UID)
}

func TestClusterWithoutItsImage(t *testing.T) {
	m, _ := manager(t, "a-none")
	_, err := m.Up(t.Context(), Options{Name: "a-none", Image: "localhost/kindlab/no-such:image"})
	if err == nil || !strings.Contains(err.Error(), "is not on this machine") || !strings.Contains(remedy.Of(err), "image build") {
		t.Errorf("up without an image: %v", err)
	}
	nothingLeft(t, m, "a-none")
}
