package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// writeGitHub writes workflow commands, which GitHub Actions shows as annotations on the run and, with a file, on the
// lines of a pull request. A blocked task has none: the one that it waits for does.
func writeGitHub(w io.Writer, r Report, s Style) error {
	var b strings.Builder
	for _, t := range slices.Concat(r.Tasks, r.Safeguards) {
		level := "error"
		switch t.Verdict {
		case Passed, Blocked:
			continue
		case Unknown:
			level = "warning"
		default:
		}
		message := append([]string{t.Title}, reasons(t)...)
		if t.Verdict == Settling {
			message = append(message, "the cluster is still on its way")
		}
		for _, f := range t.Findings {
			if f.Look != "" {
				message = append(message, "look: "+oneLine(f.Look))
			}
		}
		b.WriteString(Annotation{Level: level, Title: r.Lab + " " + t.ID, File: s.File, Message: strings.Join(message, "\n")}.String())
	}
	summary := r.Summary()
	if r.Tell != nil {
		summary += "\n" + r.Tell.Mistake + ": " + r.Tell.Text
	}
	b.WriteString(Annotation{Level: "notice", Title: r.Lab, Message: summary}.String())
	_, err := io.WriteString(w, b.String())
	return err
}

// An Annotation is one workflow command: a remark that GitHub Actions shows at a file's line, or on the run.
type Annotation struct {
	Level        string // error, warning or notice
	Title        string
	File         string // "" for a remark on the run
	Line, Column int    // from 1; 0 for the file as a whole
	Message      string
}

// String is the command in a line of its own, escaped as GitHub's toolkit does: the message, and more in what stands
// before it.
func (a Annotation) String() string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	where := "title=" + property.Replace(printable(a.Title))
	if a.File != "" {
		where += ",file=" + property.Replace(printable(a.File))
	}
	if a.Line > 0 {
		where += fmt.Sprintf(",line=%d,col=%d", a.Line, a.Column)
	}
	return fmt.Sprintf("::%s %s::%s\n", a.Level, where, data.Replace(printable(a.Message)))
}
