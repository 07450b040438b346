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
		timed("kept", time.Second, 2*time.Second, 1, ""),
		timed("broken", 3*time.Second, 2*time.Second, 1.25, ""),
		timed("shown only", time.Second, 0, 0, ""),
		sized("too large", 3e9, 1e9, ""),
	}
	if err := write(&out, rows); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"yes", "NO", "-", "NO"} {
		if fields := strings.Fields(lines[i+1]); fields[len(fields)-1] != want {
			t.Errorf("row %q ends in %q, want %q", lines[i+1], fields[len(fields)-1], want)
		}
	}
	if !strings.Contains(lines[4], "3000 MB") || !strings.Contains(lines[1], "1s") {
		t.Errorf("units are missing:\n%s", out.String())
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	durations := []time.Duration{3, 1000, 1, 2, 4}
	for p, want := range map[int]time.Duration{50: 3, 95: 1000, 80: 4, 1: 1} {
		if got := percentile(durations, p); got != want {
			t.Errorf("percentile %d is %d, want %d", p, got, want)
		}
	}
	if got := median(durations); got != 3 {
		t.Errorf("the median is %d, want 3: one slow run must not move it", got)
	}
}
