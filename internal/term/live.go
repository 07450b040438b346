package term

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// Live is a region at the end of a terminal's output that is drawn again in place. It hides no cursor and takes no other
// screen, so whatever ends the process leaves behind what was drawn last.
type Live struct {
	w    io.Writer
	size func() (columns, rows int) // rows is 0 where nobody knows
	last string
	rows []int // the widths of the rows on the screen
	wide int   // the columns they were drawn for
}

// Live returns a region of the output stream. It is for terminals only.
func (o *IO) Live() *Live {
	l := &Live{w: o.Out, size: func() (int, int) { return o.OutView.Width, 0 }}
	if f, ok := o.Out.(interface{ Fd() uintptr }); ok {
		// Asked each time: people resize windows.
		l.size = func() (int, int) {
			columns, rows, err := term.GetSize(int(f.Fd()))
			if err != nil || columns <= 0 {
				return o.OutView.Width, 0
			}
			return columns, rows
		}
	}
	return l
}

// The sequences that draw without flicker: a terminal that knows synchronized output shows a frame at once, and each
// row is written over before what is left of the old one is erased.
const (
	beginFrame = "\x1b[?2026h"
	endFrame   = "\x1b[?2026l"
	eraseRest  = "\x1b[K"
	eraseBelow = "\x1b[J"
)

// Draw shows text in place of what was drawn before. Lines that are too long are folded under their own indent; where
// they are too many, the last one stays and others make room for it.
func (l *Live) Draw(text string) error {
	columns, height := l.size()
	lines := fold(text, columns)
	// The cursor has a row of its own, below the last line.
	if keep := height - 3; keep > 0 && len(lines) >= height {
		lines = append(lines[:keep:keep], fmt.Sprintf("  … %d more lines", len(lines)-keep-1), lines[len(lines)-1])
	}
	return l.show(lines, columns)
}

// Close shows text in full below what stands above the region, and gives the region up.
func (l *Live) Close(text string) error {
	columns, _ := l.size()
	err := l.show(fold(text, columns), columns)
	l.last, l.rows = "", nil
	return err
}

func (l *Live) show(lines []string, columns int) error {
	frame := strings.Join(lines, "\n")
	if frame == l.last && columns == l.wide && l.rows != nil {
		return nil
	}
	var b bytes.Buffer
	b.WriteString(beginFrame)
	if up := l.height(columns); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	l.rows = l.rows[:0]
	for _, line := range lines {
		b.WriteString("\r" + line + eraseRest + "\r\n")
		l.rows = append(l.rows, ansi.StringWidth(line))
	}
	b.WriteString(eraseBelow + endFrame)
	l.last, l.wide = frame, columns
	_, err := l.w.Write(b.Bytes())
	return err
}

// height is how many rows the region takes. A terminal that became narrower has folded them.
func (l *Live) height(columns int) int {
	n := 0
	for _, width := range l.rows {
		n += max(1, (width+columns-1)/max(1, columns))
	}
	return n
}

// fold breaks lines at words so that none is as wide as the terminal: in the last column, erasing the rest of a row
// takes its last letter too.
func fold(text string, columns int) []string {
	columns = max(8, columns-1)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		body := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(body)]
		if len(indent) > columns/3 {
			indent = indent[:columns/3]
		}
		if indent == "" {
			lines = append(lines, strings.Split(ansi.Wrap(body, columns, ""), "\n")...)
			continue
		}
		// What hangs below stands two further in, so that it does not look like a line of its own.
		first, rest, _ := strings.Cut(ansi.Wrap(body, columns-len(indent)-2, ""), "\n")
		lines = append(lines, indent+first)
		for part := range strings.SplitSeq(rest, "\n") {
			if part != "" {
				lines = append(lines, indent+"  "+part)
			}
		}
	}
	return lines
}
