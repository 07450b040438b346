package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one claim: ours beside the baseline, and the ratio it may have at most. A zero limit claims nothing.
type row struct {
	what           string
	ours, baseline time.Duration
	limit          float64
	note           string
}

func (r row) ratio() float64 {
	if r.baseline == 0 {
		return 0
	}
	return float64(r.ours) / float64(r.baseline)
}

func (r row) kept() bool { return r.limit == 0 || r.ratio() <= r.limit }

// write prints the rows as a table; Flush reports what went wrong on the way.
func write(w io.Writer, rows []row) error {
	table := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "WHAT\tKINDLAB\tBASELINE\tRATIO\tLIMIT\tKEPT\tNOTE")
	for _, r := range rows {
		limit, kept := "-", "-"
		if r.limit > 0 {
			limit, kept = fmt.Sprintf("%.2f", r.limit), "yes"
			if !r.kept() {
				kept = "NO"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%.2f\t%s\t%s\t%s\n", r.what, short(r.ours), short(r.baseline), r.ratio(), limit, kept, r.note)
	}
	return table.Flush()
}

func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond / 10).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// median is the middle of the durations: one slow run on a noisy machine does not move it.
func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
