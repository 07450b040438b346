package cli

import (
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/internal/journal"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/remedy"
)

func TestFindLab(t *testing.T) {
	t.Parallel()
	labs := []*lab.Lab{
		{Name: "dns/names", ID: "names"},
		{Name: "services/clusterip", ID: "clusterip"},
		{Name: "services/names", ID: "names"},
		{Name: "services/twice", ID: "twice"},
	}
	broken := map[string]lab.Problems{
		"dns/broken": {{File: "dns/broken/lab.yaml", Line: 1, Column: 1, Text: "a tab"}},
		"dns/twice":  {{File: "dns/twice/lab.yaml", Text: "empty"}},
	}
	for name, tc := range map[string]struct{ found, err, hint string }{
		"services/clusterip": {found: "services/clusterip"},
		"clusterip":          {found: "services/clusterip"},
		"dns/names":          {found: "dns/names"},
		"names":              {err: `several labs are called "names"`, hint: "dns/names or services/names"},
		"clusterpi":          {err: `unknown lab "clusterpi"`, hint: "did you mean clusterip?"},
		"service/clusterip":  {err: `unknown lab "service/clusterip"`, hint: "did you mean services/clusterip?"},
		"broken":             {err: "dns/broken/lab.yaml:1:1: a tab"},
		"dns/broken":         {err: "dns/broken/lab.yaml:1:1: a tab"},
		"twice":              {err: `several labs are called "twice"`, hint: "dns/twice or services/twice"},
		"helm":               {err: `unknown lab "helm"`, hint: "kindlab list"},
		"":                   {err: `unknown lab ""`, hint: "kindlab list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := (&catalogue{labs: labs, broken: broken}).find(name)
			if tc.err == "" {
				if err != nil || l.Name != tc.found {
					t.Fatalf("found %v, %v; want %s", l, err, tc.found)
				}
				return
			}
			if err == nil || err.Error() != tc.err {
				t.Errorf("error %v, want %s", err, tc.err)
			}
			if !strings.Contains(remedy.Of(err), tc.hint) {
				t.Errorf("hint %q, want %q in it", remedy.Of(err), tc.hint)
			}
		})
	}
}

func TestPlaceFlags(t *testing.T) {
	t.Parallel()
	s := journal.State{Place: journal.Place{Name: "exam"}, Engines: map[string]string{"exam": "podman"}}
	elsewhere := journal.State{Place: journal.Place{Context: "prod"}}
	for name, tc := range map[string]struct {
		flags  placeFlags
		state  journal.State
		want   journal.Place
		engine string
	}{
		"nothing known":     {placeFlags{}, journal.State{}, journal.Place{Name: "kindlab"}, ""},
		"the last one":      {placeFlags{}, s, journal.Place{Name: "exam"}, "podman"},
		"a last context":    {placeFlags{}, elsewhere, journal.Place{Context: "prod"}, ""},
		"a name":            {placeFlags{name: "other"}, s, journal.Place{Name: "other"}, ""},
		"a name, known":     {placeFlags{name: "exam"}, s, journal.Place{Name: "exam"}, "podman"},
		"an engine":         {placeFlags{engine: "docker"}, s, journal.Place{Name: "exam"}, "docker"},
		"a context":         {placeFlags{context: "exam"}, s, journal.Place{Context: "exam"}, ""},
		"back from context": {placeFlags{name: "kindlab"}, elsewhere, journal.Place{Name: "kindlab"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flags := tc.flags
			if got := flags.complete(&tc.state); got != tc.want || flags.engine != tc.engine {
				t.Errorf("place %v, engine %q; want %v, %q", got, flags.engine, tc.want, tc.engine)
			}
		})
	}
}
