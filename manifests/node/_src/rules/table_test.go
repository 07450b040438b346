package rules

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
)

// kernel is a filter table that counts what it is asked.
type kernel struct {
	utils.IPTablesHandler
	asked int
	there bool
	err   error
}

func (k *kernel) ChainExists(string, string) (bool, error) { k.asked++; return k.there, k.err }

func (k *kernel) Exists(string, string, ...string) (bool, error) { k.asked++; return k.there, k.err }

func (k *kernel) List(string, string) ([]string, error) {
	k.asked++
	return []string{"-P FORWARD ACCEPT", "-A FORWARD -j X"}, k.err
}
func (k *kernel) Append(string, string, ...string) error      { k.there = true; return k.err }
func (k *kernel) Insert(string, string, int, ...string) error { k.there = true; return k.err }
func (k *kernel) Delete(string, string, ...string) error      { k.there = false; return k.err }
func (k *kernel) NewChain(string, string) error               { k.there = true; return k.err }

func TestWhatIsThereIsAskedOnce(t *testing.T) {
	k := &kernel{there: true}
	r := Remember(k)
	for range 3 {
		for _, look := range []func() (bool, error){
			func() (bool, error) { return r.ChainExists("filter", "X") },
			func() (bool, error) { return r.Exists("filter", "X", "-j", "Y") },
			func() (bool, error) { return r.Exists("filter", "X", "-j", "Z") },
		} {
			if there, err := look(); !there || err != nil {
				t.Errorf("there %t, error %v; want what the kernel says", there, err)
			}
		}
		if rules, err := r.List("filter", "X"); len(rules) != 2 || err != nil {
			t.Errorf("rules %v, error %v; want what the kernel says", rules, err)
		}
	}
	if k.asked != 4 {
		t.Errorf("asked %d times, want each question once", k.asked)
	}
}

func TestAListIsTheCallersOwn(t *testing.T) {
	r := Remember(&kernel{})
	first, _ := r.List("filter", "FORWARD")
	want := slices.Clone(first)
	first[0] = "spoiled"
	if again, _ := r.List("filter", "FORWARD"); !slices.Equal(again, want) {
		t.Errorf("the second list is %v, want %v", again, want)
	}
}

func TestWhatIsNotThereIsAskedAgain(t *testing.T) {
	for _, k := range []*kernel{{}, {there: true, err: errors.New("locked")}} {
		r := Remember(k)
		for range 2 {
			if there, err := r.ChainExists("filter", "X"); there != k.there || !errors.Is(err, k.err) {
				t.Errorf("there %t, error %v", there, err)
			}
		}
		if k.asked != 2 {
			t.Errorf("asked %d times, want twice", k.asked)
		}
	}
}

func TestAnswersAreForgotten(t *testing.T) {
	for name, do := range map[string]func(*remembered) error{
		"a rule is appended":  func(r *remembered) error { return r.Append("filter", "X", "-j", "Y") },
		"a rule is inserted":  func(r *remembered) error { return r.Insert("filter", "X", 1, "-j", "Y") },
		"a rule is deleted":   func(r *remembered) error { return r.Delete("filter", "X", "-j", "Y") },
		"a chain is made":     func(r *remembered) error { return r.NewChain("filter", "X") },
		"they are of earlier": func(r *remembered) error { r.since = r.since.Add(-memory - time.Second); return nil },
	} {
		k := &kernel{there: true}
		r := Remember(k).(*remembered)
		_, _ = r.ChainExists("filter", "X")
		if err := do(r); err != nil {
			t.Fatal(err)
		}
		if there, _ := r.ChainExists("filter", "X"); k.asked != 2 || there != k.there {
			t.Errorf("%s: asked %d times, there %t; want the kernel asked again", name, k.asked, there)
		}
	}
}

func TestARuleIsAppendedOnce(t *testing.T) {
	k := &kernel{}
	r := Remember(k)
	for range 2 {
		if err := r.AppendUnique("filter", "X", "-j", "Y"); err != nil {
			t.Fatal(err)
		}
	}
	if !k.there || k.asked != 2 {
		t.Errorf("there %t, asked %d times; want it there, asked before and after", k.there, k.asked)
	}
}
