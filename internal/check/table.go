package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// A table is a truth table: which client may reach which target.
type table struct {
	rows, columns []string
	allow         map[[2]string]bool // absent for cells that are "-"
}

// tableText is the written form, kept with its place until the names are known.
type tableText struct {
	node lab.Node
	text string
}

// DecodeNode takes any string.
func (t *tableText) DecodeNode(n lab.Node) lab.Problems {
	text, ok := n.Text()
	if !ok || strings.TrimSpace(text) == "" {
		return lab.Problems{n.Problem("expected a table: a line with from and the targets, then one line for each client with allow, deny or -")}
	}
	t.node, t.text = n, text
	return nil
}

// corner begins the head. YAML measures a block's indent by its first line, so
// that line cannot begin with a gap.
const corner = "from"

// Schema tells editors that it is text.
func (tableText) Schema() *lab.Schema { return &lab.Schema{Title: "table", Type: "string"} }

// parse reads the table: a head of target names, then a line for each client.
func (t tableText) parse(clients, targets []string) (table, lab.Problems) {
	out := table{allow: map[[2]string]bool{}}
	var problems lab.Problems
	bad := func(line int, format string, args ...any) {
		problems = append(problems, t.node.LineProblem(line, format, args...))
	}
	names := func(line int, name string, known []string, what string) {
		if !slices.Contains(known, name) {
			bad(line, "unknown %s %q, expected one of %s", what, name, strings.Join(known, ", "))
		}
	}
	for i, line := range strings.Split(t.text, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
			continue
		case out.columns == nil:
			if f[0] != corner || len(f) == 1 {
				bad(i, "expected a head: %s and the names of targets", corner)
			}
			out.columns = f[1:]
			for column, name := range f[1:] {
				names(i, name, targets, "target")
				if slices.Contains(f[1:column+1], name) {
					bad(i, "target %q has two columns", name)
				}
			}
			continue
		case len(f) != len(out.columns)+1:
			bad(i, "expected a client and %d cells, found %d", len(out.columns), len(f)-1)
			continue
		}
		names(i, f[0], clients, "client")
		if slices.Contains(out.rows, f[0]) {
			bad(i, "client %q has two lines", f[0])
		}
		out.rows = append(out.rows, f[0])
		for col, cell := range f[1:] {
			switch cell {
			case "allow", "deny":
				out.allow[[2]string{f[0], out.columns[col]}] = cell == "allow"
			case "-":
			default:
				bad(i, "expected allow, deny or -, found %q", cell)
			}
		}
	}
	if len(problems) == 0 && len(out.allow) == 0 {
		problems = append(problems, t.node.Problem("expected at least one cell with allow or deny"))
	}
	return out, problems
}

// draw lays the table out with what was found; wrong cells say what was wanted.
func (t table) draw(found map[[2]string]bool) []string {
	width := 0
	for _, r := range t.rows {
		width = max(width, len(r))
	}
	lines := []string{fmt.Sprintf("%-*s", width, "")}
	for _, c := range t.columns {
		lines[0] += fmt.Sprintf("  %-*s", cellWidth(c), c)
	}
	for _, r := range t.rows {
		var line strings.Builder
		fmt.Fprintf(&line, "%-*s", width, r)
		for _, c := range t.columns {
			want, asked := t.allow[[2]string{r, c}]
			cell := "-"
			if got := found[[2]string{r, c}]; asked {
				cell = word(got)
				if got != want {
					cell += ", want " + word(want)
				}
			}
			fmt.Fprintf(&line, "  %-*s", cellWidth(c), cell)
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	lines[0] = strings.TrimRight(lines[0], " ")
	return lines
}

const widestCell = len("open, want closed")

func cellWidth(name string) int { return max(len(name), widestCell) }

func word(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
