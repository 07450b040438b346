package verify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

func TestAnExceptionExcusesByName(t *testing.T) {
	t.Parallel()
	mutants, err := verify.Mutants(load(t, files([]string{"room"}), "room"), check.Builtin(), true, 4)
	if err != nil {
		t.Fatal(err)
	}
	var exceptions strings.Builder
	for _, m := range mutants {
		fmt.Fprintf(&exceptions, "  - {from: %q, because: tea is tea}\n", m.Name)
	}
	graded := 0
	f := &stageFake{holdErr: errors.New("no room"), hasty: func(string) bool { return true }, grade: func(state string, r *report.Report) {
		if state == "generated" {
			graded++
			r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
		}
	}}
	got := prove(t, f, load(t, files([]string{"room"}, "  solutions:", "  exceptions:\n"+exceptions.String()+"  solutions:"), "room"))
	if !got.Proved || got.Excused != 4 || got.Generated.Tried != 0 || graded != 4 { // what is expected is believed at once
		t.Errorf("%d grades: %+v", graded, got)
	}
	got = prove(t, &stageFake{}, load(t, files([]string{"room"}, "  solutions:", "  exceptions: [{from: rain, because: it is dry}]\n  solutions:"), "room"))
	if len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Is, `no generated mistake is called "rain"`) {
		t.Errorf("findings %v", got.Findings)
	}
}

// What passes right after an undo may owe that to the mistake before, so it is tried again from a reset.
func TestAMistakeThatPassesAfterAnUndoIsTriedAgain(t *testing.T) {
	t.Parallel()
	graded := 0
	f := &stageFake{holdErr: errors.New("no room"), hasty: func(string) bool { return true }}
	f.grade = func(state string, r *report.Report) {
		if state != "generated" {
			return
		}
		if graded++; graded == 2 { // the first after an undo
			r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
		}
	}
	got := prove(t, f, load(t, files([]string{"room"}), "room"))
	if diff := cmp.Diff(verify.Strength{Caught: 4, Tried: 4}, got.Generated); diff != "" || graded != 5 {
		t.Errorf("%d grades, %s", graded, diff)
	}
	if len(got.Doubts) != 1 || got.Doubts[0].Is != "everything passed" || !got.Proved {
		t.Errorf("proved %t, doubts %+v; want the first look told of, and no fault", got.Proved, got.Doubts)
	}
	resets := slices.DeleteFunc(f.log, func(line string) bool { return line != "reset generated" })
	if len(resets) != 1 {
		t.Errorf("%d resets, want one", len(resets))
	}
}

// Generated mistakes are made on top of the solution where that is the same, and from the beginning where it shows nothing.
func TestGeneratedMistakesAreMadeOnTopOfTheSolution(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		passes bool // the first of them, on top of the solution
		lasts  bool // what was undone still shows
		solved int  // how often the solution is performed
	}{
		{"all are caught", false, false, 1},
		{"one shows nothing there", true, false, 2},
		{"the first one lasts", false, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, solved, resets, made := &stageFake{hasty: func(string) bool { return true }, lasts: tt.lasts}, 0, 0, 0
			f.perform = func(_ context.Context, s stage.Step) error {
				if s.Apply == "right.yaml" {
					solved++
				}
				return nil
			}
			f.reset = func(string) ([]stage.Difference, error) { resets++; return nil, nil }
			f.grade = func(state string, r *report.Report) {
				if made++; state == "generated" && resets == 0 && tt.passes && made > 2 && made < 6 { // after the untouched and the solution
					r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
				}
			}
			got := prove(t, f, load(t, files([]string{"room"}), "room"))
			looked, reset := slices.Index(f.log, "passes right.yaml"), firstReset(f.log)
			if looked < 0 || reset < looked || tt.lasts != (reset == looked+1) {
				t.Errorf("before a second one the solution has to pass again: %v", f.log)
			}
			if !got.Proved || got.Generated != (verify.Strength{Caught: 4, Tried: 4}) || len(got.Doubts) > 0 || solved != tt.solved {
				t.Errorf("solved %d times: %+v\n%v", solved, got, f.log)
			}
		})
	}
}

// Pods that are on their way out still answer: a wrong answer is looked at again before it is said to pass. A right answer
// that fails is not, because a learner would have read that.
func TestOnlyWrongAnswersAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	grades := map[string]int{}
	f := &stageFake{grade: func(state string, r *report.Report) {
		grades[state]++
		switch {
		case state == "spilt.yaml" && grades[state] < 3, state == "generated" && grades[state] < 3:
			r.Tasks[0].Verdict, r.Tasks[1].Verdict = report.Passed, report.Passed
		case state == "right.sh":
			r.Tasks[0].Verdict = report.Failed
		}
	}}
	v := verifier(f)
	v.Generate, v.Patience = 1, 160*time.Millisecond
	l := load(t, files([]string{"room"}), "room")
	r, err := v.Run(t.Context(), []*lab.Lab{l}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"untouched": 1, "right.yaml": 1, "right.sh": 1, "cold.yaml": 1, "spilt.yaml": 3, "shut": 1, "generated": 3}
	if diff := cmp.Diff(want, grades); diff != "" {
		t.Error(diff)
	}
	if got := r.Labs[0]; got.Listed.Caught != 3 || got.Generated.Caught != 1 || len(got.Findings) != 1 || got.Findings[0].Step != "solution: by hand" {
		t.Errorf("%+v", got)
	}
}

// What is still on its way when time is up may pass a moment later on a busy cluster: it is caught when it had twice the
// time that right answers needed there.
func TestWhatSettlesIsGivenTheTimeOfARightAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		took     float64 // seconds that right answers need
		mistakes float64 // seconds that mistakes need for what passes in them, such as one with a longer sleep
		settling int     // looks at a wrong one that find it on its way
		want     verify.Outcome
		looks    int // 0: any number, as what passes is looked at again while patience lasts
	}{
		{"right answers are quick", 10, 10, 9, verify.Caught, 1},
		{"a mistake is slow", 10, 20, 9, verify.Caught, 1},
		{"right answers are slow", 20, 20, 9, verify.Caught, 2},
		{"it only needed its time", 20, 20, 1, verify.Slipped, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			looks := 0
			f := &stageFake{grade: func(state string, r *report.Report) {
				r.Tasks[0].Seconds = tt.took
				if state == "shut" || state == "spilt.yaml" {
					r.Tasks[0].Seconds = tt.mistakes
				}
				if state != "generated" {
					return
				}
				looks++
				r.Tasks[0].Verdict, r.Tasks[1].Verdict, r.Tasks[0].Findings = report.Passed, report.Passed, nil
				if looks <= tt.settling {
					r.Tasks[0].Verdict, r.Tasks[0].Seconds = report.Settling, 30
				}
			}}
			f.holdErr = errors.New("not now") // so that the generated one is the last
			v := verifier(f)
			v.Generate, v.Patience = 1, 16*time.Millisecond
			r, err := v.Run(t.Context(), []*lab.Lab{load(t, files([]string{"room"}), "room")}, nil)
			if err != nil || len(r.Labs[0].Mutants) != 1 {
				t.Fatalf("error %v, %+v", err, r)
			}
			if got := r.Labs[0].Mutants[0].Outcome; got != tt.want || tt.looks > 0 && looks != tt.looks {
				t.Errorf("%s after %d looks, want %s after %d", got, looks, tt.want, tt.looks)
			}
		})
	}
}

// Mistakes with something wrong in them are made on top of the solution, too, but not where the grade takes a reset
// afterwards: the next one would find the solution gone.
func TestSubtleMistakesAreMadeOnTopWhereNoResetFollows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, check string
		want        int // on top of the solution, of four
	}{
		{"the grade only looks", `{http: {from: {pods: app=guest}, url: "http://tea/", body: {equals: tea}}}`, 4},
		{"the grade restarts what it looks at", `{http: {from: {pods: app=guest}, url: "http://tea/", during: {restart: deployment/kettle}}}`, 4},
		{"the grade runs a script", `{exec: {in: {pods: app=guest}, run: [sip], changes: true}}`, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := &stageFake{hasty: func(string) bool { return true }}
			got := prove(t, f, load(t, files([]string{"room"}, `{http: {from: {pods: app=guest}, url: "http://tea/"}}`, tt.check), "room"))
			// The last one is not undone, as a reset follows.
			onTop := slices.DeleteFunc(slices.Clone(f.log[:firstReset(f.log)+1]), func(line string) bool { return !strings.HasSuffix(line, "generated") })
			if !got.Proved || got.Generated.Caught != 4 || len(onTop) != tt.want {
				t.Errorf("%d on top of the solution, want %d: %v\n%+v", len(onTop), tt.want, f.log, got)
			}
		})
	}
}

func firstReset(log []string) int {
	return slices.IndexFunc(log, func(line string) bool { return strings.HasPrefix(line, "reset ") })
}
