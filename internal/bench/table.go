package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// unit is what a row counts.
type unit string

const (
	seconds   unit = "s"
	megabytes unit = "MB"
)

// row is one claim: ours beside the baseline, and the ratio it may have at most. A zero limit claims nothing.
type row struct {
	what           string
	ours, baseline float64
	unit           unit
	limit          float64
	note           string
}

// timed is a row of two durations.
func timed(what string, ours, baseline time.Duration, limit float64, note string) row {
	return row{what: what, ours: ours.Seconds(), baseline: baseline.Seconds(), unit: seconds, limit: limit, note: note}
}

// sized is a row of two sizes in bytes.
func sized(what string, ours, baseline int64, note string) row {
	return row{what: what, ours: float64(ours) / 1e6, baseline: float64(baseline) / 1e6, unit: megabytes, limit: 1, note: note}
}

// shownOnly is the row without a claim.
func (r row) shownOnly() row {
	r.limit = 0
	return r
}

func (r row) ratio() float64 {
	if r.baseline == 0 {
		return 0
	}
	return r.ours / r.baseline
}

func (r row) kept() bool { return r.limit == 0 || r.ratio() <= r.limit }

// write prints the rows as a table; Flush reports what went wrong on the way.
func write(w io.Writer, rows []row) error {
	table := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "WHAT\tKINDLAB\tBASELINE\tRATIO\tLIMIT\tKEPT\tNOTE")
	for _, r := range rows {
		limit, kept := "-", "-"
		if r.limit > 0 {
			limit, kept = fmt.Sprintf("%.3f", r.limit), "yes"
			if !r.kept() {
				kept = "NO"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%.3f\t%s\t%s\t%s\n", r.what, r.unit.format(r.ours), r.unit.format(r.baseline), r.ratio(), limit, kept, r.note)
	}
	return table.Flush()
}

func (u unit) format(value float64) string {
	if u != seconds {
		return fmt.Sprintf("%.0f %s", value, u)
	}
	d := time.Duration(value * float64(time.Second))
	if d < time.Second {
		return d.Round(time.Millisecond / 10).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// median is the middle of the durations: one slow run on a noisy machine does not move it.
func median(of []time.Duration) time.Duration { return percentile(of, 50) }

// percentile is the smallest of the durations that p percent of them do not exceed.
func percentile(of []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
