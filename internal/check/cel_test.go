package check

import (
	"strings"
	"testing"
)

func TestDearExpressionsAreStopped(t *testing.T) {
	t.Parallel()
	const ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
	p, err := compileCEL(strings.Repeat(ten+".all(x, ", 6) + "object.a >= x" + strings.Repeat(")", 6))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = p.eval(t.Context(), map[string]any{"object": map[string]any{"a": 10}})
	if err == nil || !strings.Contains(err.Error(), "cost limit exceeded") {
		t.Errorf("got %v for a million comparisons, want the limit", err)
	}
}
