package check

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// httpKind asks a URL, from a pod or from outside through every node, and which
// pods answered. The body of the answer must be the pod's name, as agnhost
// netexec writes it at /hostname, when by is given.
//
//	http: {from: {pods: app=till}, url: "http://bread/hostname", by: {pods: "app=oven"}, every: true}
//	http: {outside: true, url: "http://{node}:32080/hostname"}
type httpKind struct{}

func (httpKind) Name() string { return "http" }

// Doc explains the kind.
func (httpKind) Doc() Doc { return Doc{Text: "Asks a URL, and which pods answered."} }

const nodePlace = "{node}"

func (httpKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p struct {
		From    *podSet `yaml:"from"`
		Outside bool    `yaml:"outside"`
		URL     string  `yaml:"url,required"`
		Status  int     `yaml:"status"` // 200 unless told
		By      *podSet `yaml:"by"`     // only these pods may answer
		Every   bool    `yaml:"every"`  // and each of them has to
	}
	problems := n.Decode(&p)
	h := httpCheck{from: p.From, outside: p.Outside, url: p.URL, status: p.Status, by: p.By, every: p.Every}
	if h.status == 0 {
		h.status = 200
	}
	if (p.From == nil) == !p.Outside {
		problems = append(problems, n.Problem("expected either from or outside: true"))
	}
	if p.Outside != strings.Contains(p.URL, nodePlace) {
		problems = append(problems, n.Field("url").Problem("expected %s in the URL exactly when it is asked from outside", nodePlace))
	}
	if p.Every && p.By == nil {
		problems = append(problems, n.Field("every").Problem("expected by: every one of which pods?"))
	}
	for key, set := range map[string]*podSet{"from": p.From, "by": p.By} {
		if set != nil {
			problems = append(problems, set.compile(s, n.Field(key))...)
		}
	}
	u, err := url.Parse(strings.Replace(p.URL, nodePlace, "node", 1))
	if p.URL != "" && (err != nil || u.Scheme != "http" || u.Hostname() == "") {
		problems = append(problems, n.Field("url").Problem("expected a URL such as http://web/hostname, found %q", p.URL))
		return h, problems
	}
	if err == nil && u != nil {
		h.host, h.path, h.port = u.Hostname(), u.RequestURI(), 80
		if text := u.Port(); text != "" {
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil || port == 0 {
				problems = append(problems, n.Field("url").Problem("expected a port from 1 to 65535, found %s", text))
			}
			h.port = int(port)
		}
	}
	h.namespace = s.Namespace
	if h.from != nil {
		h.namespace = h.from.Namespace
	}
	if !h.outside {
		h.name(s)
	}
	return h, problems
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
	from, by   *podSet
	outside    bool
	url        string
	host, path string
	port       int
	status     int
	every      bool
	// The Service that the URL's host names, for following the chain behind it.
	service, namespace string
	replica            string // the pod's part of a name such as web-0.web
}

func (httpCheck) Changes() bool { return false }

func (h httpCheck) Objects() []Dependency {
	ns := h.namespace
	deps := []Dependency{{Resource: services, Namespace: ns}, {Resource: endpointSlices, Namespace: ns}, {Resource: policies, Namespace: ns}}
	for _, set := range []*podSet{h.from, h.by} {
		if set != nil {
			deps = append(deps, set.object())
		}
	}
	return deps
}

// origin is where requests leave from, in words and as the start of a job.
type origin struct {
	name string
	job  probe.Job
}

func (h httpCheck) Run(ctx context.Context, c *Cluster) error {
	answerers, err := h.answerers(ctx, c)
	if err != nil {
		return err
	}
	origins, clients, err := h.origins(ctx, c)
	if err != nil {
		return err
	}
	jobs, owners := h.requests(origins, max(6, 12*len(answerers)))
	start, patience := time.Now(), c.patience(ctx, h.Objects(), clients)
	for {
		worst, err := h.judge(ctx, c, c.Prober.Probe(ctx, jobs), owners, answerers)
		_, no := errors.AsType[*Failure](err)
		switch {
		case err == nil && h.by != nil && time.Since(c.lastChange(ctx, h.Objects())) < calm && !h.leadsOnlyTo(ctx, c, answerers):
			// A pod that must not answer may be on its way into the rules.
		case !no || time.Since(start) > patience(worst):
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(probe.Interval):
		}
	}
}

// requests are n from each origin: so many that a pod which gets its share is
// hardly ever missed. They are judged together, because a balanced request that
// is repeated until the right pod answers would hide the wrong ones.
func (h httpCheck) requests(origins []origin, n int) (jobs []probe.Job, owners []origin) {
	for _, o := range origins {
		for range n {
			j := o.job
			j.Proto, j.Port, j.Path, j.Timeout = dial.HTTP, h.port, h.path, allowTimeout
			jobs, owners = append(jobs, j), append(owners, o)
		}
	}
	return jobs, owners
}

// judge returns the outcome that was wrong beside its explanation.
func (h httpCheck) judge(ctx context.Context, c *Cluster, out []probe.Outcome, owners []origin, answerers []string) (probe.Outcome, error) {
	seen := map[string]bool{}
	for i, o := range out {
		switch {
		case h.right(o, answerers):
			seen[o.Body] = true
		case o.Result == dial.Error:
			return o, fmt.Errorf("asking %s %s: %s", h.url, owners[i].name, o.Detail)
		default:
			return o, h.failure(ctx, c, owners[i], o)
		}
	}
	if !h.every {
		return probe.Outcome{}, nil
	}
	for _, name := range answerers {
		if !seen[name] {
			return probe.Outcome{}, &Failure{
				Is:   fmt.Sprintf("pod %s never answers at %s", name, h.url),
				Want: "an answer from each of " + strings.Join(answerers, ", "), Look: h.look(),
			}
		}
	}
	return probe.Outcome{}, nil
}

func (h httpCheck) right(o probe.Outcome, answerers []string) bool {
	return o.Result == dial.OK && o.Status == h.status && (h.by == nil || slices.Contains(answerers, o.Body))
}

func (h httpCheck) answerers(ctx context.Context, c *Cluster) ([]string, error) {
	if h.by == nil {
		return nil, nil
	}
	found, err := h.by.running(ctx, c)
	if err != nil {
		return nil, err
	}
	names := readyNames(found)
	if len(names) == 0 {
		return nil, &Failure{Is: fmt.Sprintf("no pod with labels %s is ready", h.by.Pods), Look: h.by.look(), Settling: true}
	}
	return names, nil
}

func readyNames(all []corev1.Pod) []string {
	var names []string
	for i := range all {
		if podReady(&all[i]) {
			names = append(names, all[i].Name)
		}
	}
	return names
}

func (h httpCheck) origins(ctx context.Context, c *Cluster) (list []origin, clients []corev1.Pod, err error) {
	if h.outside {
		list, err = h.outsiders(ctx, c)
		return list, nil, err
	}
	if clients, err = h.from.running(ctx, c); err != nil {
		return nil, nil, err
	}
	for _, p := range clients {
		list = append(list, origin{"from pod " + p.Name, probe.Job{PodIP: p.Status.PodIP, Node: p.Spec.NodeName, Host: h.host}})
	}
	return list, clients, nil
}

// kubeletPort answers on every node: a host that cannot connect to it has no
// route, and its silence says nothing about a Service.
const kubeletPort = 10250

// outsiders asks every node from this host. Where the host has no route to the
// nodes (engines in a virtual machine), a neighbouring node asks instead: to
// the node it is just as much a stranger from the network.
func (h httpCheck) outsiders(ctx context.Context, c *Cluster) ([]origin, error) {
	nodes, err := c.Prober.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	jobs := make([]probe.Job, len(nodes))
	for i, n := range nodes {
		jobs[i] = probe.Job{Proto: dial.TCP, Host: n.IPv4, Port: kubeletPort, Timeout: allowTimeout}
	}
	var list []origin
	for i, o := range c.Prober.Probe(ctx, jobs) {
		job := probe.Job{Host: nodes[i].IPv4}
		name := "through node " + nodes[i].Name
		if o.Result != dial.OK {
			if len(nodes) == 1 {
				return nil, fmt.Errorf("this host has no route to node %s (%s), and there is no second node to ask from", nodes[i].Name, nodes[i].IPv4)
			}
			job.Node = nodes[(i+1)%len(nodes)].Name
		}
		list = append(list, origin{name, job})
	}
	return list, nil
}

// failure explains one wrong answer.
func (h httpCheck) failure(ctx context.Context, c *Cluster, from origin, o probe.Outcome) error {
	f := &Failure{Want: fmt.Sprintf("status %d", h.status), Look: h.look()}
	switch {
	case o.Result != dial.OK:
		f.Is = fmt.Sprintf("%s does not answer %s (%s)", h.url, from.name, o.Result)
		f.More = []string{o.Detail}
	case o.Status != h.status:
		f.Is = fmt.Sprintf("%s answers %s with status %d", h.url, from.name, o.Status)
	default:
		f.Is = fmt.Sprintf("%s is answered by %s", h.url, o.Body)
		f.Want = fmt.Sprintf("only pods with labels %s", h.by.Pods)
	}
	if o.Result == dial.OK {
		return f
	}
	why, err := h.trail(ctx, c)
	if err != nil {
		return err
	}
	if why != "" {
		f.Is += ": " + why
	}
	return f
}

func (h httpCheck) look() string {
	return fmt.Sprintf("kubectl -n %s get services,endpointslices -o wide", h.namespace)
}
