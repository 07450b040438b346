package term

import "strings"

// defaultWidth is used where a terminal does not tell its width.
const defaultWidth = 80

// maxWidth is the longest line of prose that reads well.
const maxWidth = 100

// View is what a stream can show.
type View struct {
	// Terminal is set when a person watches and the cursor can be moved, so that a line may be drawn again.
	Terminal bool
	// Color is set when ANSI colours may be used. Colour never carries a meaning of its own.
	Color bool
	// Width is the number of columns to fill.
	Width int
}

// Detect tells what a stream can show from the width of its terminal, 0 if it is none, and the environment.
func Detect(columns int, lookupEnv func(string) (string, bool)) View {
	if columns == 0 {
		return View{Width: defaultWidth}
	}
	v := View{Terminal: true, Color: true, Width: min(columns, maxWidth)}
	// A dumb terminal has neither cursor movement nor colour; Emacs's shell is one.
	if value, _ := lookupEnv("TERM"); value == "dumb" {
		return View{Width: v.Width}
	}
	// https://no-color.org: set and not empty, whatever its value.
	if value, _ := lookupEnv("NO_COLOR"); value != "" {
		v.Color = false
	}
	return v
}

// Paint is one of the 16 ANSI colours, which follow the learner's theme, or a weight.
type Paint string

// The paints in use.
const (
	Bold   Paint = "1"
	Faint  Paint = "2"
	Red    Paint = "31"
	Green  Paint = "32"
	Yellow Paint = "33"
	Cyan   Paint = "36"
)

// Paint returns s in paint p where the stream shows colours, and as it is elsewhere.
func (v View) Paint(p Paint, s string) string {
	if !v.Color || s == "" {
		return s
	}
	return "\x1b[" + string(p) + "m" + s + "\x1b[0m"
}

// Fold breaks the lines of text at words for a terminal, each part with the indent of its line; a pipe gets them whole.
func (v View) Fold(text string) string {
	if !v.Terminal || text == "" {
		return text
	}
	end := ""
	if strings.HasSuffix(text, "\n") {
		end = "\n"
	}
	return strings.Join(fold(text, v.Width), "\n") + end
}
