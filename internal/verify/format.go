package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Format is a way to write a Report.
type Format string

// The formats.
const (
	Human    Format = "human"
	JSON     Format = "json"
	JUnit    Format = "junit"    // for continuous integration: XML
	Markdown Format = "markdown" // for a pull request
)

// Formats lists them, the default first.
func Formats() []Format { return []Format{Human, JSON, JUnit, Markdown} }

// Write writes r to w. Human on a stream that is no terminal is a line of tab-separated words for each lab and finding.
func (f Format) Write(w io.Writer, r Report, terminal bool) error {
	switch {
	case f == JSON:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(r)
	case f == JUnit:
		return writeJUnit(w, r)
	case f == Markdown:
		return writeMarkdown(w, r)
	case terminal:
		return writeHuman(w, r)
	default:
		return writePlain(w, r)
	}
}

// verdict is a lab's state in one word.
func (l Lab) verdict() string {
	switch {
	case l.Proved:
		return "proved"
	case len(l.Findings) == 0:
		return "interrupted"
	}
	for _, f := range l.Findings {
		if !f.Unclear {
			return "failed"
		}
	}
	return "unknown"
}

func (l Lab) mark() string {
	return map[string]string{"proved": "✓", "failed": "✗", "unknown": "?", "interrupted": "-"}[l.verdict()]
}

func writePlain(w io.Writer, r Report) error {
	var b strings.Builder
	for _, l := range r.Labs {
		cached := ""
		if l.Cached {
			cached = "cached"
		}
		fmt.Fprintf(&b, "lab\t%s\t%s\t%s\t%s\t%.1f\t%s\n", l.Name, l.verdict(), l.Listed, l.Generated, l.Seconds, cached)
		for _, m := range l.Mutants {
			if m.Outcome == Slipped || m.Outcome == Excused {
				fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", m.Outcome, l.Name, m.Name, oneLine(m.Change))
			}
		}
		for _, f := range l.Findings {
			fmt.Fprintf(&b, "finding\t%s\t%s\t%s\t%s\n", f.Lab, f.Phase, f.Step, oneLine(f.Is))
		}
		for _, f := range l.Doubts {
			fmt.Fprintf(&b, "doubt\t%s\t%s\t%s\t%s\n", f.Lab, f.Phase, f.Step, oneLine(f.Is))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeHuman(w io.Writer, r Report) error {
	var b strings.Builder
	width := 0
	for _, l := range r.Labs {
		width = max(width, len(l.Name))
	}
	for _, l := range r.Labs {
		fmt.Fprintf(&b, "%s %-*s  %s\n", l.mark(), width, l.Name, l.sentence())
		for _, name := range l.slipped() {
			fmt.Fprintf(&b, "    passes: %s\n", name)
		}
		for _, f := range l.Findings {
			where := string(f.Phase)
			if f.Step != "" {
				where += ", " + f.Step
			}
			fmt.Fprintf(&b, "    %s\n      %s\n", where, strings.ReplaceAll(strings.TrimSpace(f.Is), "\n", "\n      "))
			if f.Look != "" {
				fmt.Fprintf(&b, "      look: %s\n", f.Look)
			}
		}
		for _, f := range l.Doubts {
			fmt.Fprintf(&b, "    looked twice: %s\n      at first: %s\n", f.Step, oneLine(f.Is))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.summary())
	if profile := r.profile(); profile != "" {
		fmt.Fprintf(&b, "%s\n%s\n", profile, r.slowest())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sentence is a lab's result for people.
func (l Lab) sentence() string {
	words := []string{fmt.Sprintf("listed %s, generated %s", l.Listed, l.Generated)}
	if l.Refused > 0 {
		words = append(words, fmt.Sprintf("%d refused by the API server", l.Refused))
	}
	if l.Excused > 0 {
		words = append(words, fmt.Sprintf("%d excused", l.Excused))
	}
	took := fmt.Sprintf("%.1f s", l.Seconds)
	if l.Cached {
		took = "cached: nothing has changed since it was proved"
	}
	if l.Known > 0 {
		took += fmt.Sprintf(", %d states known from before", l.Known)
	}
	return strings.Join(append(words, took), ", ")
}

func (r Report) summary() string {
	return fmt.Sprintf("%d of %d labs proved, in %.1f s", r.proved(), len(r.Labs), r.Seconds)
}

// profile is where the time went; "" where none was spent.
func (r Report) profile() string {
	var words []string
	for _, phase := range phases() {
		if seconds := r.Phases[string(phase)]; seconds > 0 {
			words = append(words, fmt.Sprintf("%s %.1f s", phase, seconds))
		}
	}
	if words == nil {
		return ""
	}
	return "time by phase, of all labs: " + strings.Join(words, ", ")
}

// slowest are the states that took longest, for whoever wants their lab proved sooner; "" where none was made.
func (r Report) slowest() string {
	type state struct {
		words   string
		seconds float64
	}
	var all []state
	for _, l := range r.Labs {
		for _, s := range l.Steps {
			all = append(all, state{fmt.Sprintf("%s, %s %.1f s", l.Name, s.Name, s.Seconds()), s.Seconds()})
		}
	}
	slices.SortStableFunc(all, func(a, b state) int { return cmp.Compare(b.seconds, a.seconds) })
	var words []string
	for _, s := range all[:min(3, len(all))] {
		words = append(words, s.words)
	}
	if words == nil {
		return ""
	}
	return "slowest: " + strings.Join(words, "; ")
}

func writeMarkdown(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| lab | result | listed | generated | refused | seconds |\n|---|---|---|---|---|---|\n", r.summary())
	for _, l := range r.Labs {
		took := fmt.Sprintf("%.1f", l.Seconds)
		if l.Cached {
			took = "cached"
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s | %d | %s |\n", l.Name, l.mark(), l.verdict(), l.Listed, l.Generated, l.Refused, took)
	}
	if profile := r.profile(); profile != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(profile[:1])+profile[1:]+".")
	}
	for _, f := range r.findings() {
		fmt.Fprintf(&b, "\n- **%s**, %s", f.Lab, f.Phase)
		if f.Step != "" {
			fmt.Fprintf(&b, ", %s", markdown(f.Step))
		}
		fmt.Fprintf(&b, ": %s\n", markdown(f.Is))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown is text on one line that means nothing else in Markdown.
func markdown(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*", "_", "\\_", "`", "\\`").Replace(oneLine(text))
}
