package lab_test

import (
	"testing"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/labs"
)

// The catalogue itself must load without a problem, checks included.
func TestEveryLabOfTheCatalogueLoads(t *testing.T) {
	t.Parallel()
	all, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 4 {
		t.Fatalf("the catalogue has %d labs, want at least 4", len(all))
	}
	for _, l := range all {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			if _, err := lab.Load(labs.FS(), l.Name, check.Builtin()); err != nil {
				t.Error(err)
			}
		})
	}
}

func BenchmarkCatalogue(b *testing.B) {
	for b.Loop() {
		if _, err := lab.Catalogue(labs.FS()); err != nil {
			b.Fatal(err)
		}
	}
}
