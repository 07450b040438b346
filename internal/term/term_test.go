package term

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func env(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := pairs[name]
		return value, ok
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		columns int
		env     map[string]string
		want    View
	}{
		"pipe":               {0, nil, View{Width: 80}},
		"pipe with TERM":     {0, map[string]string{"TERM": "xterm"}, View{Width: 80}},
		"terminal":           {90, map[string]string{"TERM": "xterm"}, View{Terminal: true, Color: true, Width: 90}},
		"very wide":          {300, nil, View{Terminal: true, Color: true, Width: 100}},
		"dumb":               {90, map[string]string{"TERM": "dumb"}, View{Width: 90}},
		"NO_COLOR":           {90, map[string]string{"NO_COLOR": "1"}, View{Terminal: true, Width: 90}},
		"NO_COLOR, any word": {90, map[string]string{"NO_COLOR": "0"}, View{Terminal: true, Width: 90}},
		"NO_COLOR empty":     {90, map[string]string{"NO_COLOR": ""}, View{Terminal: true, Color: true, Width: 90}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Detect(tc.columns, env(tc.env)); got != tc.want {
				t.Errorf("Detect = %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestPaint(t *testing.T) {
	t.Parallel()
	if got := (View{Color: true}).Paint(Green, "✓"); got != "\x1b[32m✓\x1b[0m" {
		t.Errorf("with colour: %q", got)
	}
	if got := (View{}).Paint(Green, "✓"); got != "✓" {
		t.Errorf("without colour: %q", got)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "y \n": true, "\n": false, "n\n": false, "": false} {
		var asked bytes.Buffer
		o := IO{In: strings.NewReader(answer), Err: &asked, InTTY: true}
		got, err := o.Confirm(t.Context(), "Go on?")
		if err != nil || got != want {
			t.Errorf("answer %q: %v, %v; want %v", answer, got, err, want)
		}
		if asked.String() != "Go on? [y/N] " {
			t.Errorf("asked %q", asked.String())
		}
	}
}

func TestConfirmWithNobodyThere(t *testing.T) {
	t.Parallel()
	o := IO{In: strings.NewReader("y\n"), Err: io.Discard}
	if _, err := o.Confirm(t.Context(), "Go on?"); !errors.Is(err, ErrNobody) {
		t.Errorf("error = %v, want ErrNobody", err)
	}
}

func TestConfirmEndsWithTheContext(t *testing.T) {
	t.Parallel()
	silent, hold := io.Pipe()
	t.Cleanup(func() { _ = hold.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := IO{In: silent, Err: io.Discard, InTTY: true}
	if _, err := o.Confirm(ctx, "Go on?"); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

// A word is never cut, and what hangs below stands further in than the line it belongs to.
func TestFold(t *testing.T) {
	t.Parallel()
	const text = "  ✗ reach  The queue reaches the counter\n      nobody answers: Service counter sends to port 80, and the pods listen on port 8080\n"
	for _, width := range []int{40, 80, 110} {
		folded := View{Terminal: true, Width: width}.Fold(text)
		if !slices.Equal(strings.Fields(folded), strings.Fields(text)) || !strings.HasSuffix(folded, "\n") {
			t.Errorf("%d columns: the words are others:\n%s", width, folded)
		}
		for line := range strings.Lines(folded) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n >= width {
				t.Errorf("%d columns: a line of %d:\n%s", width, n, folded)
			}
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%d columns: the indent is gone:\n%s", width, folded)
			}
		}
	}
	if got := (View{Width: 40}).Fold(text); got != text {
		t.Errorf("a pipe gets\n%s", got)
	}
}
