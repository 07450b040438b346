package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// reachKind asks who may connect to what, as a truth table. Every running pod
// of a client tries every running pod of a target.
//
//	reach:
//	  clients: {frontend: {pods: app=frontend}}
//	  targets: {db: {pods: app=db, port: 5432}, names: {lookup: db.shop.svc.cluster.local}}
//	  expect: |
//	    from      db     names
//	    frontend  allow  allow
type reachKind struct{}

func (reachKind) Name() string { return "reach" }

// Doc explains the kind.
func (reachKind) Doc() Doc {
	return Doc{
		Text: `Asks who may connect to what, as a truth table of real connections. Every running pod of a client tries
every running pod of a target, all at once, from inside its own network namespace; nothing is added to the pod. A
cell is allow, deny or - (not asked). A denial is tried twice, and believed only when the target answers itself: a
server that is down denies nobody. UDP needs a server that answers any packet, as agnhost netexec does.`,
		Example: `- reach:
    clients: {frontend: {pods: app=frontend}, stranger: {pods: app=stranger, namespace: street}}
    targets: {db: {pods: app=db, port: 5432}, names: {lookup: db.shop.svc.cluster.local}}
    expect: |
      from      db     names
      frontend  allow  allow
      stranger  deny   -
`,
		Params: reachParams{},
	}
}

type reachParams struct {
	Clients map[string]podSet `yaml:"clients,required" doc:"who connects: pods, under names of your own"`
	Targets map[string]target `yaml:"targets,required" doc:"what is connected to, under names of your own"`
	Expect  tableText         `yaml:"expect,required" doc:"the table: a line with from and targets, then one line for each client"`
}

func (reachKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p reachParams
	problems := n.Decode(&p)
	r := reach{clients: map[string]podSet{}, targets: map[string]target{}, about: focusOf(s.Touches), past: &past{}}
	for _, name := range sortedKeys(p.Clients) {
		set := p.Clients[name]
		problems = append(problems, set.compile(s, n.Field("clients").Field(name))...)
		r.clients[name] = set
	}
	for _, name := range sortedKeys(p.Targets) {
		t, at := p.Targets[name], n.Field("targets").Field(name)
		problems = append(problems, t.compile(s, at)...)
		r.targets[name] = t
	}
	if p.Expect.text != "" {
		table, found := p.Expect.parse(sortedKeys(p.Clients), sortedKeys(p.Targets))
		r.table, problems = table, append(problems, found...)
	}
	return r, problems
}

type reach struct {
	clients map[string]podSet
	targets map[string]target
	table   table
	about   focus
	past    *past
}

func (reach) Changes() bool { return false }

func (r reach) Objects() []Dependency {
	deps := r.about.objects()
	seen := map[string]bool{}
	add := func(set podSet) {
		deps = append(deps, set.object())
		if !seen[set.Namespace] {
			seen[set.Namespace] = true
			// A policy may choose namespaces by their labels.
			deps = append(deps, Dependency{Resource: policies, Namespace: set.Namespace}, Dependency{Resource: namespaces(), Name: set.Namespace})
		}
	}
	for _, name := range sortedKeys(r.clients) {
		add(r.clients[name])
	}
	for _, name := range sortedKeys(r.targets) {
		add(r.targets[name].set())
	}
	return deps
}

// How long one attempt may take. A refusal to answer needs less than an answer
// that is slow, and is confirmed by a second one.
const (
	allowTimeout = time.Second
	slowTimeout  = 5 * time.Second // where nothing but a busy machine explains the silence
	denyTimeout  = 700 * time.Millisecond
)

// cell is one pair of pods of the table.
type cell struct {
	row, column string
	from, to    corev1.Pod
	open        bool // what the policies make of it
}

func (r reach) Run(ctx context.Context, c *Cluster) error {
	from, to, now, err := r.read(ctx, c)
	if err != nil {
		return err
	}
	cells, all := r.expectations(from, to, now)
	if len(all) == 0 {
		return errors.New("the table asks nothing: its clients and its targets are the same pod")
	}
	servers, controls := r.controls(to)
	all = append(all, controls...)
	wait := c.patience(ctx, r.Objects(), flat(from), r.past)
	start := time.Now()
	out := probe.Converge(ctx, c.Prober.Probe, all, wait.repeats)
	err = r.controlled(servers, controls, out[len(cells):], wait)
	if err == nil {
		r.insist(ctx, c, cells, all, out, wait)
		err = r.judge(ctx, c, cells, all, out, wait)
	}
	f, no := errors.AsType[*Failure](err)
	if err != nil && !no {
		return err
	}
	// A denial that nothing explains is believed once it has lasted; then it is not doubted anew by each quick look.
	r.past.note(start, err == nil && len(unexplained(cells, out)) == 0)
	if !no || !f.Settling {
		if unsound := c.sound(ctx, r.about, nodesOf(flat(from), flat(to))...); unsound != nil {
			return unsound
		}
	}
	return err
}

// read reads what the table is about, and what the API says of it.
func (r reach) read(ctx context.Context, c *Cluster) (from, to map[string][]corev1.Pod, now *rules, err error) {
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		from, to, err = r.pods(reading, c)
		return err
	})
	group.Go(func() (err error) {
		now, err = c.rulesNow(reading)
		return err
	})
	return from, to, now, group.Wait()
}

// pods lists those behind each name of the table.
func (r reach) pods(ctx context.Context, c *Cluster) (from, to map[string][]corev1.Pod, err error) {
	clients, servers := make([][]corev1.Pod, len(r.table.rows)), make([][]corev1.Pod, len(r.table.columns))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range r.table.rows {
		group.Go(func() (err error) {
			set := r.clients[name]
			clients[i], err = set.running(ctx, c)
			return err
		})
	}
	for i, name := range r.table.columns {
		group.Go(func() (err error) {
			t := r.targets[name]
			set := t.set()
			servers[i], err = set.running(ctx, c)
			if f, none := errors.AsType[*Failure](err); none && t.Lookup != "" && !r.about.dns {
				return fmt.Errorf("the cluster's DNS is down: %s", f.Is) // that is nobody's policy
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	from, to = map[string][]corev1.Pod{}, map[string][]corev1.Pod{}
	for i, name := range r.table.rows {
		from[name] = clients[i]
	}
	for i, name := range r.table.columns {
		to[name] = servers[i]
	}
	return from, to, nil
}

func flat(sets map[string][]corev1.Pod) []corev1.Pod {
	return slices.Concat(slices.Collect(maps.Values(sets))...)
}

// expectations are the probes of the table, one for each pair of pods. What is waited for is not what the table wants:
// it is what the policies say.
func (r reach) expectations(from, to map[string][]corev1.Pod, now *rules) (cells []cell, all []probe.Expectation) {
	for _, row := range r.table.rows {
		for _, column := range r.table.columns {
			if _, asked := r.table.allow[[2]string{row, column}]; !asked {
				continue
			}
			port, protocol := r.targets[column].way()
			for _, a := range from[row] {
				for _, b := range to[column] {
					if a.UID == b.UID {
						continue // a pod always reaches itself
					}
					open := now.allow(&a, &b, port, protocol)
					cells = append(cells, cell{row, column, a, b, open})
					all = append(all, r.expectation(a, b, r.targets[column], open))
				}
			}
		}
	}
	return cells, all
}

// controlled tells whether every target answers itself.
func (r reach) controlled(servers []cell, controls []probe.Expectation, out []probe.Outcome, wait *patience) error {
	for i, e := range controls {
		o, server := out[i], servers[i].to.Name
		switch {
		case e.Accept(o):
		case o.Result.Named() && wait.disbelieves(o):
			set := r.targets[servers[i].column].set()
			return &Failure{
				Is:   fmt.Sprintf("pod %s does not answer even itself on port %d yet", server, e.Job.Port),
				Look: set.look(), Settling: true,
			}
		case o.Result.Named() && r.about.dns && r.targets[servers[i].column].Lookup != "":
			set := clusterDNS()
			return &Failure{
				Is:   fmt.Sprintf("name server %s does not answer even itself (%s)", server, o.Result),
				Look: set.look(), More: []string{o.Detail},
			}
		default:
			return fmt.Errorf("no positive control: pod %s does not answer even itself on port %d (%s %s), so a refusal proves nothing",
				server, e.Job.Port, o.Result, o.Detail)
		}
	}
	return nil
}

// expectation is the probe of one pair, which is expected to be open or closed.
func (r reach) expectation(a, b corev1.Pod, t target, open bool) probe.Expectation {
	e := probe.Expectation{Job: t.job(a, b), Streak: 1, Accept: func(o probe.Outcome) bool { return o.Result == dial.OK }}
	if !open {
		e.Job.Timeout, e.Streak = denyTimeout, 2
		e.Accept = func(o probe.Outcome) bool { return o.Result.Denied() }
	}
	return e
}

// controls are the probes that a denial rests on: each target answers itself,
// from inside its own network namespace, where no policy is in between.
func (r reach) controls(to map[string][]corev1.Pod) (servers []cell, all []probe.Expectation) {
	for _, column := range r.table.columns {
		t := r.targets[column]
		for _, b := range to[column] {
			j := t.job(b, b)
			if t.Lookup != "" {
				j.Server = b.Status.PodIP
			}
			servers = append(servers, cell{column: column, to: b})
			all = append(all, probe.Expectation{Job: j, Streak: 1, Accept: func(o probe.Outcome) bool {
				// That there is no such name is an answer too: asked directly, a short name has no search list.
				return o.Result == dial.OK || t.Lookup != "" && o.Result == dial.NXDomain
			}})
		}
	}
	return servers, all
}

// judge turns outcomes into a verdict on the whole table. A cell that is wrong by the policies and by the packets
// decides it, whatever becomes of cells in which the two do not agree.
func (r reach) judge(ctx context.Context, c *Cluster, cells []cell, all []probe.Expectation, out []probe.Outcome, wait *patience) error {
	found := map[[2]string]bool{}
	var wrong, why []string
	said := map[[2]string]bool{}
	look, settling := "", false
	var open error // of the first cell that cannot be judged
	for i, p := range cells {
		key := [2]string{p.row, p.column}
		want, o := r.table.allow[key], out[i]
		agreed := all[i].Accept(o)
		if !agreed {
			if unsure := r.unsure(ctx, c, p, o, want, wait); unsure != nil {
				open = cmp.Or(open, unsure)
				continue
			}
		}
		right := want && o.Result == dial.OK || !want && o.Result.Denied()
		if right && !said[key] {
			found[key] = want
		}
		if right || said[key] {
			continue
		}
		said[key], found[key] = true, !want
		settling = settling || !agreed && (wait.disbelieves(o) || o.Result.Denied() && wait.lagging())
		if want {
			wrong = append(wrong, fmt.Sprintf("%s cannot reach %s (%s)", p.row, p.column, o.Result))
		} else {
			wrong = append(wrong, fmt.Sprintf("%s still reaches %s", p.row, p.column))
		}
		if look == "" {
			look, why = r.look(p), r.rule(ctx, c, p)
		}
	}
	if len(wrong) == 0 || settling && open != nil {
		return open
	}
	return &Failure{Is: strings.Join(wrong, "; "), Look: look, More: append(r.table.draw(found), why...), Settling: settling}
}

// look shows the policies that speak about the pair.
func (r reach) look(p cell) string {
	if p.from.Namespace == p.to.Namespace || r.targets[p.column].Lookup != "" {
		return fmt.Sprintf("kubectl -n %s describe networkpolicies", p.from.Namespace)
	}
	return fmt.Sprintf("kubectl -n %s describe networkpolicies; kubectl -n %s describe networkpolicies", p.from.Namespace, p.to.Namespace)
}
