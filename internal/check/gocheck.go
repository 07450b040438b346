package check

import (
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// goKind asks a check that is written in Go for one lab, and is no word of the vocabulary.
type goKind struct{}

func (goKind) Name() string { return "go" }

// Doc explains the kind.
func (goKind) Doc() Doc {
	return Doc{
		Text: `Asks a check that was registered in Go by its name (Registry.Add(check.Named(kind))), for the rare question that no
other kind can ask. The check validates its own parameters. A lab with such a check needs the kindlab that has it.`,
		Example: `- go: {name: etcd-snapshot, params: {node: control-plane, file: /backup/snapshot.db}}`,
		Params:  goParams{},
	}
}

type goParams struct {
	Name   string  `yaml:"name,required" doc:"the name that the check was registered by"`
	Params rawNode `yaml:"params,required" doc:"its parameters; {} where it has none"`
}

// rawNode is YAML that somebody else decodes.
type rawNode struct{ node lab.Node }

// Schema tells editors that anything goes.
func (rawNode) Schema() *lab.Schema { return &lab.Schema{Title: "value"} }

// DecodeNode takes anything.
func (r *rawNode) DecodeNode(n lab.Node) lab.Problems {
	r.node = n
	return nil
}

// Named makes a kind for a Registry that labs reach as "go: {name: ..., params: ...}", and not as a word of its own.
func Named(k Kind) Kind { return named{k} }

type named struct{ Kind }

// Name is one that no lab writes.
func (n named) Name() string { return goName(n.Kind.Name()) }

func goName(name string) string { return "go/" + name }

func (goKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p goParams
	if problems := n.Decode(&p); problems != nil {
		return nil, problems
	}
	k, ok := s.Kinds[goName(p.Name)]
	if !ok {
		return nil, lab.Problems{n.Field("name").Problem("no check of the name %q is registered", p.Name)}
	}
	return k.Compile(s, p.Params.node)
}
