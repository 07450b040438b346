package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/term"
)

type listOptions struct {
	output format
}

func newListCommand(d *deps) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the labs",
		GroupID: groupLabs,
		Args:    arguments(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return o.run(d) },
	}
	formatVar(cmd, &o.output)
	return cmd
}

// listed is a lab as list shows it.
type listed struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Level   string `json:"level"`
	Minutes int    `json:"minutes"`
	Tasks   int    `json:"tasks"`
	Status  string `json:"status,omitempty"` // started, tried or solved
}

func (o *listOptions) run(d *deps) error {
	catalogue, err := d.readCatalogue()
	if err != nil {
		return err
	}
	labs := catalogue.labs
	if len(labs) == 0 && len(catalogue.broken) == 0 {
		d.io.Sayf("There is no lab in %s: a lab is a folder TOPIC/NAME with a lab.yaml. Begin one: kindlab --labs %s new TOPIC/NAME",
			d.labsDir, d.labsDir)
	}
	s, err := d.journal.Read()
	if err != nil {
		return err
	}
	rows := make([]listed, 0, len(labs))
	for _, l := range labs {
		rows = append(rows, listed{l.Name, l.Title, l.Level, l.Minutes, len(l.Tasks), progress(&s, l)})
	}
	if o.output == formatJSON {
		return writeJSON(d, rows)
	}
	return d.writeTable(listTable(d, rows))
}

func progress(s *journal.State, l *lab.Lab) string {
	p := s.Progress[l.Name]
	switch {
	case s.Place != (journal.Place{}) && s.Current(s.Place) == l.Name:
		return "started"
	case !p.Solved.IsZero():
		return "solved"
	case p.Checks > 0:
		return "tried"
	}
	return ""
}

func listTable(d *deps, rows []listed) [][]string {
	table := make([][]string, 0, 1+len(rows))
	table = append(table, []string{"NAME", "LEVEL", "TIME", "STATUS", "TITLE"})
	for _, r := range rows {
		table = append(table, []string{r.Name, r.Level, fmt.Sprintf("%d min", r.Minutes), dash(r.Status), r.Title})
	}
	if d.io.OutView.Terminal {
		return table
	}
	return table[1:]
}

// dash stands for what is not there: an empty cell would shift the columns for awk.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeTable lines columns up on a terminal, where the first row is a heading, and separates them by tabs in a pipe.
func (d *deps) writeTable(rows [][]string) error {
	var b strings.Builder
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for n, row := range rows {
		if !d.io.OutView.Terminal {
			b.WriteString(strings.Join(row, "\t") + "\n")
			continue
		}
		var line strings.Builder
		for i, cell := range row {
			if i == len(row)-1 {
				line.WriteString(cell)
				break
			}
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		if n == 0 {
			b.WriteString(d.io.OutView.Paint(term.Faint, line.String()) + "\n")
			continue
		}
		b.WriteString(line.String() + "\n")
	}
	return d.print(b.String())
}

// print writes data.
func (d *deps) print(s string) error {
	_, err := fmt.Fprint(d.io.Out, s)
	return err
}

func writeJSON(d *deps, v any) error {
	e := json.NewEncoder(d.io.Out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
