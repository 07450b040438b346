package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/report"
)

// A Format is a way to write findings.
type Format string

// The formats.
const (
	Human  Format = "human" // file:line:column: level: text; remedy, as compilers write and editors read
	JSON   Format = "json"
	GitHub Format = "github" // annotations in a log of GitHub Actions
)

// Formats lists them, the default first.
func Formats() []Format { return []Format{Human, JSON, GitHub} }

// Write writes findings to w. paint colours a level, where there are colours.
func (f Format) Write(w io.Writer, findings []Finding, paint func(l Level, text string) string) error {
	switch f {
	case JSON:
		if findings == nil {
			findings = []Finding{} // programs iterate over it
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(findings)
	case GitHub:
		var b strings.Builder
		for _, one := range findings {
			level := "error"
			if one.Level == Advice {
				level = "warning"
			}
			b.WriteString(report.Annotation{
				Level: level, Title: one.Lab + " " + one.Rule, File: one.File, Line: one.Line, Column: one.Column, Message: one.message(),
			}.String())
		}
		_, err := io.WriteString(w, b.String())
		return err
	default:
		var b strings.Builder
		for _, one := range findings {
			fmt.Fprintf(&b, "%s: %s: %s\n", report.Line(one.place()), paint(one.Level, string(one.Level)), report.Line(one.message()))
		}
		_, err := io.WriteString(w, b.String())
		return err
	}
}

func (f Finding) place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

func (f Finding) message() string {
	text := f.Text
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return text + " (" + f.Rule + ")"
}

// Count is how many findings there are of a level.
func Count(findings []Finding, level Level) int {
	n := 0
	for _, f := range findings {
		if f.Level == level {
			n++
		}
	}
	return n
}
