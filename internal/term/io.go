// Package term is the terminal: the streams a command talks through, what they can show, progress and Markdown.
// stdout is for data, stderr is for talk; nothing in kindlab writes to a stream it was not given.
package term

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// IO is what a command may read, write and know of its surroundings.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	// InTTY tells whether a person can answer a question on In.
	InTTY bool
	// OutView and ErrView are what the two output streams can show.
	OutView, ErrView View
	// LookupEnv reads the environment, as os.LookupEnv does.
	LookupEnv func(string) (string, bool)
}

// System returns the IO of this process.
func System() *IO {
	return &IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTTY:     term.IsTerminal(int(os.Stdin.Fd())),
		OutView:   Detect(size(os.Stdout), os.LookupEnv),
		ErrView:   Detect(size(os.Stderr), os.LookupEnv),
		LookupEnv: os.LookupEnv,
	}
}

// size returns the width of the terminal f is, or 0 if it is none.
func size(f *os.File) int {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) {
		return 0
	}
	width, _, err := term.GetSize(fd)
	if err != nil || width <= 0 {
		return defaultWidth
	}
	return width
}

// Getenv returns an environment variable, or "" if it is not set.
func (o *IO) Getenv(name string) string {
	value, _ := o.LookupEnv(name)
	return value
}

// Sayf writes a line of talk to the error stream. That the talk cannot be heard is no reason to stop.
func (o *IO) Sayf(format string, a ...any) {
	_, _ = fmt.Fprint(o.Err, o.ErrView.Fold(fmt.Sprintf(format+"\n", a...)))
}

// ErrNobody is returned by Confirm when there is nobody to ask.
var ErrNobody = errors.New("nobody to ask: the input is not a terminal")

// Confirm asks a question that takes yes or no, and no by default.
func (o *IO) Confirm(ctx context.Context, question string) (bool, error) {
	if !o.InTTY {
		return false, ErrNobody
	}
	if _, err := fmt.Fprintf(o.Err, "%s [y/N] ", question); err != nil {
		return false, err
	}
	// A read of a terminal cannot be interrupted, so Ctrl-C leaves it to the end of the process.
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(o.In).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line := <-answer:
		return line == "y" || line == "yes", nil
	}
}
