package bench

import (
	"strings"
	"testing"
	"time"
)

func TestTableShowsBrokenClaims(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	rows := []row{
		{what: "kept", ours: time.Second, baseline: 2 * time.Second, limit: 1},
		{what: "broken", ours: 3 * time.Second, baseline: 2 * time.Second, limit: 1.25},
		{what: "shown only", ours: time.Second},
	}
	if err := write(&out, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"yes", "NO", "-"} {
		if fields := strings.Fields(lines[i+1]); fields[len(fields)-1] != want {
			t.Errorf("row %q ends in %q, want %q", lines[i+1], fields[len(fields)-1], want)
		}
	}
}

func TestMedianIgnoresOneSlowRun(t *testing.T) {
	t.Parallel()
	got := median([]time.Duration{3, 1000, 1, 2, 4})
	if got != 3 {
		t.Errorf("got %d, want 3", got)
	}
}
