//go:build e2e

package labs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/grade"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
	"github.com/kindlab-dev/kindlab/internal/site"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/labs"
)

// TestSecondOpinion asks every pair of every reach table of the network-policy labs a second time, in the untouched
// state, in each solution and in each mistake, with a program that has nothing in common with kindlab's probes: agnhost
// connect, executed in the pod. Both must see the same, and the check's verdict must be the one that follows from it.
func TestSecondOpinion(t *testing.T) {
	s, _ := sitetest.Open(t)
	catalogue, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range catalogue {
		if entry.Topic != "network-policy" {
			continue
		}
		t.Run(entry.Name, func(t *testing.T) {
			l := load(t, entry.Name)
			tables := reachTables(t, l)
			o := s.Options(nil, nil)
			o.Own = false // policies are put back in place
			t.Cleanup(func() {
				if err := stage.Stop(context.Background(), s.Cluster, l, o); err != nil {
					t.Errorf("stopping: %v", err)
				}
			})
			if err := stage.Start(t.Context(), s.Cluster, l, o); err != nil {
				t.Fatal(err)
			}
			pairs := 0
			for _, state := range statesOf(l) {
				t.Run(state.name, func(t *testing.T) { pairs += secondOpinion(t, s, l, state.change, tables) })
			}
			t.Logf("%d pairs asked twice", pairs)
		})
	}
}

// labState is a lab as it was set up, with one change.
type labState struct {
	name   string
	change *stage.Step // nil for the untouched lab
}

func statesOf(l *lab.Lab) []labState {
	states := []labState{{name: "untouched"}}
	for _, right := range l.Solutions {
		states = append(states, labState{"solution: " + right.Title, &stage.Step{Delete: right.Delete, Apply: right.Apply, Run: right.Run}})
	}
	for _, m := range l.Mistakes {
		states = append(states, labState{"mistake: " + m.Title, &stage.Step{Delete: m.Delete, Apply: m.Apply, Run: m.Run}})
	}
	return states
}

// reachTable is a reach check: what it asks as lab.yaml says it, and the check that learners are graded by.
type reachTable struct {
	Clients map[string]reachEnd `yaml:"clients"`
	Targets map[string]reachEnd `yaml:"targets"`
	Expect  string              `yaml:"expect"`

	check check.Check
}

// reachEnd is one end of a pair. Only targets have a port or a name to look up.
type reachEnd struct {
	Pods      string `yaml:"pods"`
	Namespace string `yaml:"namespace"`
	Port      int    `yaml:"port"`
	Protocol  string `yaml:"protocol"`
	Lookup    string `yaml:"lookup"`
}

func reachTables(t *testing.T, l *lab.Lab) []reachTable {
	t.Helper()
	all := slices.Clone(l.Safeguards)
	for _, task := range l.Tasks {
		all = append(all, task.Checks...)
	}
	var tables []reachTable
	for _, c := range all {
		if c.Kind != "reach" {
			continue
		}
		var table reachTable
		problems := c.Params.Decode(&table)
		compiled, more := check.Builtin().Compile(check.ScopeOf(l), c)
		if problems = append(problems, more...); len(problems) > 0 {
			t.Fatal(problems)
		}
		table.check = compiled
		tables = append(tables, table)
	}
	if len(tables) == 0 {
		t.Fatalf("lab %s has no reach table", l.Name)
	}
	return tables
}

// expected returns what the table says of a cell, and whether it asks for it at all.
func (r reachTable) expected(client, target string) (open, asked bool) {
	lines := strings.Split(strings.TrimSpace(r.Expect), "\n")
	column := slices.Index(strings.Fields(lines[0]), target)
	for _, line := range lines[1:] {
		if cells := strings.Fields(line); cells[0] == client {
			return cells[column] == "allow", cells[column] != "-"
		}
	}
	return false, false
}

// secondOpinion brings the lab into a state, asks all pairs of its tables and resets it. It returns how many it asked.
func secondOpinion(t *testing.T, s *site.Site, l *lab.Lab, change *stage.Step, tables []reachTable) int {
	t.Helper()
	ctx := t.Context()
	if change != nil {
		if err := stage.Perform(ctx, s.Cluster, l, *change, s.Home.Scripts()); err != nil {
			t.Fatal(err)
		}
		defer putBack(t, s, l)
	}
	// Grading waits until the policies have reached the nodes.
	g := grade.Grader{Kinds: check.Builtin(), Cluster: s.Cluster}
	if _, err := g.Run(ctx, l); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, table := range tables {
		asked += table.compare(t, s, l)
	}
	return asked
}

// putBack undoes a state in place, or with a reset where it is not simple.
func putBack(t *testing.T, s *site.Site, l *lab.Lab) {
	t.Helper()
	ctx := context.Background()
	before, err := stage.Recorded(ctx, s.Cluster, l.Name)
	if err != nil {
		t.Fatal(err)
	}
	_, undone, err := before.Undo(ctx, s.Cluster, l)
	if err == nil && !undone {
		o := s.Options(nil, nil)
		o.Own = false
		err = stage.Reset(ctx, s.Cluster, l, o)
	}
	if err != nil {
		t.Errorf("putting the lab back: %v", err)
	}
}

// following is how long the two opinions may differ after a change. They ask one after the other, and between two states
// that deny the same a busy network may let something through for a moment.
const following = 15 * time.Second

// compare asks all pairs of the table both ways, until both see the same, and returns how many there are.
func (r reachTable) compare(t *testing.T, s *site.Site, l *lab.Lab) int {
	t.Helper()
	pairs, err := r.pairs(t.Context(), s, l)
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(time.Second) {
		differ := r.differences(t, s, pairs)
		if len(differ) == 0 {
			return len(pairs)
		}
		if time.Since(start) > following {
			t.Error(strings.Join(differ, "\n"))
			return len(pairs)
		}
		t.Logf("asked again: %s", strings.Join(differ, "; "))
	}
}

// differences are what the two opinions differ in, and the check's verdict from what follows from the second.
func (r reachTable) differences(t *testing.T, s *site.Site, pairs []pair) (differ []string) {
	t.Helper()
	ctx := t.Context()
	first := s.Prober.Probe(ctx, jobsOf(pairs))
	verdict := r.check.Run(ctx, s.Cluster)
	failure, failed := errors.AsType[*check.Failure](verdict)
	if verdict != nil && (!failed || failure.Settling) {
		return []string{fmt.Sprintf("no verdict: %v", verdict)}
	}
	second, words, err := execAll(ctx, s, pairs)
	if err != nil {
		t.Fatal(err)
	}
	right := true
	for i, p := range pairs {
		if open := first[i].Result == dial.OK; open != second[i] {
			differ = append(differ, fmt.Sprintf("%s: kindlab says %s %s, the second opinion is open: %v (%s)", p, first[i].Result, first[i].Detail, second[i], words[i]))
		}
		if want, asked := r.expected(p.client, p.target); asked {
			right = right && second[i] == want
		}
	}
	if right == failed {
		differ = append(differ, fmt.Sprintf("the check's verdict is %v; by the second opinion the table is right: %v", verdict, right))
	}
	return differ
}
