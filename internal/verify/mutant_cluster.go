package verify

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

type yamlNode = yaml.Node

// policy is for all pods of a namespace.
const policy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s, namespace: %s}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [%[3]s], egress: [%[3]s]}
---
`

// policies close all where traffic is wanted, and open all where it is not.
func (m *mutator) policies() ([]Mutant, error) {
	everywhere := func(name, change, rule string) Mutant {
		var text strings.Builder
		for _, ns := range m.lab.Namespaces {
			fmt.Fprintf(&text, policy, name, ns, rule)
		}
		return m.onTop(name, change, stage.Step{Manifests: []lab.File{{Path: "made up", Content: text.String()}}})
	}
	var mutants []Mutant
	if !m.enforced {
		return nil, nil
	}
	if m.facts.asks("reach") && m.facts.tabled("allow") || m.facts.asks("http", "resolve") {
		mutants = append(mutants, everywhere("deny-all", "a policy denies all traffic of the lab's pods", ""))
	}
	if m.facts.asks("reach") && m.facts.tabled("deny") {
		mutants = append(mutants, everywhere("allow-all", "a policy allows all traffic of the lab's pods", "{}"))
	}
	return mutants, nil
}

// rights are those of an administrator, for everyone.
func (m *mutator) rights() ([]Mutant, error) {
	if !m.facts.asks("can") || !m.facts.tabled("deny") {
		return nil, nil
	}
	mutant := m.onTop("cluster-admin", "everyone is bound to cluster-admin", stage.Step{})
	mutant.Steps, mutant.OnTop, mutant.Everyone = mutant.Steps[:1], []stage.Step{}, true
	return []Mutant{mutant}, nil
}

// privileged containers are made of the solution's where the lab asks for restraint.
func (m *mutator) privileged() ([]Mutant, error) {
	if !m.facts.mentions("privileged", "securityContext", "runAsNonRoot", "PodSecurity") {
		return nil, nil
	}
	var mutants []Mutant
	for i, o := range m.right {
		containers := find(o.root, "spec", "template", "spec", "containers")
		if o.kind() == "Pod" {
			containers = find(o.root, "spec", "containers")
		}
		if containers == nil {
			continue
		}
		ref := written(o.ref(m.lab))
		loose := o.with(func(root *yamlNode) {
			path := []string{"spec", "template", "spec", "containers"}
			if o.kind() == "Pod" {
				path = []string{"spec", "containers"}
			}
			for _, c := range find(root, path...).Content {
				if at := keyOf(c, "securityContext"); at >= 0 {
					drop(c, at)
				}
				set(c, "!!bool", "true", "securityContext", "privileged")
			}
		})
		mutant, err := m.instead("privileged "+ref, "the containers of "+ref+" are privileged", i, loose)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, mutant)
	}
	return mutants, nil
}
