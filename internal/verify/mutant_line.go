package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// edit is one change of one line of a solution.
type edit struct {
	line   int
	key    string // what the line is about
	change string
	gap    bool                  // something is missing
	apply  func(root *yaml.Node) // to a copy, whose nodes lie as in the original
}

// values are the solution with one line changed: a value in it is wrong.
func (m *mutator) values() ([]Mutant, error) { return m.lines(false) }

// gaps are the solution without one of its rules.
func (m *mutator) gaps() ([]Mutant, error) { return m.lines(true) }

// lines are the solution with one line changed. What is hardly ever read, such as descriptions and requests, is left as
// it is, for a change there is no mistake.
func (m *mutator) lines(gap bool) ([]Mutant, error) {
	var mutants []Mutant
	for i, o := range m.right {
		if m.unchanged(o) {
			continue
		}
		for _, e := range edits(o) {
			if e.gap != gap || isProbe(e.key) && !m.adds(o, e.key) || isPort(e.key) && o.headless() {
				continue
			}
			name := fmt.Sprintf("line %s:%d %s", o.file, e.line, e.key)
			mutant, err := m.instead(name, fmt.Sprintf("%s: %s", o, e.change), i, o.with(e.apply))
			if err != nil {
				return nil, err
			}
			mutant.Subtle = true
			mutants = append(mutants, mutant)
		}
	}
	return mutants, nil
}

// edits are all changes of one object that are worth a try.
func edits(o object) []edit {
	var found []edit
	walk(o.root, nil, nil, func(at place) { found = append(found, at.edits(o.kind())...) })
	return found
}

// place is a value in a manifest.
type place struct {
	node, parent *yaml.Node
	keys         []string // the keys that lead to it
	way          []int    // the indices that lead to it, in any copy
	key          string   // its own key, or that of the list that it is in
	listed       bool     // it is an item of a list
}

// passed over, with all that is within.
func passed(keys []string) bool {
	path := strings.Join(keys, ".")
	if strings.HasPrefix(path, "metadata.") || path == "apiVersion" || path == "kind" || path == "spec.template.metadata" {
		return true
	}
	last := keys[len(keys)-1]
	if strings.HasPrefix(path, "rules.") {
		return false // what a role allows, such as resources
	}
	return slices.Contains([]string{
		"annotations", "image", "imagePullPolicy", "resources", "command", "args", "env", "data", "stringData", "binaryData",
		"status", "containerPort", "securityContext", "terminationGracePeriodSeconds", "tolerations", "affinity",
		"volumeClaimTemplates", "topologySpreadConstraints",
	}, last)
}

func walk(n *yaml.Node, keys []string, way []int, visit func(place)) {
	if len(keys) > 0 && passed(keys) {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			path, to := append(slices.Clone(keys), key), append(slices.Clone(way), i+1)
			if passed(path) {
				continue
			}
			visit(place{n.Content[i+1], n, path, to, key, false})
			walk(n.Content[i+1], path, to, visit)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			to := append(slices.Clone(way), i)
			visit(place{item, n, keys, to, keys[len(keys)-1], true})
			walk(item, keys, to, visit)
		}
	default:
	}
}

// edits are the changes of one place.
func (p place) edits(kind string) []edit {
	if value, wrong := p.wrong(kind); wrong {
		shown := value
		if shown == "" {
			shown = "not given"
		}
		return []edit{{p.node.Line, p.key, fmt.Sprintf("%s is %s in place of %s", p.key, shown, p.node.Value), false, func(root *yaml.Node) {
			if n := reach(root, p.way); value == "" {
				*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
			} else {
				n.Value, n.Style = value, 0
			}
		}}}
	}
	if !p.removable(kind) {
		return nil
	}
	line := p.node.Line
	if !p.listed {
		line = p.parent.Content[p.way[len(p.way)-1]-1].Line // the key's
	}
	return []edit{{line, p.key, "an entry of " + p.key + " is missing", true, func(root *yaml.Node) {
		parent := reach(root, p.way[:len(p.way)-1])
		at := p.way[len(p.way)-1]
		if !p.listed {
			at--
		}
		drop(parent, at)
	}}}
}

func reach(n *yaml.Node, way []int) *yaml.Node {
	for _, i := range way {
		n = n.Content[i]
	}
	return n
}

// wrong is a value that is certainly another one, of the right type.
func (p place) wrong(kind string) (string, bool) {
	if p.node.Kind != yaml.ScalarNode || p.listed && p.key != "values" {
		return "", false
	}
	was := p.node.Value
	opposite := map[string]string{
		"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists",
		"TCP": "UDP", "UDP": "TCP", "NodePort": "ClusterIP", "Local": "Cluster",
	}[was]
	number, err := strconv.Atoi(was)
	switch {
	case p.inSelector(kind):
		return was + "-x", true
	case slices.Contains([]string{"operator", "protocol", "type", "externalTrafficPolicy", "internalTrafficPolicy"}, p.key):
		return opposite, opposite != ""
	case p.key == "replicas" && err == nil && number > 1:
		return "1", true
	case slices.Contains([]string{"port", "targetPort", "nodePort", "number", "endPort"}, p.key) && err == nil:
		return strconv.Itoa(number + 1), true
	case p.key == "port" || p.key == "targetPort":
		return was + "-x", true
	case slices.Contains([]string{
		"serviceName", "claimName", "secretName", "serviceAccountName", "externalName", "mountPath", "storageClassName", "ingressClassName",
	}, p.key):
		return was + "-x", true
	case p.key == "name" && len(p.keys) > 1 && slices.Contains([]string{
		"roleRef", "subjects", "configMap", "secretKeyRef", "configMapKeyRef", "scaleTargetRef", "service",
	}, p.keys[len(p.keys)-2]):
		return was + "-x", true
	case p.key == "clusterIP" && was == "None":
		return "", true
	}
	return "", false
}

// inSelector tells whether a value says which pods or namespaces are meant. That of a workload is not tried: the API
// server refuses one that is not its pods' own.
func (p place) inSelector(kind string) bool {
	path := strings.Join(p.keys[:len(p.keys)-1], ".")
	if p.listed {
		return p.key == "values"
	}
	own := path == "spec.selector.matchLabels" && kind != "PodDisruptionBudget"
	return strings.HasSuffix(path, ".matchLabels") && !own || kind == "Service" && path == "spec.selector"
}

// removable are the entries without which the answer is another one.
func (p place) removable(kind string) bool {
	if p.listed {
		rules := []string{"ingress", "egress", "from", "to", "rules", "verbs", "resources", "subjects", "values", "matchExpressions"}
		if p.key == "ports" && kind == "Service" {
			return len(p.parent.Content) > 1 // the API server wants one
		}
		if p.key == "ports" {
			return !slices.Contains(p.keys, "containers") && !slices.Contains(p.keys, "initContainers")
		}
		if p.key == "policyTypes" {
			return len(p.parent.Content) > 1 // without any, the API server puts in what is meant anyway
		}
		return slices.Contains(rules, p.key)
	}
	parent := ""
	if len(p.keys) > 1 {
		parent = p.keys[len(p.keys)-2]
	}
	if p.key == "podSelector" || p.key == "namespaceSelector" {
		return parent == "from" || parent == "to"
	}
	return isProbe(p.key) || p.key == "initContainers" || p.key == "lifecycle"
}

// adds tells whether a key is what the solution puts into an object of the setup. Where it is so, it is the answer; in
// an object that is new, or had it before, a probe is only good manners.
func (m *mutator) adds(o object, key string) bool {
	i := slices.IndexFunc(m.setup, func(s object) bool { return s.same(o, m.lab) })
	if i < 0 {
		return false
	}
	has := false
	walk(m.setup[i].root, nil, nil, func(at place) { has = has || at.key == key })
	return !has
}

// headless tells whether it is a Service that has no address: names lead to its pods, past the ports it lists.
func (o object) headless() bool {
	found := false
	walk(o.root, nil, nil, func(at place) { found = found || at.key == "clusterIP" && at.node.Value == "None" })
	return found && o.kind() == "Service"
}

func isPort(key string) bool { return slices.Contains([]string{"port", "targetPort"}, key) }

func isProbe(key string) bool {
	return slices.Contains([]string{"readinessProbe", "livenessProbe", "startupProbe"}, key)
}
