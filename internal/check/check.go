// Package check is the vocabulary that labs are graded with: each kind of check
// is a small type over client-go that looks at a cluster and says yes, no, not
// yet, or that it could not tell.
package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
)

// A Kind is one word of the vocabulary, as lab.yaml writes it.
type Kind interface {
	Name() string
	// Doc is its paragraph in the reference of lab.yaml.
	Doc() Doc
	// Compile reads the parameters strictly. It must not touch a cluster.
	Compile(s Scope, params lab.Node) (Check, lab.Problems)
}

// A Doc explains a kind to those who write labs.
type Doc struct {
	Text    string // what it asks, when to use it, and what to mind, in a few sentences
	Example string // one or more checks in YAML, as they stand under a task's checks
	// Params is a zero value of the struct that the parameters decode into. Its `yaml` tags name the keys, its `doc`
	// tags explain them: reference and schema are made from them.
	Params any
}

// A Scope is where a check stands: what its parameters may leave out, and the
// kinds it may nest.
type Scope struct {
	Namespace  string   // the lab's first
	Namespaces []string // all of the lab's
	Task       string   // the id of the task that asks; "" in safeguards
	Kinds      Registry
	Touches    []lab.Ref // what outside its namespaces the lab is about
	// Files reads a file of the lab, by its path in the lab's folder; nil where there is no folder.
	Files func(path string) ([]byte, error)
}

// ScopeOf is the scope of a lab's checks.
func ScopeOf(l *lab.Lab) Scope {
	s := Scope{Namespaces: l.Namespaces, Touches: l.Touches, Files: func(path string) ([]byte, error) { return file(l, path) }}
	if len(l.Namespaces) > 0 {
		s.Namespace = l.Namespaces[0]
	}
	return s
}

// file reads one file of a lab.
func file(l *lab.Lab, path string) ([]byte, error) {
	files, err := l.Files(path)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 || files[0].Path != path {
		return nil, fmt.Errorf("expected one file at %s, found a folder", path)
	}
	return []byte(files[0].Content), nil
}

// A Check is one question. Run returns nil for yes, a *Failure for no or not
// yet, a *Passing when it cannot tell yet, and any other error when it could
// not tell.
type Check interface {
	Run(ctx context.Context, c *Cluster) error
	// Objects declares what the check reads, so that watching it is exact.
	Objects() []Dependency
	// Changes tells whether running it changes the learner's cluster. Such a
	// check runs alone, and only when the learner asked for a grade.
	Changes() bool
}

// Marks tells whether running a check may change what no object shows, such as a file in a container. A check that
// changes the cluster is taken to, unless a method Marks of its own says no.
func Marks(c Check) bool {
	m, known := c.(interface{ Marks() bool })
	return c.Changes() && (!known || m.Marks())
}

// A Dependency is a set of objects; an empty name or selector means all.
type Dependency struct {
	Resource                  schema.GroupVersionResource
	Namespace, Name, Selector string
}

// A Failure is a no from the cluster.
type Failure struct {
	Is       string   // what is, in the learner's object names
	Want     string   // what was wanted; never how to get there
	Look     string   // the kubectl command that shows the evidence
	More     []string // lines such as the rows of a table
	Settling bool     // the cluster is still on its way

	certain bool // the API's objects explain it: nothing is left that could come right by itself but a workload on its way
	// unexplained is whether packets are denied, and the API's objects tell no reason.
	unexplained bool
}

// Passing is trouble that goes by itself within seconds: nothing could be told, and whoever looks again soon can tell.
type Passing struct{ Err error }

func (p *Passing) Error() string { return p.Err.Error() }

// Unwrap returns the trouble.
func (p *Passing) Unwrap() error { return p.Err }

func (f *Failure) Error() string {
	if f.Want == "" {
		return f.Is
	}
	return f.Is + ", want " + f.Want
}

// A Prober sends packets; probe.Session is one.
type Prober interface {
	Probe(ctx context.Context, jobs []probe.Job) []probe.Outcome
}

// Clients are the ways of one identity to the API server.
type Clients struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	Config  *rest.Config // for streams into containers
	Clock   *Clock       // the API server's, of which objects have their timestamps
}

// Cluster is what checks may use of a cluster.
type Cluster struct {
	Clients // the grader's identity: it can look, and not change
	// Owner is the identity of the learner's kubeconfig. Checks that change the cluster use it, and dry runs.
	Owner  Clients
	Mapper meta.ResettableRESTMapper
	Prober Prober

	// Quick makes a check look once: a wrong outcome that might still come right by itself is a Failure that is
	// settling, and the caller looks again. Watching grades so; a check that was asked for waits instead.
	Quick bool
	// Baseline is the cluster as the lab handed it to the learner. It is nil where nothing was recorded.
	Baseline Baseline
	// Answer returns what the learner wrote for a task; ok is false when that is nothing yet.
	Answer func(task string) (text string, ok bool)
}

// A Baseline holds the lab's objects as they were before the learner began.
type Baseline interface {
	// Object returns the object as it was, or nil when it was not there.
	Object(resource schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured
}

// Connect makes the clients of one identity, which is the owner and the grader at once. The Prober is the caller's to
// add.
func Connect(cfg *rest.Config) (*Cluster, error) {
	owner, err := NewClients(cfg)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(owner.Kube.Discovery()))
	return &Cluster{Clients: owner, Owner: owner, Mapper: mapper}, nil
}

// NewClients makes the clients of the identity that cfg has.
func NewClients(cfg *rest.Config) (Clients, error) {
	cfg = rest.CopyConfig(cfg)
	// The server's own priority and fairness protect it; client-go's five
	// requests a second would only make learners wait.
	cfg.QPS = -1
	// What is deprecated in the API is nothing to tell a learner in the middle of a grade.
	cfg.WarningHandler = rest.NoWarnings{}
	config, clock := rest.CopyConfig(cfg), &Clock{}
	cfg.Wrap(clock.listen)
	binary := rest.CopyConfig(cfg) // it costs both sides half of what JSON does
	binary.ContentType = runtime.ContentTypeProtobuf
	binary.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	kube, err := kubernetes.NewForConfig(binary)
	if err != nil {
		return Clients{}, fmt.Errorf("making a client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return Clients{}, fmt.Errorf("making a client: %w", err)
	}
	return Clients{Kube: kube, Dynamic: dyn, Config: config, Clock: clock}, nil
}

// Registry is the kinds by name. It validates labs for package lab.
type Registry map[string]Kind

// Builtin returns the kinds that kindlab has.
func Builtin() Registry {
	r := Registry{}
	dialect := newDialect()
	r.Add(objectKind{dialect}, rolloutKind{}, reachKind{}, httpKind{}, survivesKind{})
	r.Add(canKind{}, admitKind{}, unchangedKind{}, answerKind{dialect}, goKind{}, resolveKind{}, execKind{}, logsKind{}, nodeKind{})
	r.Add(compoundKind{"all"}, compoundKind{"any"}, compoundKind{"none"})
	return r
}

// Add registers kinds. A later one replaces an earlier one of that name.
func (r Registry) Add(kinds ...Kind) {
	for _, k := range kinds {
		r[k.Name()] = k
	}
}

// Validate compiles a check only for its problems.
func (r Registry) Validate(l *lab.Lab, c lab.Check) lab.Problems {
	s := ScopeOf(l)
	for _, t := range l.Tasks {
		if slices.Contains(t.Checks, c) {
			s.Task = t.ID
		}
	}
	_, problems := r.Compile(s, c)
	return problems
}

// Compile makes a check runnable.
func (r Registry) Compile(s Scope, c lab.Check) (Check, lab.Problems) {
	k, ok := r[c.Kind]
	if !ok {
		return nil, lab.Problems{c.Params.Problem("unknown kind of check %q, expected one of %s",
			c.Kind, strings.Join(slices.Sorted(maps.Keys(r)), ", "))}
	}
	s.Kinds = r
	return k.Compile(s, c.Params)
}
