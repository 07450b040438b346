package remedy

import (
	"errors"
	"fmt"
	"testing"
)

func TestOfFindsTheOutermostRemedyInTheChain(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk full")
	inner := New(cause, "free some space")
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"none", cause, ""},
		{"nil", nil, ""},
		{"direct", inner, "free some space"},
		{"wrapped", fmt.Errorf("building: %w", inner), "free some space"},
		{"joined", errors.Join(errors.New("other"), inner), "free some space"},
		{"the outer one knows more", New(fmt.Errorf("up: %w", inner), "run kindlab doctor"), "run kindlab doctor"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Of(test.err); got != test.want {
				t.Errorf("Of(%v) = %q, want %q", test.err, got, test.want)
			}
		})
	}
	if !errors.Is(inner, cause) || inner.Error() != "disk full" {
		t.Errorf("a remedy changed the error: %v", inner)
	}
}
