//go:build e2e && repeat

package labs_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/verify"
	"github.com/kindlab-dev/kindlab/labs"
)

// TestRepeats looks for the verdict that is wrong once in a while: the untouched state and every solution of every lab,
// side by side, as many times as KINDLAB_E2E_ROUNDS says.
func TestRepeats(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("KINDLAB_E2E_ROUNDS"))
	if err != nil || rounds < 1 {
		t.Fatal("KINDLAB_E2E_ROUNDS wants a number of rounds: run make repeat")
	}
	s, _ := sitetest.Open(t)
	all, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	for i, entry := range all {
		if all[i], err = lab.Load(labs.FS(), entry.Name, check.Builtin()); err != nil {
			t.Fatal(err)
		}
		all[i].Mistakes = nil
	}
	v := prover(s, 0)
	v.Parallel = verify.DefaultParallel
	graded, wrong := map[string]bool{}, 0
	round := 0
	v.Observe = func(e verify.Event) {
		if e.What == verify.Spent && e.Phase == verify.Grade {
			graded[fmt.Sprint(round, e.Lab, e.Step)] = true
		}
	}
	for round = 1; round <= rounds; round++ {
		began := time.Now()
		r, err := v.Run(t.Context(), all, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range r.Labs {
			for _, f := range l.Findings {
				wrong++
				t.Errorf("round %d: %+v", round, f)
				fmt.Fprintf(os.Stderr, "round %d: %+v\n", round, f)
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d: %d states graded, %d findings, %s\n", round, rounds, len(graded), wrong, time.Since(began).Round(time.Second))
	}
}
