package reference

import (
	_ "embed" // the prose
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// prose is what types cannot say: sections under the name of their part.
//
//go:embed prose.md
var prose string

// A Reference is the text about lab.yaml, in parts that have names.
type Reference struct{ parts []part }

// part is what is said about one map, one key or one kind of check.
type part struct {
	name string // spec.setup, spec.setup.apply, reach, reach.targets
	text string // Markdown, without a heading
	key  bool   // a line of another part, not told again in the whole text
}

// New writes the reference, with these kinds of checks.
func New(kinds check.Registry) *Reference {
	said := sections(prose)
	r := &Reference{}
	r.add(part{name: "folder", text: said["folder"]})
	r.addMap("", reflect.TypeOf(lab.Document()), said)
	r.add(part{name: "checks", text: said["checks"] + "\n\nThe kinds: " + code(slices.Sorted(maps.Keys(kinds))) + "."})
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		r.addKind(name, kinds[name].Doc())
	}
	return r
}

func (r *Reference) add(p part) { r.parts = append(r.parts, p) }

// sections cuts the prose at its headings.
func sections(text string) map[string]string {
	said := map[string]string{}
	for _, section := range strings.Split("\n"+text, "\n## ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		said[strings.TrimSpace(name)] = strings.TrimSpace(body)
	}
	return said
}

// addMap adds a part for a struct of the document, and one for each struct in it. The document's own is "lab.yaml".
func (r *Reference) addMap(path string, t reflect.Type, said map[string]string) {
	name := path
	if name == "" {
		name = "lab.yaml"
	}
	var b strings.Builder
	if text := said[name]; text != "" {
		b.WriteString(text + "\n\n")
	}
	for _, f := range fieldsOf(t) {
		b.WriteString(f.line())
	}
	r.add(part{name: name, text: strings.TrimSpace(b.String())})
	for _, f := range fieldsOf(t) {
		at := strings.TrimPrefix(path+"."+f.name, ".")
		if in := inner(f.typ); in != nil {
			r.addMap(at, in, said)
			continue
		}
		r.add(part{name: at, text: strings.TrimSpace(f.line() + "\n" + said[at]), key: true})
	}
}

// addKind adds a part for a kind of check, and one for each of its keys.
func (r *Reference) addKind(name string, doc check.Doc) {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(doc.Text) + "\n")
	if doc.Example != "" {
		fmt.Fprintf(&b, "\n```yaml\n%s\n```\n", strings.Trim(doc.Example, "\n"))
	}
	var keys []part
	if doc.Params != nil {
		t := reflect.TypeOf(doc.Params)
		b.WriteString("\n" + tree(t, ""))
		keys = keysOf(name, t)
	}
	r.add(part{name: name, text: strings.TrimSpace(b.String())})
	r.parts = append(r.parts, keys...)
}

// tree lists the keys of a type, and theirs below them. What is no map is named.
func tree(t reflect.Type, indent string) string {
	in := inner(t)
	if in == nil {
		if word := kindOf(t); word != "" {
			return "Takes a " + word + ".\n"
		}
		return "" // the text says it
	}
	var b strings.Builder
	for _, f := range fieldsOf(in) {
		b.WriteString(indent + f.line())
		if inner(f.typ) != nil {
			b.WriteString(tree(f.typ, indent+"  "))
		}
	}
	return b.String()
}

// keysOf are the parts for each key below a kind.
func keysOf(path string, t reflect.Type) []part {
	in := inner(t)
	if in == nil {
		return nil
	}
	var parts []part
	for _, f := range fieldsOf(in) {
		text := f.line()
		if inner(f.typ) != nil {
			text += tree(f.typ, "  ")
		}
		parts = append(parts, part{name: path + "." + f.name, text: strings.TrimSpace(text), key: true})
		parts = append(parts, keysOf(path+"."+f.name, f.typ)...)
	}
	return parts
}

// line is a key as an item of a list.
func (f field) line() string {
	line := "- `" + f.name + "`"
	if traits := f.traits(); traits != "" {
		line += " (" + traits + ")"
	}
	if f.doc != "" {
		line += ": " + f.doc
	}
	return line + "\n"
}

// Text is the whole reference in Markdown.
func (r *Reference) Text() string {
	var b strings.Builder
	b.WriteString("# How a lab is written\n")
	for _, p := range r.parts {
		if !p.key {
			b.WriteString("\n" + p.markdown())
		}
	}
	return b.String()
}

// Part returns one part in Markdown: spec.setup, reach, reach.targets. The end of a name will do where it is the end of
// only one.
func (r *Reference) Part(name string) (text string, ok bool) {
	var short []part
	for _, p := range r.parts {
		if p.name == name {
			return p.markdown(), true
		}
		if strings.HasSuffix(p.name, "."+name) {
			short = append(short, p)
		}
	}
	if len(short) == 1 {
		return short[0].markdown(), true
	}
	return "", false
}

// Names are the names of all parts.
func (r *Reference) Names() []string {
	names := make([]string, len(r.parts))
	for i, p := range r.parts {
		names[i] = p.name
	}
	return names
}

func (p part) markdown() string { return "## " + p.name + "\n\n" + p.text + "\n" }

// code lists words as code.
func code(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return "`" + strings.Join(words, "`, `") + "`"
}
