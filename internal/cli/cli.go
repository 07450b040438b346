// Package cli is the command line: one file per command, and the only place that knows every other package.
//
// stdout is for data and stderr for talk. Errors are printed once, by Main, which also turns them into the exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/term"
)

// Build is what a binary is told of itself when it is linked. Both are looked up in the binary where they are empty.
type Build struct {
	Version string
	Grader  string // changes whenever a grade might
}

// Main runs one command line and returns the exit code of the process.
// SIGINT and SIGTERM end the context; whatever runs then tidies up, and a second signal ends the process at once.
func Main(ctx context.Context, io *term.IO, build Build, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	// client-go logs what it retries; what matters of it comes back as an error.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	d, err := newDeps(io, build)
	if err == nil {
		root := newRoot(d)
		// Not nil: cobra then reads the arguments of the process.
		root.SetArgs(append([]string{}, args...))
		err = root.ExecuteContext(ctx)
	}
	code := exitCode(ctx, err)
	complain(io, code, err)
	return code
}

// complain prints what went wrong, and what can be done about it.
func complain(io *term.IO, code int, err error) {
	var said exitStatus
	switch {
	case err == nil || errors.As(err, &said):
	case code == exitInterrupted:
		io.Sayf("%s", io.ErrView.Paint(term.Yellow, "interrupted"))
	default:
		io.Sayf("%s %s", io.ErrView.Paint(term.Red, "error:"), err)
		if hint := remedy.Of(err); hint != "" {
			io.Sayf("%s %s", io.ErrView.Paint(term.Cyan, "hint:"), hint)
		}
	}
}

// usageErrorf returns an error about how kindlab was called.
func usageErrorf(format string, a ...any) error {
	return usageError{fmt.Errorf(format, a...)}
}
