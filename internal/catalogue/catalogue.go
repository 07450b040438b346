// Package catalogue writes the page of all labs, labs/README.md: the author's guide, then a table of the labs with what
// has been proved of them.
package catalogue

import (
	_ "embed" // the guide
	"fmt"
	"slices"
	"strings"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

//go:embed guide.md
var guide string

// notYet stands where nothing has been proved of a lab as it is now.
const notYet = "not yet"

// Page returns the page in Markdown. A record counts for the lab whose content it was made of, and for no later one.
func Page(labs []*lab.Lab, records []verify.Record) (string, error) {
	var b strings.Builder
	b.WriteString(guide)
	b.WriteString("| topic | lab | level | minutes | tasks | what it answers | strength | verified on |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	topic := ""
	for _, l := range slices.SortedFunc(slices.Values(labs), func(a, b *lab.Lab) int { return strings.Compare(a.Name, b.Name) }) {
		strength, on, err := proved(l, records)
		if err != nil {
			return "", err
		}
		heading := ""
		if l.Topic != topic {
			heading = "**" + cell(l.Topic) + "**"
		}
		topic = l.Topic
		fmt.Fprintf(&b, "| %s | [%s](%s/README.md): %s | %s | %d | %d | %s | %s | %s |\n", heading, cell(l.ID), l.Name, cell(l.Title),
			l.Level, l.Minutes, len(l.Tasks), answers(l), strength, on)
	}
	return b.String(), nil
}

// proved says how strong a lab's grader is, and where that was seen.
func proved(l *lab.Lab, records []verify.Record) (strength, on string, err error) {
	i := slices.IndexFunc(records, func(r verify.Record) bool { return r.Lab == l.Name })
	if i < 0 {
		return notYet, notYet, nil
	}
	hash, err := l.Hash()
	if err != nil {
		return "", "", err
	}
	r := records[i]
	if r.Hash != hash {
		return notYet, notYet, nil
	}
	strength = fmt.Sprintf("%s listed, %s generated", r.Listed, r.Generated)
	return strength, "Kubernetes " + cell(r.Kubernetes) + ", " + cell(r.CNI), nil
}

// answers are the lab's questions, each on a line of its own.
func answers(l *lab.Lab) string {
	lines := make([]string, len(l.Answers))
	for i, question := range l.Answers {
		lines[i] = cell(question)
	}
	return strings.Join(lines, "<br>")
}

// cell makes one cell's text of any: a lab may come from anywhere.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`).Replace(text)
}
