package check

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// httpKind asks a URL, from a pod, from a node, or from outside through every node, and which pods answered. The body
// of the answer must be the pod's name, as agnhost netexec writes it at /hostname, when by or share is given.
type httpKind struct{}

func (httpKind) Name() string { return "http" }

// Doc explains the kind.
func (httpKind) Doc() Doc {
	return Doc{
		Text: `Asks a URL over and over, each time on a new connection, and looks at every answer: its status, its body,
and which pod it came from. A pod is known by its name in the body, which agnhost netexec writes at /hostname. Names
are looked up with the pod's own resolv.conf. From outside means from the learner's own computer, through every node.
With deny nobody may get an answer: the denial is tried twice, and believed only if the pods of by are ready and, from
outside, if the nodes themselves are reached. With share the pods of by are not needed: enough requests are made for
the band to mean something. With during the learner's workload is changed while requests go on, and none of them may fail;
such a check runs only when the learner asks for a grade.`,
		Example: `- http: {from: {pods: app=till}, url: "http://bread/hostname", by: {pods: "app=oven"}, every: true}
- http: {outside: true, url: "http://{node}:32080/", body: {contains: Welcome}}
- http: {from: {pods: app=till}, url: "http://bread/hostname", share: {of: {pods: track=canary}, between: [10, 30]}}
- http: {from: {pods: app=till}, url: "http://bread/", during: {restart: deployment/oven}}
`,
		Params: httpParams{},
	}
}

type httpParams struct {
	From    *asker  `yaml:"from" doc:"who asks: each running pod of a set, or a node"`
	Outside bool    `yaml:"outside" doc:"in place of from: the learner's computer asks, through every node"`
	URL     string  `yaml:"url,required" doc:"such as http://web/hostname; {node} stands for the address of each node"`
	Status  int     `yaml:"status" doc:"the status that every answer must have; 200 unless told"`
	Body    *words  `yaml:"body" doc:"what every answer's body must be like, within its first 4096 bytes"`
	By      *podSet `yaml:"by" doc:"the pods that may answer: no other one may"`
	Every   bool    `yaml:"every" doc:"each pod of by has to answer at least once"`
	Deny    bool    `yaml:"deny" doc:"nobody may get an answer; by names the pods that would give it"`
	Share   *share  `yaml:"share" doc:"how much of the answers must come from some of the pods"`
	During  *during `yaml:"during" doc:"a change during which every request must be answered"`
}

// asker is who asks: pods, or a node.
type asker struct {
	Pods      *string `yaml:"pods" doc:"label selector of the pods, such as app=web"`
	Namespace string  `yaml:"namespace" doc:"of the pods; the lab's first unless told"`
	Node      string  `yaml:"node" doc:"in place of pods: any, all, or a node's name"`
}

const nodePlace = "{node}"

func (httpKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p httpParams
	problems := n.Decode(&p)
	h := httpCheck{
		outside: p.Outside, url: p.URL, status: p.Status, by: p.By, every: p.Every, deny: p.Deny,
		share: p.Share, during: p.During, namespace: s.Namespace, about: focusOf(s.Touches), past: &past{},
	}
	if h.status == 0 {
		h.status = 200
	}
	problems = append(problems, h.who(s, n, p)...)
	problems = append(problems, p.contradictions(n)...)
	if p.Body != nil {
		var found lab.Problems
		h.body, found = p.Body.compile(n.Field("body"))
		problems = append(problems, found...)
	}
	if p.By != nil {
		problems = append(problems, p.By.compile(s, n.Field("by"))...)
	}
	if p.Share != nil {
		problems = append(problems, p.Share.compile(s, n.Field("share"))...)
	}
	if p.During != nil {
		problems = append(problems, p.During.compile(s, n.Field("during"))...)
	}
	problems = append(problems, h.where(s, n.Field("url"))...)
	return h, problems
}

// who reads who asks.
func (h *httpCheck) who(s Scope, n lab.Node, p httpParams) lab.Problems {
	if (p.From == nil) == !p.Outside {
		return lab.Problems{n.Problem("expected either from or outside: true")}
	}
	var problems lab.Problems
	if p.Outside || p.From.Node != "" {
		h.node = "all"
		if !p.Outside {
			h.node = p.From.Node
		}
	}
	if p.From != nil {
		switch from := n.Field("from"); {
		case (p.From.Pods == nil) == (p.From.Node == ""):
			problems = append(problems, from.Problem("expected either pods or node"))
		case p.From.Pods != nil:
			h.from = &podSet{Pods: *p.From.Pods, Namespace: p.From.Namespace}
			problems = append(problems, h.from.compile(s, from)...)
			h.namespace = h.from.Namespace
		}
	}
	if has := strings.Contains(p.URL, nodePlace); p.Outside && !has || h.from != nil && has {
		problems = append(problems, n.Field("url").Problem("expected %s in the URL exactly when it is asked from outside or from a node", nodePlace))
	}
	return problems
}

// contradictions are keys that do not go together.
func (p httpParams) contradictions(n lab.Node) lab.Problems {
	var problems lab.Problems
	if p.Every && p.By == nil {
		problems = append(problems, n.Field("every").Problem("expected by: every one of which pods?"))
	}
	if p.Deny && p.By == nil {
		problems = append(problems, n.Field("deny").Problem("expected by: without pods that would answer, silence proves nothing"))
	}
	if p.Deny && (p.Status != 0 || p.Body != nil || p.Every || p.Share != nil || p.During != nil) {
		problems = append(problems, n.Field("deny").Problem("expected no status, body, every, share or during of an answer that must not come"))
	}
	if p.Share != nil && p.During != nil {
		problems = append(problems, n.Field("share").Problem("expected either share or during"))
	}
	return problems
}

// where reads the URL.
func (h *httpCheck) where(s Scope, at lab.Node) lab.Problems {
	if h.url == "" {
		return nil
	}
	u, err := url.Parse(strings.Replace(h.url, nodePlace, "node", 1))
	if err != nil || u.Scheme != "http" || u.Hostname() == "" {
		return lab.Problems{at.Problem("expected a URL such as http://web/hostname, found %q", h.url)}
	}
	h.host, h.path, h.port = u.Hostname(), u.RequestURI(), 80
	h.everyNode = strings.Contains(h.url, nodePlace)
	if !h.everyNode {
		h.name(s)
	}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return lab.Problems{at.Problem("expected a port from 1 to 65535, found %s", text)}
		}
		h.port = int(port)
	}
	return nil
}

// name reads the host as a cluster's DNS does: service, service.namespace or
// pod.service, each with what may follow.
func (h *httpCheck) name(s Scope) {
	parts := strings.Split(h.host, ".")
	if i := slices.Index(parts, "svc"); i >= 2 {
		parts = parts[:i]
	}
	// What comes last is a namespace when the lab has one of that name.
	if last := len(parts) - 1; last > 0 && slices.Contains(s.Namespaces, parts[last]) {
		h.namespace, parts = parts[last], parts[:last]
	}
	h.service = parts[len(parts)-1]
	if len(parts) > 1 {
		h.replica = parts[0]
	}
}

type httpCheck struct {
	from, by  *podSet
	outside   bool
	node      string // which nodes ask: any, all or a name; "" when pods do
	everyNode bool   // whether the URL leads to each node
	url       string
	host      string
	path      string
	port      int
	status    int
	body      *matcher
	every     bool
	deny      bool
	share     *share
	during    *during
	// The Service that the URL's host names, for following the chain behind it.
	service, namespace string
	replica            string // the pod's part of a name such as web-0.web
	about              focus
	past               *past
	slow               bool // a request gets more time
}

func (h httpCheck) Changes() bool { return h.during != nil }

// Marks is false: pods are replaced by others.
func (httpCheck) Marks() bool { return false }

func (h httpCheck) Objects() []Dependency {
	ns := h.namespace
	deps := append(h.about.objects(), Dependency{Resource: services, Namespace: ns},
		Dependency{Resource: endpointSlices, Namespace: ns}, Dependency{Resource: policies, Namespace: ns})
	for _, set := range []*podSet{h.from, h.by} {
		if set != nil {
			deps = append(deps, set.object())
		}
	}
	if h.share != nil {
		deps = append(deps, h.share.Of.object())
	}
	if h.during != nil {
		deps = append(deps, h.during.object())
	}
	return deps
}

// nodeObjects is the resource of nodes.
func nodeObjects() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("nodes")
}

func (h httpCheck) look() string {
	return fmt.Sprintf("kubectl -n %s get services,endpointslices -o wide", h.namespace)
}
