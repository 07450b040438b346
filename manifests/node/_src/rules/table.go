// Package rules spares kube-router work: what it asks of the kernel, and how often it makes its rules anew.
package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/cloudnativelabs/kube-router/v2/pkg/utils"
)

// memory is how long an answer about the filter table counts: for so long a rule that somebody else took out is missed.
const memory = 10 * time.Second

type remembered struct {
	utils.IPTablesHandler
	rules map[string][]string // of chains; nil for what is known to be there
	since time.Time
}

// Remember returns a filter table that asks iptables once what kube-router wants to know before each change of a pod:
// whether its own chains and rules are where they were. Those are twenty processes of twenty-six, and nearly all that a
// network of few pods costs. It is for one goroutine, as kube-router holds a lock meanwhile.
func Remember(table utils.IPTablesHandler) utils.IPTablesHandler {
	return &remembered{IPTablesHandler: table, rules: map[string][]string{}}
}

// ask returns what is known, or else asks. That something is missing is not remembered.
func (r *remembered) ask(question []string, look func() (rules []string, there bool, err error)) ([]string, bool, error) {
	if time.Since(r.since) > memory {
		r.forget()
	}
	key := strings.Join(question, "\x00")
	if rules, known := r.rules[key]; known {
		return slices.Clone(rules), true, nil
	}
	rules, there, err := look()
	if err == nil && there {
		r.rules[key] = slices.Clone(rules)
	}
	return rules, there, err
}

func (r *remembered) forget() {
	clear(r.rules)
	r.since = time.Now()
}

func (r *remembered) ChainExists(table, chain string) (bool, error) {
	_, there, err := r.ask([]string{"chain", table, chain}, func() ([]string, bool, error) {
		there, err := r.IPTablesHandler.ChainExists(table, chain)
		return nil, there, err
	})
	return there, err
}

func (r *remembered) Exists(table, chain string, rule ...string) (bool, error) {
	_, there, err := r.ask(append([]string{"rule", table, chain}, rule...), func() ([]string, bool, error) {
		there, err := r.IPTablesHandler.Exists(table, chain, rule...)
		return nil, there, err
	})
	return there, err
}

func (r *remembered) List(table, chain string) ([]string, error) {
	rules, _, err := r.ask([]string{"list", table, chain}, func() ([]string, bool, error) {
		rules, err := r.IPTablesHandler.List(table, chain)
		return rules, true, err
	})
	return rules, err
}

func (r *remembered) AppendUnique(table, chain string, rule ...string) error {
	there, err := r.Exists(table, chain, rule...)
	if err != nil || there {
		return err
	}
	return r.Append(table, chain, rule...)
}

func (r *remembered) Append(table, chain string, rule ...string) error {
	defer r.forget()
	return r.IPTablesHandler.Append(table, chain, rule...)
}

func (r *remembered) Insert(table, chain string, position int, rule ...string) error {
	defer r.forget()
	return r.IPTablesHandler.Insert(table, chain, position, rule...)
}

func (r *remembered) Delete(table, chain string, rule ...string) error {
	defer r.forget()
	return r.IPTablesHandler.Delete(table, chain, rule...)
}

func (r *remembered) NewChain(table, chain string) error {
	defer r.forget()
	return r.IPTablesHandler.NewChain(table, chain)
}
