package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// compoundKind asks several checks at once: all of them, any of them, or none of them must say yes.
type compoundKind struct{ name string }

func (k compoundKind) Name() string { return k.name }

// Doc explains the kind.
func (k compoundKind) Doc() Doc {
	doc := Doc{Params: compoundParams{}}
	switch k.name {
	case "any":
		doc.Text = `Passes when one of its checks does: for tasks with right answers of different shapes. Its failure tells what each of
them found; "says" puts it into one sentence.`
		doc.Example = `- any:
  - object: {kind: HorizontalPodAutoscaler, name: web}
  - rollout: {of: deployment/web, replicas: 5}`
	case "none":
		doc.Text = `Passes when none of its checks does. A check that passes has no words for what is wrong, so "says" is required. Give a
check that must not pass another beside it that must: what is simply gone passes none of its checks either.`
		doc.Example = `- none:
    says: the Deployment still mounts the host's file system
    checks:
    - object: {kind: Deployment, name: web, expect: ["object.spec.template.spec.volumes.exists(v, has(v.hostPath))"]}`
	default:
		doc.Text = `Passes when all of its checks do, which is what the checks of a task do anyway: it is for use inside any and none, and
for giving several checks one failure in the words of "says".`
		doc.Example = `- any:
  - all:
    - object: {kind: Ingress, name: web}
    - http: {from: {pods: app=shopper}, url: "http://web/"}
  - object: {kind: Gateway, apiVersion: gateway.networking.k8s.io/v1, name: web}`
	}
	doc.Text += " A list of checks alone is written without the map."
	return doc
}

type compoundParams struct {
	Checks []lab.Check `yaml:"checks,required" doc:"the checks, as under a task"`
	Says   string      `yaml:"says" doc:"what the learner reads when it fails"`
}

// Short is what may stand in its place.
func (compoundParams) Short() any { return []lab.Check{} }

// DecodeNode takes a list of checks alone, or with words.
func (p *compoundParams) DecodeNode(n lab.Node) lab.Problems {
	if n.IsMap() {
		type plain compoundParams // without this method
		return n.Decode((*plain)(p))
	}
	return n.Decode(&p.Checks)
}

func (k compoundKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p compoundParams
	problems := n.Decode(&p)
	if p.Checks != nil && len(p.Checks) == 0 {
		problems = append(problems, n.Field("checks").Problem("expected at least one check"))
	}
	if k.name == "none" && p.Says == "" && problems == nil {
		problems = append(problems, n.Problem("expected says and checks: a check that passes has no words for what is wrong"))
	}
	out := compound{name: k.name, says: p.Says}
	for _, c := range p.Checks {
		if c.Kind == "" {
			continue // which is reported
		}
		one, found := s.Kinds.Compile(s, c)
		problems = append(problems, found...)
		out.checks = append(out.checks, one)
	}
	return out, problems
}

type compound struct {
	name, says string
	checks     []Check
}

// Changes tells whether one of the checks does.
func (c compound) Changes() bool { return slices.ContainsFunc(c.checks, Check.Changes) }

// Marks tells whether one of its checks does.
func (c compound) Marks() bool { return slices.ContainsFunc(c.checks, Marks) }

// Objects are what the checks read.
func (c compound) Objects() []Dependency {
	var deps []Dependency
	for _, one := range c.checks {
		for _, d := range one.Objects() {
			if !slices.Contains(deps, d) {
				deps = append(deps, d)
			}
		}
	}
	return deps
}

// Run asks the checks in their order until the answer is certain. What could not be looked at leaves it open only where
// no other check decides; then it counts more than one that is settling, because waiting does not help.
func (c compound) Run(ctx context.Context, cluster *Cluster) error {
	var unknown error
	var settling, no []*Failure
	yes := 0
	for _, one := range c.checks {
		err := one.Run(ctx, cluster)
		f, failed := errors.AsType[*Failure](err)
		switch {
		case err == nil:
			yes++
		case !failed:
			if unknown == nil {
				unknown = err
			}
		case f.Settling:
			settling = append(settling, f)
		default:
			no = append(no, f)
		}
		switch {
		case c.name == "any" && yes > 0:
			return nil
		case c.name == "all" && len(no) > 0:
			return c.fail(no[0])
		case c.name == "none" && yes > 0:
			return &Failure{Is: c.says, Look: look(one)}
		}
	}
	switch {
	case unknown != nil:
		return unknown
	case c.name == "any":
		return c.each(append(no, settling...), len(settling) > 0)
	case len(settling) > 0 && c.name == "none":
		// Not there yet, and it may well get there, where it must not be.
		f := *settling[0]
		f.Is, f.Want = "not certain yet that it is not so: "+f.Is, ""
		return &f
	case len(settling) > 0:
		return c.fail(settling[0])
	}
	return nil
}

// fail is the failure of one check, in the author's words where there are any.
func (c compound) fail(f *Failure) error {
	if c.says == "" {
		return f
	}
	return &Failure{Is: c.says, Look: f.Look, More: append([]string{f.Error()}, f.More...), Settling: f.Settling}
}

// each is the failure of all checks of an any.
func (c compound) each(all []*Failure, settling bool) error {
	if len(all) == 1 {
		f := *all[0]
		f.Settling = settling
		return c.fail(&f)
	}
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = f.Error()
	}
	out := &Failure{Is: c.says, Look: all[0].Look, Settling: settling}
	if c.says == "" {
		out.Is = "none of these is so: " + strings.Join(lines, "; or ")
		return out
	}
	out.More = lines
	return out
}

// look is a command that shows what a check has read.
func look(c Check) string {
	deps := c.Objects()
	if len(deps) == 0 {
		return ""
	}
	d, cmd := deps[0], "kubectl"
	if d.Namespace != "" {
		cmd += " -n " + d.Namespace
	}
	cmd += " get " + d.Resource.Resource
	switch {
	case d.Name != "":
		cmd += " " + d.Name
	case d.Selector != "":
		cmd += fmt.Sprintf(" -l '%s'", d.Selector)
	}
	return cmd + " -o yaml"
}
