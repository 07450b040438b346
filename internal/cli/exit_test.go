package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
	"github.com/kindlab-dev/kindlab/internal/term"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context //nolint:containedctx // a table of them
		err  error
		want int
	}{
		"nothing":             {t.Context(), nil, 0},
		"a grade":             {t.Context(), exitStatus(1), 1},
		"a wrapped grade":     {t.Context(), fmt.Errorf("grading: %w", exitStatus(3)), 3},
		"wrong use":           {t.Context(), usageErrorf("unknown lab"), 2},
		"wrong use, remedied": {t.Context(), remedy.New(usageErrorf("unknown lab"), "list"), 2},
		"a bad lab":           {t.Context(), fmt.Errorf("loading: %w", lab.Problems{{File: "lab.yaml"}}), 2},
		"trouble":             {t.Context(), errors.New("no engine"), 3},
		"a timeout":           {t.Context(), context.DeadlineExceeded, 3},
		"interrupted":         {cancelled, errors.New("signal: killed"), 130},
		"cancelled inside":    {t.Context(), fmt.Errorf("waiting: %w", context.Canceled), 130},
		"done all the same":   {cancelled, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := exitCode(tc.ctx, tc.err); got != tc.want {
				t.Errorf("exit code %d, want %d", got, tc.want)
			}
		})
	}
}

func TestComplain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code int
		err  error
		want string
	}{
		"nothing":     {0, nil, ""},
		"said":        {1, exitStatus(1), ""},
		"error":       {3, errors.New("no engine"), "error: no engine\n"},
		"remedy":      {3, fmt.Errorf("up: %w", remedy.New(errors.New("no engine"), "install one")), "error: up: no engine\nhint: install one\n"},
		"interrupted": {130, context.Canceled, "interrupted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			complain(&term.IO{Err: &out}, tc.code, tc.err)
			if out.String() != tc.want {
				t.Errorf("said %q, want %q", out.String(), tc.want)
			}
		})
	}
}
