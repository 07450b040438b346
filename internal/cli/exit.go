package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// The exit codes; `kindlab help exit-codes` explains them.
const (
	exitOK          = 0
	exitNotPassed   = 1
	exitUsage       = 2
	exitTrouble     = 3
	exitInterrupted = 130
)

// usageError is a command line that kindlab does not understand.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitStatus ends a command with a code when all has been said: a grade that is not a pass, findings that are bad, or
// the exit code of kubectl.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// exitCode is the one place where errors become exit codes.
func exitCode(ctx context.Context, err error) int {
	var status exitStatus
	var usage usageError
	var problems lab.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	// Asked of the context and not of the error: a killed child process says "signal: interrupt", not "canceled".
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &usage), errors.As(err, &problems):
		return exitUsage
	default:
		return exitTrouble
	}
}
