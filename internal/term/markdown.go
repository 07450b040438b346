package term

import (
	"regexp"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Markdown returns text as the output stream shows it best: laid out for a terminal, and untouched in a pipe, where
// Markdown is already the better format. It knows what labs are written in: headings, paragraphs, lists, quotes, code
// and tables. A full renderer would cost every command, also `list`, some 15 ms of tables set up before main.
func (o *IO) Markdown(text string) string {
	if !o.OutView.Terminal {
		return text
	}
	l := layout{view: o.OutView}
	l.out.WriteByte('\n')
	for line := range strings.Lines(text) {
		l.line(strings.TrimRight(line, "\r\n"))
	}
	l.flush()
	l.out.WriteByte('\n')
	return l.out.String()
}

// margin is what stands left of everything.
const margin = "  "

// layout is text on its way from lines of Markdown to lines of a terminal.
type layout struct {
	view  View
	out   strings.Builder
	fence bool // within a block of code
	// The paragraph that is being read, and what stands before its first line and before the others.
	paragraph   []string
	first, rest string
}

var (
	heading = regexp.MustCompile(`^#{1,6}\s+(.*)$`)
	item    = regexp.MustCompile(`^(\s*)([-*+]|\d+[.)])\s+(.*)$`)
	quote   = regexp.MustCompile(`^>\s?(.*)$`)
	code    = regexp.MustCompile("`([^`]+)`")
	strong  = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	link    = regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`)
)

func (l *layout) line(s string) {
	fenced := strings.HasPrefix(strings.TrimSpace(s), "```")
	switch {
	case fenced:
		l.flush()
		l.fence = !l.fence
	case l.fence:
		l.write(margin + l.view.Paint(Yellow, s))
	case strings.TrimSpace(s) == "":
		l.flush()
		l.write("")
	case heading.MatchString(s):
		l.flush()
		l.write(l.view.Paint(Bold, heading.FindStringSubmatch(s)[1]))
	case item.MatchString(s):
		l.flush()
		m := item.FindStringSubmatch(s)
		bullet := m[2]
		if len(bullet) == 1 {
			bullet = "•"
		}
		l.first = m[1] + bullet + " "
		l.rest = strings.Repeat(" ", ansi.StringWidth(l.first))
		l.paragraph = []string{m[3]}
	case quote.MatchString(s):
		if l.first != "│ " {
			l.flush()
		}
		l.first, l.rest = "│ ", "│ "
		l.paragraph = append(l.paragraph, quote.FindStringSubmatch(s)[1])
	case strings.HasPrefix(s, "|"): // a table is lined up in its source
		l.flush()
		l.write(l.inline(s))
	case strings.HasPrefix(s, "    ") && len(l.paragraph) == 0:
		l.write(l.view.Paint(Yellow, s))
	default:
		l.paragraph = append(l.paragraph, strings.TrimSpace(s))
	}
}

// flush writes the paragraph that has come to its end.
func (l *layout) flush() {
	if len(l.paragraph) > 0 {
		text := l.inline(strings.Join(l.paragraph, " "))
		prefix := l.first
		for line := range strings.Lines(ansi.Wordwrap(text, max(20, l.view.Width-len(margin)-ansi.StringWidth(l.first)), "")) {
			l.write(prefix + strings.TrimSuffix(line, "\n"))
			prefix = l.rest
		}
	}
	l.paragraph, l.first, l.rest = nil, "", ""
}

// inline paints what is marked within a line. Without colours the marks stay, since they carry a meaning.
func (l *layout) inline(s string) string {
	s = link.ReplaceAllString(s, "$1 ($2)")
	if !l.view.Color {
		return s
	}
	s = code.ReplaceAllStringFunc(s, func(m string) string { return l.view.Paint(Yellow, strings.Trim(m, "`")) })
	return strong.ReplaceAllStringFunc(s, func(m string) string { return l.view.Paint(Bold, strings.Trim(m, "*")) })
}

func (l *layout) write(line string) {
	if line != "" {
		line = margin + line
	}
	l.out.WriteString(line + "\n")
}
