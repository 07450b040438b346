// Package cluster makes, resumes, proves and removes kind clusters that belong to kindlab, and opens existing ones.
// A cluster is kindlab's own when a state file records the engine's IDs of its node containers; everything else with
// the same name is somebody else's and is never changed. It is the only package that imports kind.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

// Steps shows progress: Start begins a step and the function it returns ends it.
type Steps interface {
	Start(name string) (end func(err error, note string))
}

// Options describe the cluster that Up is to bring about.
type Options struct {
	Name  string
	Nodes int    // control plane included; 0 takes what exists, or one
	Image string // node image, needed only when the cluster has to be made
	// EnsureImage, when set and Image is empty, is asked for the node image once it is certain that one is needed.
	EnsureImage func(ctx context.Context) (string, error)
}

// maxNodes keeps a typing error from filling the machine: a node takes about 1 GB of memory.
const maxNodes = 20

func (o Options) validate() error {
	if err := validName(o.Name); err != nil {
		return err
	}
	if o.Nodes < 0 || o.Nodes > maxNodes {
		return fmt.Errorf("%d nodes: want 1 to %d", o.Nodes, maxNodes)
	}
	return nil
}

// validName is kind's own rule, kept to the length that still fits a host name with "-control-plane" behind it.
func validName(name string) error {
	if !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`).MatchString(name) {
		return fmt.Errorf("cluster name %q: want at most 40 lower-case letters, digits and dashes, no dash at either end", name)
	}
	return nil
}

// Manager makes and finds clusters on one engine. It is safe for concurrent use, also by several processes.
type Manager struct {
	engine *engine.Engine
	dir    string // the folder of all clusters
	steps  Steps
	now    func() time.Time
}

// NewManager returns a manager that keeps its records under stateDir. The engine must have been activated in the
// process environment. Nil steps show nothing.
func NewManager(e *engine.Engine, stateDir string, steps Steps, now func() time.Time) *Manager {
	if steps == nil {
		steps = quiet{}
	}
	return &Manager{engine: e, dir: filepath.Join(stateDir, "clusters"), steps: steps, now: now}
}

type quiet struct{}

func (quiet) Start(string) func(error, string) { return func(error, string) {} }

// Cluster is a cluster that can be talked to.
type Cluster struct {
	Name       string
	Kubeconfig string // path of the file to reach it with
	Context    string // context within Kubeconfig, "" for the current one
	manager    *Manager
}

// RESTConfig is how clients reach the cluster. Client-side rate limits are off: a grade is one short burst of reads.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: c.Context},
	).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %q: %w", c.Name, err)
	}
	cfg.QPS = -1
	return cfg, nil
}

func (c *Cluster) kube() (kubernetes.Interface, error) {
	cfg, err := c.RESTConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

// Nodes are the nodes that commands can be run on, by name; none on a cluster that is not kindlab's own.
func (c *Cluster) Nodes(context.Context) ([]Node, error) {
	if c.manager == nil {
		return nil, nil
	}
	s, err := c.manager.readState(c.Name)
	if err != nil || s == nil {
		return nil, err
	}
	var nodes []Node
	for _, name := range slices.Sorted(maps.Keys(s.Containers)) {
		nodes = append(nodes, Node{name: name, id: s.Containers[name], cluster: c})
	}
	return nodes, nil
}

// Image is the node image that the cluster was made of; "" for one that is not kindlab's own.
func (c *Cluster) Image() (string, error) {
	if c.manager == nil {
		return "", nil
	}
	s, err := c.manager.readState(c.Name)
	if s == nil || err != nil {
		return "", err
	}
	return s.Image, nil
}

// LoadImageArchive loads the image tar at path into every node.
func (c *Cluster) LoadImageArchive(ctx context.Context, path string) error {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := n.load(ctx, path); err != nil {
			return fmt.Errorf("loading %s into node %s: %w", path, n.Name(), withOutput(err))
		}
	}
	return nil
}

// FindContext returns the kubeconfig file, of the user's usual ones, that has the named context. Its error names the files
// that cannot be read, for the context may stand in one of them.
func FindContext(name string) (file string, err error) {
	var unread []error
	for _, file := range clientcmd.NewDefaultClientConfigLoadingRules().Precedence {
		loaded, err := clientcmd.LoadFromFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			unread = append(unread, fmt.Errorf("reading the kubeconfig %s: %w", file, err))
		case loaded.Contexts[name] != nil:
			return file, nil
		}
	}
	missing := fmt.Errorf("no kubeconfig has a context %q", name)
	if len(unread) > 0 {
		return "", remedy.New(fmt.Errorf("%w, as far as they can be read: %w", missing, errors.Join(unread...)),
			"mend that file, or leave it out of KUBECONFIG")
	}
	return "", remedy.New(missing, "list them: kubectl config get-contexts")
}

// OpenContext opens an existing cluster through the named context of a kubeconfig file ("" for the user's usual ones).
func OpenContext(ctx context.Context, kubeconfig, name string) (*Cluster, error) {
	if kubeconfig == "" {
		found, err := FindContext(name)
		if err != nil {
			return nil, err
		}
		kubeconfig = found
	}
	loaded, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %s: %w", kubeconfig, err)
	}
	if loaded.Contexts[name] == nil {
		return nil, remedy.New(fmt.Errorf("the kubeconfig %s has no context %q", kubeconfig, name), "list them: kubectl config get-contexts")
	}
	c := &Cluster{Name: name, Kubeconfig: kubeconfig, Context: name}
	if err := c.reach(ctx); err != nil {
		return nil, remedy.New(err, "look at the cluster: kubectl --context "+name+" get nodes")
	}
	return c, nil
}

// reachTimeout is how long a running API server may take to answer one small request.
const reachTimeout = 5 * time.Second

// reachAs is nil when the API server answers and is that of the cluster with this identity.
func (c *Cluster) reachAs(ctx context.Context, kubeSystemUID string) error {
	kube, err := c.kube()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	system, err := kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the identity of cluster %q: %w", c.Name, err)
	}
	if kubeSystemUID == "" || string(system.UID) != kubeSystemUID {
		return fmt.Errorf("the API server behind %s is not known to be that of cluster %q", c.Kubeconfig, c.Name)
	}
	return nil
}

// reach asks the API server for a sign of life.
func (c *Cluster) reach(ctx context.Context) error {
	kube, err := c.kube()
	if err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if _, err := kube.CoreV1().RESTClient().Get().AbsPath("/readyz").DoRaw(asking); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %s", reachTimeout)
		}
		return fmt.Errorf("reaching the API server of cluster %q: %w", c.Name, err)
	}
	return nil
}
