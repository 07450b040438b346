package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// A Format is a way to write a Report.
type Format string

// The formats.
const (
	Human Format = "human"
	JSON  Format = "json"
)

// Formats lists them, the default first.
func Formats() []Format { return []Format{Human, JSON} }

// Style is what the stream can show.
type Style struct {
	Terminal bool // marks and layout for people; otherwise tab-separated words
	Color    bool
}

// Write writes r to w.
func (f Format) Write(w io.Writer, r Report, s Style) error {
	switch {
	case f == JSON:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case s.Terminal:
		return writeHuman(w, r, s)
	default:
		return writePlain(w, r)
	}
}

// writePlain is for pipes: one line per task, columns that awk and cut
// understand, and no word that depends on the terminal.
func writePlain(w io.Writer, r Report) error {
	var b strings.Builder
	for _, t := range r.Tasks {
		fmt.Fprintf(&b, "%s\t%s\t%d/%d\t%s\n", t.ID, t.Verdict, t.Points, t.MaxPoints, strings.Join(reasons(t), "; "))
	}
	for _, t := range r.Safeguards {
		fmt.Fprintf(&b, "%s\t%s\t\t%s\n", t.ID, t.Verdict, strings.Join(reasons(t), "; "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func reasons(t Task) []string {
	if t.Verdict == Blocked {
		return []string{"after " + strings.Join(t.After, ", ")}
	}
	var out []string
	for _, f := range t.Findings {
		text := f.Is
		if f.Want != "" {
			text += ", want " + f.Want
		}
		// A finding may quote a cluster: a tab or a newline would break the row.
		out = append(out, strings.Join(strings.Fields(text), " "))
	}
	return out
}

func writeHuman(w io.Writer, r Report, s Style) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", s.paint(bold, r.Lab), r.Title)
	width := 0
	for _, t := range r.Tasks {
		width = max(width, len(t.ID))
	}
	for _, t := range r.Tasks {
		fmt.Fprintf(&b, "  %s %-*s  %s\n", s.mark(t.Verdict), width, t.ID, t.Title)
		writeWhy(&b, t, s)
	}
	for _, t := range r.Safeguards {
		if t.Verdict != Passed {
			fmt.Fprintf(&b, "  %s %s\n", s.mark(t.Verdict), t.Title)
			writeWhy(&b, t, s)
		}
	}
	fmt.Fprintf(&b, "\n%d of %d tasks passed, %d of %d points, in %.1f s\n",
		r.Count(Passed), len(r.Tasks), r.Points, r.MaxPoints, r.Seconds)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeWhy(b *strings.Builder, t Task, s Style) {
	const indent = "      "
	switch t.Verdict {
	case Passed:
		return
	case Blocked:
		fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "first: "+strings.Join(t.After, ", ")))
		return
	case Settling:
		fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "the cluster is still on its way"))
	case Unknown:
		fmt.Fprintf(b, "%s%s\n", indent, s.paint(dim, "could not tell (this is no mark against you)"))
	case Failed:
	}
	for _, f := range t.Findings {
		fmt.Fprintf(b, "%s%s\n", indent, plain(f.Is, indent))
		for _, line := range f.More {
			fmt.Fprintf(b, "%s  %s\n", indent, plain(line, indent))
		}
		if f.Want != "" {
			fmt.Fprintf(b, "%swanted: %s\n", indent, f.Want)
		}
		if f.Look != "" {
			fmt.Fprintf(b, "%slook:   %s\n", indent, s.paint(dim, f.Look))
		}
	}
}

// plain indents further lines, and takes out control characters: the text may quote a cluster, and a cluster must not
// write to the learner's terminal.
func plain(text, indent string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\n", "\n"+indent))
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
	case Blocked:
		return s.paint(dim, "·")
	default:
		return s.paint(yellow, "?")
	}
}
