package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func change(done bool, ids ...string) Change {
	at := time.Date(2026, 3, 4, 5, 6, 7, 80_000_000, time.UTC)
	return Change{Time: at, Report: full(), Changed: ids, Done: done}
}

func events(t *testing.T, f Format, c Change) string {
	t.Helper()
	var b strings.Builder
	if err := f.WriteEvents(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEventsAsLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		change Change
		want   string
	}{
		{change(false, "safeguard-1", "till", "oven"), `2026-03-04T05:06:07.080Z	oven	passed	
2026-03-04T05:06:07.080Z	till	failed	the till is closed to two, want open
2026-03-04T05:06:07.080Z	safeguard-1	passed	
`},
		{change(false, "bread"), "2026-03-04T05:06:07.080Z\tbread\tblocked\tafter oven, till\n"},
		{change(true), ""},
		{change(false), ""},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, events(t, Human, tt.change)); diff != "" {
			t.Error(diff)
		}
	}
}

// Others read these names: a change of one breaks them.
func TestEventsAsJSON(t *testing.T) {
	t.Parallel()
	want := `{"apiVersion":"kindlab.dev/v1","kind":"Event","lab":"services/bakery","time":"2026-03-04T05:06:07.08Z",` +
		`"task":{"id":"oven","title":"The oven is hot","verdict":"passed","points":2,"maxPoints":2,"seconds":0.5},` +
		`"points":2,"maxPoints":9,"done":false}
{"apiVersion":"kindlab.dev/v1","kind":"Event","lab":"services/bakery","time":"2026-03-04T05:06:07.08Z","points":2,"maxPoints":9,"done":true}
`
	got := events(t, JSON, change(true, "oven"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// One object a line, whatever a cluster says.
	c := Change{Report: hostile(), Changed: []string{"till", "bread"}}
	for line := range strings.Lines(events(t, JSON, c)) {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Task == nil {
			t.Errorf("%v in %q", err, line)
		}
	}
	for line := range strings.Lines(events(t, Human, c)) {
		if strings.Count(line, "\t") != 3 {
			t.Errorf("not a row: %q", line)
		}
	}
}

func TestWriteEventsReturnsTheStreamsError(t *testing.T) {
	t.Parallel()
	for _, f := range []Format{Human, JSON} {
		if err := f.WriteEvents(closed{}, change(false, "oven")); err == nil {
			t.Errorf("%s: no error", f)
		}
	}
}
