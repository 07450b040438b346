//go:build e2e && repeat

package labs_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/verify"
	"github.com/kindlab-dev/kindlab/labs"
)

// TestRepeats looks for the verdict that is wrong once in a while: the untouched state and every solution of every lab, or
// of those in KINDLAB_E2E_LABS, side by side, as many times as KINDLAB_E2E_ROUNDS says.
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
	if only := strings.Fields(os.Getenv("KINDLAB_E2E_LABS")); len(only) > 0 {
		all = slices.DeleteFunc(all, func(l *lab.Lab) bool { return !slices.Contains(only, l.Name) })
		for _, name := range only {
			if !slices.ContainsFunc(all, func(l *lab.Lab) bool { return l.Name == name }) {
				t.Fatalf("KINDLAB_E2E_LABS names %s, and there is no such lab", name)
			}
		}
	}
	v := prover(s, 0)
	v.Parallel, v.Repeat = verify.DefaultParallel, rounds
	began := time.Now()
	graded, wrong, ended := map[string]int{}, 0, 0
	v.Observe = func(e verify.Event) {
		switch {
		case e.What == verify.Spent && e.Phase == verify.Grade:
			graded[e.Lab]++
		case e.What == verify.Found, e.What == verify.Doubted:
			// A doubt is a verdict that was wrong, though a second look, with the lab reset, was right.
			wrong++
			t.Errorf("%s", e.Finding)
			fmt.Fprintf(os.Stderr, "wrong: %s\n", e.Finding)
		case e.What == verify.Ended:
			ended++
			fmt.Fprintf(os.Stderr, "%d of %d labs, the last %s: %d states graded, %d wrong, %s\n",
				ended, len(all), e.Lab, graded[e.Lab], wrong, time.Since(began).Round(time.Second))
		}
	}
	if _, err := v.Run(t.Context(), all, all); err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if want := rounds * (1 + len(l.Solutions)); graded[l.Name] < want {
			t.Errorf("%s: %d states graded, want %d", l.Name, graded[l.Name], want)
		}
	}
}
