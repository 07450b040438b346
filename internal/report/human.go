package report

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// writePlain is for pipes: one line per task, columns that awk and cut
// understand, and no word that depends on the terminal. Wide adds seconds,
// the kinds of the checks that did not pass, and the commands to look with.
func writePlain(w io.Writer, r Report, wide bool) error {
	var b strings.Builder
	row := func(t Task, points string) {
		cells := []string{t.ID, string(t.Verdict), points, strings.Join(reasons(t), "; ")}
		if wide {
			cells = append(cells, fmt.Sprintf("%.2f", t.Seconds), each(t, func(f Finding) string { return f.Check }),
				each(t, func(f Finding) string { return f.Look }))
		}
		b.WriteString(strings.Join(cells, "\t") + "\n")
	}
	for _, t := range r.Tasks {
		row(t, fmt.Sprintf("%d/%d", t.Points, t.MaxPoints))
	}
	for _, t := range r.Safeguards {
		row(t, "")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func each(t Task, what func(Finding) string) string {
	var all []string
	for _, f := range t.Findings {
		if text := oneLine(what(f)); text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, "; ")
}

// Line makes one printable line of a text that may quote a cluster or a file.
func Line(text string) string { return oneLine(text) }

// oneLine takes out what would break a row: a finding may quote a cluster.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }

// reasons says in short why a task is not passed.
func reasons(t Task) []string {
	if t.Verdict == Blocked && len(t.Findings) == 0 {
		return []string{"after " + strings.Join(t.After, ", ")}
	}
	var out []string
	for _, f := range t.Findings {
		text := f.Is
		if f.Want != "" {
			text += ", want " + f.Want
		}
		out = append(out, oneLine(text))
	}
	return out
}

func writeHuman(w io.Writer, r Report, s Style, wide bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", s.paint(bold, r.Lab), r.Title)
	width := 0
	for _, t := range r.Tasks {
		width = max(width, len(t.ID))
	}
	for _, t := range r.Tasks {
		fmt.Fprintf(&b, "  %s %-*s  %s%s\n", s.mark(t.Verdict), width, t.ID, t.Title, s.behind(t, wide))
		writeWhy(&b, t, s, wide)
	}
	for _, t := range r.Safeguards {
		if t.Verdict != Passed || wide {
			fmt.Fprintf(&b, "  %s %s%s\n", s.mark(t.Verdict), t.Title, s.behind(t, wide))
			writeWhy(&b, t, s, wide)
		}
	}
	if r.Tell != nil {
		fmt.Fprintf(&b, "\n  %s %s\n    %s\n", s.paint(yellow, "This looks familiar:"), plain(r.Tell.Mistake, ""), plain(r.Tell.Text, "    "))
	}
	fmt.Fprintf(&b, "\n%s, in %.1f s\n", r.Summary(), r.Seconds)
	_, err := io.WriteString(w, b.String())
	return err
}

// behind is what stands behind a title.
func (s Style) behind(t Task, wide bool) string {
	var words []string
	if wide && t.MaxPoints > 0 {
		words = append(words, fmt.Sprintf("%d/%d points", t.Points, t.MaxPoints))
	}
	if wide {
		words = append(words, fmt.Sprintf("%.2f s", t.Seconds))
	}
	if note := s.Notes[t.ID]; note != "" {
		words = append(words, note)
	}
	if words == nil {
		return ""
	}
	return "  " + s.paint(dim, "("+strings.Join(words, ", ")+")")
}

func writeWhy(b *strings.Builder, t Task, s Style, wide bool) {
	const indent = "      "
	switch t.Verdict {
	case Passed:
		return
	case "":
		fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "looking"))
		return
	case Blocked:
		if len(t.Findings) == 0 {
			fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "first: "+strings.Join(t.After, ", ")))
			return
		}
	case Settling:
		fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "the cluster is still on its way"))
	case Unknown:
		fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "could not tell (this is no mark against you)"))
	case Failed:
	}
	for _, f := range t.Findings {
		kind := ""
		if wide && f.Check != "" {
			kind = s.paint(dim, f.Check+":") + " "
		}
		fmt.Fprintf(b, "%s%s%s\n", indent, kind, plain(f.Is, indent))
		for _, line := range f.More {
			fmt.Fprintf(b, "%s  %s\n", indent, plain(line, indent))
		}
		if f.Want != "" {
			fmt.Fprintf(b, "%swanted: %s\n", indent, plain(f.Want, indent))
		}
		if f.Look != "" {
			fmt.Fprintf(b, "%slook:   %s\n", indent, s.paint(dim, plain(f.Look, indent)))
		}
	}
}

// plain indents further lines, and takes out control characters: the text may quote a cluster, and a cluster must not
// write to the learner's terminal.
func plain(text, indent string) string {
	return strings.ReplaceAll(printable(text), "\n", "\n"+indent)
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r) && r != '\n':
			return -1
		}
		return r
	}, text)
}

// SGR codes of the colours in use.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s Style) paint(code, text string) string {
	if !s.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// mark never relies on colour alone.
func (s Style) mark(v Verdict) string {
	switch v {
	case Passed:
		return s.paint(green, "✓")
	case Failed:
		return s.paint(red, "✗")
	case Settling:
		return s.paint(yellow, "…")
	case Blocked, "":
		return s.paint(dim, "·")
	default:
		return s.paint(yellow, "?")
	}
}
