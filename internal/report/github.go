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
		b.WriteString(annotation(level, r.Lab+" "+t.ID, s.File, strings.Join(message, "\n")))
	}
	summary := r.Summary()
	if r.Tell != nil {
		summary += "\n" + r.Tell.Mistake + ": " + r.Tell.Text
	}
	b.WriteString(annotation("notice", r.Lab, "", summary))
	_, err := io.WriteString(w, b.String())
	return err
}

// annotation is one workflow command, escaped as GitHub's toolkit does: the message, and more in what stands before it.
func annotation(level, title, file, message string) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	where := "title=" + property.Replace(title)
	if file != "" {
		where += ",file=" + property.Replace(file)
	}
	return fmt.Sprintf("::%s %s::%s\n", level, where, data.Replace(printable(message)))
}
