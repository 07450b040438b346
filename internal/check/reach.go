package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	return Doc{Text: "Asks who may connect to what, as a truth table of real connections."}
}

// target is where packets go: pods on a port, or the cluster's DNS for a name.
type target struct {
	Pods      string `yaml:"pods"`
	Namespace string `yaml:"namespace"`
	Port      int    `yaml:"port"`
	Protocol  string `yaml:"protocol"` // tcp (the default) or udp
	Lookup    string `yaml:"lookup"`   // a name; allowed means that it resolves
}

func (reachKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p struct {
		Clients map[string]podSet `yaml:"clients,required"`
		Targets map[string]target `yaml:"targets,required"`
		Expect  tableText         `yaml:"expect,required"`
	}
	problems := n.Decode(&p)
	r := reach{clients: map[string]podSet{}, targets: map[string]target{}}
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

func (t *target) compile(s Scope, n lab.Node) lab.Problems {
	if t.Lookup != "" {
		if t.Pods != "" || t.Port != 0 {
			return lab.Problems{n.Problem("expected either lookup, or pods and port")}
		}
		// Cluster DNS is what answers: its pods are the positive control.
		t.Namespace, t.Pods = "kube-system", "k8s-app=kube-dns"
		return nil
	}
	var problems lab.Problems
	if t.Port < 1 || t.Port > 65535 {
		problems = append(problems, n.Field("port").Problem("expected a port from 1 to 65535, found %d", t.Port))
	}
	switch t.Protocol {
	case "":
		t.Protocol = "tcp"
	case "tcp", "udp":
	default:
		problems = append(problems, n.Field("protocol").Problem("expected tcp or udp, found %q", t.Protocol))
	}
	set := t.set()
	problems = append(problems, set.compile(s, n)...)
	t.Namespace = set.Namespace
	return problems
}

func (t target) set() podSet { return podSet{Pods: t.Pods, Namespace: t.Namespace} }

type reach struct {
	clients map[string]podSet
	targets map[string]target
	table   table
}

func (reach) Changes() bool { return false }

func (r reach) Objects() []Dependency {
	var deps []Dependency
	seen := map[string]bool{}
	add := func(set podSet) {
		deps = append(deps, set.object())
		if !seen[set.Namespace] {
			seen[set.Namespace] = true
			deps = append(deps, Dependency{Resource: policies, Namespace: set.Namespace})
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
	denyTimeout  = 700 * time.Millisecond
)

// cell is one pair of pods of the table.
type cell struct {
	row, column string
	from, to    corev1.Pod
}

func (r reach) Run(ctx context.Context, c *Cluster) error {
	from, to := map[string][]corev1.Pod{}, map[string][]corev1.Pod{}
	for _, name := range r.table.rows {
		set := r.clients[name]
		list, err := set.running(ctx, c)
		if err != nil {
			return err
		}
		from[name] = list
	}
	for _, name := range r.table.columns {
		set := r.targets[name].set()
		list, err := set.running(ctx, c)
		if err != nil {
			return err
		}
		to[name] = list
	}

	var cells []cell
	var all []probe.Expectation
	for _, row := range r.table.rows {
		for _, column := range r.table.columns {
			allow, asked := r.table.allow[[2]string{row, column}]
			if !asked {
				continue
			}
			for _, a := range from[row] {
				for _, b := range to[column] {
					if a.UID == b.UID {
						continue // a pod always reaches itself
					}
					cells = append(cells, cell{row, column, a, b})
					all = append(all, r.expectation(a, b, r.targets[column], allow))
				}
			}
		}
	}
	if len(all) == 0 {
		return errors.New("the table asks nothing: its clients and its targets are the same pod")
	}
	controls := r.controls(to)
	all = append(all, controls...)
	out := probe.Converge(ctx, c.Prober.Probe, all, c.patience(ctx, r.Objects(), slices.Concat(slices.Collect(maps.Values(from))...)))
	for i, e := range controls {
		if o := out[len(cells)+i]; !e.Accept(o) {
			return fmt.Errorf("no positive control: %s does not answer even itself on port %d (%s %s), so a refusal proves nothing",
				e.Job.PodIP, e.Job.Port, o.Result, o.Detail)
		}
	}
	return r.judge(cells, all, out)
}

// expectation is the probe of one pair.
func (r reach) expectation(a, b corev1.Pod, t target, allow bool) probe.Expectation {
	e := probe.Expectation{Job: t.job(a, b), Streak: 1, Accept: func(o probe.Outcome) bool { return o.Result == dial.OK }}
	if !allow {
		e.Job.Timeout, e.Streak = denyTimeout, 2
		e.Accept = func(o probe.Outcome) bool { return o.Result.Denied() }
	}
	return e
}

func (t target) job(a, b corev1.Pod) probe.Job {
	j := probe.Job{PodIP: a.Status.PodIP, Node: a.Spec.NodeName, Timeout: allowTimeout}
	if t.Lookup != "" {
		j.Proto, j.Host = dial.DNS, t.Lookup
		return j
	}
	j.Proto, j.Host, j.Port = dial.Proto(t.Protocol), b.Status.PodIP, t.Port
	return j
}

// controls are the probes that a denial rests on: each target answers itself,
// from inside its own network namespace, where no policy is in between.
func (r reach) controls(to map[string][]corev1.Pod) []probe.Expectation {
	var all []probe.Expectation
	for _, column := range r.table.columns {
		t := r.targets[column]
		for _, b := range to[column] {
			j := t.job(b, b)
			if t.Lookup != "" {
				j.Server = b.Status.PodIP
			}
			all = append(all, probe.Expectation{Job: j, Streak: 1, Accept: func(o probe.Outcome) bool { return o.Result == dial.OK }})
		}
	}
	return all
}

// judge turns outcomes into a verdict on the whole table.
func (r reach) judge(cells []cell, all []probe.Expectation, out []probe.Outcome) error {
	found := map[[2]string]bool{}
	var wrong []string
	said := map[[2]string]bool{}
	look := ""
	for i, p := range cells {
		key := [2]string{p.row, p.column}
		want, o := r.table.allow[key], out[i]
		right := all[i].Accept(o)
		if !right && o.Result != dial.OK && !o.Result.Denied() && o.Result != dial.NXDomain {
			return fmt.Errorf("probing from %s to %s: %s", p.row, p.column, o.Detail)
		}
		if right && !said[key] {
			found[key] = want
		}
		if right || said[key] {
			continue
		}
		said[key], found[key] = true, !want
		if want {
			wrong = append(wrong, fmt.Sprintf("%s cannot reach %s (%s)", p.row, p.column, o.Result))
		} else {
			wrong = append(wrong, fmt.Sprintf("%s still reaches %s", p.row, p.column))
		}
		if look == "" {
			look = r.look(p)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return &Failure{Is: strings.Join(wrong, "; "), Look: look, More: r.table.draw(found)}
}

// look shows the policies that speak about the pair.
func (r reach) look(p cell) string {
	if p.from.Namespace == p.to.Namespace || r.targets[p.column].Lookup != "" {
		return fmt.Sprintf("kubectl -n %s describe networkpolicies", p.from.Namespace)
	}
	return fmt.Sprintf("kubectl -n %s describe networkpolicies; kubectl -n %s describe networkpolicies", p.from.Namespace, p.to.Namespace)
}
