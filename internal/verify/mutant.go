package verify

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// A Mutant is a wrong answer that nobody wrote down.
type Mutant struct {
	// Name is stable and unique in its lab: exceptions excuse by it.
	Name string
	// Change is what is wrong, for people.
	Change string
	Steps  []stage.Step
	// OnTop makes the same where the solution is there already; nil where nothing does.
	OnTop []stage.Step
	// Everyone makes everyone a cluster administrator. That concerns all labs on the cluster.
	Everyone bool
	// Subtle ones have all that is asked for, with something wrong in it: what shows that may take long.
	Subtle bool
}

// mutator makes the mutants of one lab.
type mutator struct {
	lab      *lab.Lab
	facts    facts
	solution lab.Solution
	right    []object // the solution's manifests
	setup    []object
	enforced bool // network policies
}

// Mutants makes up wrong answers, at most limit of them, or all when limit is negative. They are made from the lab's
// first solution that has manifests, and only those are made that the lab's checks can be expected to see. The same
// lab gets the same ones each time. A cluster that does not enforce network policies gets none of those.
func Mutants(l *lab.Lab, kinds check.Registry, enforced bool, limit int) ([]Mutant, error) {
	known, err := factsOf(l, kinds)
	if err != nil {
		return nil, err
	}
	m := mutator{lab: l, facts: known, solution: l.Solutions[original(l)], enforced: enforced}
	if m.right, err = m.read(m.solution.Apply); err != nil {
		return nil, err
	}
	if m.setup, err = m.read(l.Setup.Apply); err != nil {
		return nil, err
	}
	var families [][]Mutant
	for _, family := range []func() ([]Mutant, error){m.rights, m.policies, m.values, m.gaps, m.misplaced, m.renamed, m.stopped, m.privileged} {
		mutants, err := family()
		if err != nil {
			return nil, err
		}
		families = append(families, mutants)
	}
	return choose(families, limit), nil
}

// original is the solution that mistakes are made from.
func original(l *lab.Lab) int {
	return max(0, slices.IndexFunc(l.Solutions, func(s lab.Solution) bool { return s.Apply != "" }))
}

func (m *mutator) read(path string) ([]object, error) {
	files, err := m.lab.Files(path)
	if err != nil {
		return nil, err
	}
	return parse(files)
}

// choose takes from each family in turn, so that a small number is a varied one. Within a family the content decides,
// and not the order in a file: moving an object does not change what is tried.
func choose(families [][]Mutant, limit int) []Mutant {
	for _, family := range families {
		slices.SortStableFunc(family, func(a, b Mutant) int { return cmp.Compare(a.weight(), b.weight()) })
	}
	var chosen []Mutant
	for turn := 0; ; turn++ {
		taken := false
		for _, family := range families {
			if turn >= len(family) {
				continue
			}
			if limit >= 0 && len(chosen) >= limit {
				return chosen
			}
			taken = true
			mutant := family[turn]
			mutant.Name = unique(chosen, mutant.Name)
			chosen = append(chosen, mutant)
		}
		if !taken {
			return chosen
		}
	}
}

// step is how the try of a mutant is called.
func (m Mutant) step() string { return "generated: " + m.Name }

func (m Mutant) weight() string {
	sum := sha256.New()
	// Not the name: it holds a line's number.
	fmt.Fprintln(sum, m.Change)
	for _, step := range m.Steps {
		for _, f := range step.Manifests {
			fmt.Fprintln(sum, f.Content)
		}
		fmt.Fprintln(sum, step.Delete)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func unique(taken []Mutant, name string) string {
	free := name
	for n := 2; slices.ContainsFunc(taken, func(m Mutant) bool { return m.Name == free }); n++ {
		free = fmt.Sprintf("%s (%d)", name, n)
	}
	return free
}

// onTop is a mutant that does something after the solution.
func (m *mutator) onTop(name, change string, then stage.Step) Mutant {
	s := m.solution
	return Mutant{Name: name, Change: change, Steps: []stage.Step{{Delete: s.Delete, Apply: s.Apply, Run: s.Run}, then}, OnTop: []stage.Step{then}}
}

// instead is a mutant that has others in place of one of the solution's objects, or none.
func (m *mutator) instead(name, change string, at int, by ...object) (Mutant, error) {
	f, err := render(slices.Replace(slices.Clone(m.right), at, at+1, by...))
	if err != nil {
		return Mutant{}, err
	}
	step := stage.Step{Delete: m.solution.Delete, Run: m.solution.Run, Manifests: []lab.File{f}}
	mutant := Mutant{Name: name, Change: change, Steps: []stage.Step{step}}
	if mutant.OnTop, err = m.exchange(m.right[at], by); err != nil {
		return Mutant{}, err
	}
	return mutant, nil
}

// exchange makes others of an object that is there. A rule is changed in place: a Service that is made anew has another
// address, and who looked it up does not look again. What the setup has too would not be as the setup has it, and what runs
// has read its ConfigMaps already: then there is no such step.
func (m *mutator) exchange(o object, by []object) ([]stage.Step, error) {
	light := []string{"Service", "NetworkPolicy", "Role", "RoleBinding", "Deployment"}
	if m.solution.Run != "" || !slices.Contains(light, o.kind()) {
		return nil, nil
	}
	var step stage.Step
	if o.kind() == "Deployment" || !o.among(by, m.lab) {
		if o.among(m.setup, m.lab) {
			return nil, nil
		}
		step.Delete = []lab.Ref{o.ref(m.lab)}
	}
	if len(by) > 0 {
		f, err := render(by)
		if err != nil {
			return nil, err
		}
		step.Manifests = []lab.File{f}
	}
	return []stage.Step{step}, nil
}

// workloads are those that the solution leaves behind and that the checks look at: its own, and the setup's.
func (m *mutator) workloads() []object {
	var found []object
	for _, o := range slices.Concat(m.right, m.setup) {
		kinds := []string{"Deployment", "StatefulSet", "DaemonSet", "Pod"}
		known := slices.ContainsFunc(found, func(f object) bool { return f.same(o, m.lab) })
		gone := slices.Contains(m.solution.Delete, o.ref(m.lab))
		if slices.Contains(kinds, o.kind()) && !known && m.facts.reads(o, m.lab) && (!gone || o.among(m.right, m.lab)) {
			found = append(found, o)
		}
	}
	return found
}

func (o object) among(objects []object, l *lab.Lab) bool {
	return slices.ContainsFunc(objects, func(other object) bool { return other.same(o, l) })
}

// stopped workloads are deleted, or have no pods.
func (m *mutator) stopped() ([]Mutant, error) {
	var mutants []Mutant
	for _, o := range m.workloads() {
		gone := []lab.Ref{o.ref(m.lab)}
		mutants = append(mutants, m.onTop("delete "+written(gone[0]), written(gone[0])+" is deleted", stage.Step{Delete: gone}))
		if o.kind() != "Deployment" && o.kind() != "StatefulSet" {
			continue
		}
		ref := written(o.ref(m.lab))
		f, err := render([]object{o.with(func(root *yamlNode) { set(root, "!!int", "0", "spec", "replicas") })})
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, m.onTop("scale-to-zero "+ref, ref+" is scaled to 0", stage.Step{Manifests: []lab.File{f}}))
	}
	return mutants, nil
}

// renamed objects are those that the checks call by their name.
func (m *mutator) renamed() ([]Mutant, error) {
	var mutants []Mutant
	for i, o := range m.right {
		if !m.facts.names(o) || !m.owned(o) {
			continue
		}
		other := o.with(func(root *yamlNode) { set(root, "!!str", o.name()+"-2", "metadata", "name") })
		ref := written(o.ref(m.lab))
		mutant, err := m.instead("rename "+ref, ref+" is called "+other.name(), i, other)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, mutant)
	}
	return mutants, nil
}

// misplaced objects are in another of the lab's namespaces. Where there is only one, they are nowhere: for who looks
// at that one, an object elsewhere is not there.
func (m *mutator) misplaced() ([]Mutant, error) {
	var mutants []Mutant
	for i, o := range m.right {
		ref := written(o.ref(m.lab))
		name, change, by := "leave-out "+ref, ref+" is left out", []object(nil)
		if len(m.lab.Namespaces) > 1 {
			ns := m.lab.Namespaces[0]
			if o.namespace(m.lab) == ns {
				ns = m.lab.Namespaces[1]
			}
			other := o.with(func(root *yamlNode) { set(root, "!!str", ns, "metadata", "namespace") })
			name, change = "other-namespace "+ref, fmt.Sprintf("%s is in namespace %s", ref, ns)
			by = []object{other}
		}
		if m.unchanged(o) || !m.owned(o) {
			continue // the setup has it already, or it can be nowhere else
		}
		mutant, err := m.instead(name, change, i, by...)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, mutant)
	}
	return mutants, nil
}

// owned tells whether an object is in one of the lab's namespaces. What a lab touches elsewhere has its name and place.
func (m *mutator) owned(o object) bool { return slices.Contains(m.lab.Namespaces, o.namespace(m.lab)) }

// unchanged tells whether the solution repeats what the setup has.
func (m *mutator) unchanged(o object) bool {
	return slices.ContainsFunc(m.setup, func(s object) bool {
		a, errA := render([]object{o})
		b, errB := render([]object{s})
		return errA == nil && errB == nil && s.same(o, m.lab) && a.Content == b.Content
	})
}

// written is a reference as lab.yaml has it.
func written(r lab.Ref) string {
	return strings.TrimPrefix(r.Namespace+"/"+r.String(), "/")
}
