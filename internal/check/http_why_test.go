package check

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kindlab-dev/kindlab/internal/probe"
	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

// One late answer of many is asked for again; where more are missing, they stay missing.
func TestLateAnswersAreAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		late       int // of twenty, at the first time
		later      dial.Result
		want       dial.Result // of the first
		askedAgain int
	}{
		{"none", 0, dial.OK, dial.OK, 0},
		{"one, and then it comes", 1, dial.OK, dial.OK, 1},
		{"one, and it never comes", 1, dial.Timeout, dial.Timeout, 1},
		{"two", 2, dial.OK, dial.OK, 2},
		{"so many that it is no accident", 3, dial.OK, dial.Timeout, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			again := 0
			p := &prober{}
			n := 0
			p.answer = func(j probe.Job) probe.Outcome {
				if j.Timeout > allowTimeout {
					again++
					return probe.Outcome{Result: tt.later}
				}
				if n++; n <= tt.late {
					return probe.Outcome{Result: dial.Timeout}
				}
				return probe.Outcome{Result: dial.OK}
			}
			jobs := make([]probe.Job, 20)
			for i := range jobs {
				jobs[i].Timeout = allowTimeout
			}
			out := (&Cluster{Prober: p}).probeTwice(t.Context(), jobs)
			if len(out) != 20 || out[0].Result != tt.want || again != tt.askedAgain {
				t.Errorf("%d outcomes, the first %s, asked again %d times; want %s and %d", len(out), out[0].Result, again, tt.want, tt.askedAgain)
			}
		})
	}
}

// seesNothing is a cluster whose API tells no reason why the ovens should not answer.
func seesNothing() *Cluster {
	bread, ovens := fromOvens("10.96.0.9"), bakers()
	bread.Spec.Ports[0].TargetPort = intstr.FromInt32(8080)
	for _, o := range ovens[1:] {
		o.(*corev1.Pod).Spec.Containers = []corev1.Container{{Name: "oven", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}
	}
	c, _, _ := clusterOf(slices.Concat(places(), ovens, clusterNames(), []runtime.Object{bread, slice(true, 8080)})...)
	return c
}

// Where nothing in the API explains a silence, a pod may wait for a processor: it gets more time, once.
func TestASilenceThatNothingExplains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		quick, late bool // whether an answer comes late, or never
		want        string
		slow        bool
	}{
		{"a late answer", false, true, "", true},
		{"no answer", false, false, "does not answer from pod", true},
		{"a quick look", true, true, "does not answer from pod", false},
	} {
		check := mustCompile(t, bakery+"}")
		synctest.Test(t, func(t *testing.T) {
			c := seesNothing()
			c.Quick = tt.quick
			slow := false
			c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
				if j.Proto != dial.HTTP {
					return probe.Outcome{Result: dial.OK}
				}
				slow = slow || j.Timeout == slowTimeout
				if tt.late && j.Timeout == slowTimeout {
					return body("oven-1")(j)
				}
				return probe.Outcome{Result: dial.Timeout}
			}}
			got := ""
			if err := check.Run(t.Context(), c); err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") || slow != tt.slow {
				t.Errorf("%s: got %q, slow %t", tt.name, got, slow)
			}
		})
	}
}

// A policy that was deleted leaves nothing to see, and the network may go on to deny what it denied for a while. Where the
// API tells no reason for a refusal, it is believed later than one that has a reason.
func TestARefusalThatNothingExplains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		comes time.Duration // when the network lets requests through
		quick bool
		want  verdict
	}{
		{name: "until the network follows", comes: lag - time.Second},
		{name: "for good", comes: time.Hour, want: verdict{failure: "http://bread/hostname does not answer from pod till-1 (refused)"}},
		{name: "a quick look", comes: time.Hour, quick: true, want: verdict{failure: "does not answer", settling: true}},
	} {
		check := mustCompile(t, bakery+"}")
		synctest.Test(t, func(t *testing.T) {
			c, start := seesNothing(), time.Now()
			c.Quick = tt.quick
			c.Prober = &prober{answer: func(j probe.Job) probe.Outcome {
				switch {
				case j.Proto != dial.HTTP:
					return probe.Outcome{Result: dial.OK} // nobody refuses himself
				case time.Since(start) < tt.comes:
					return probe.Outcome{Result: dial.Refused}
				}
				return body("oven-1")(j)
			}}
			t.Log(tt.name)
			tt.want.check(t, check.Run(t.Context(), c))
			if took := time.Since(start); !tt.quick && took < min(tt.comes, lag) {
				t.Errorf("believed after %s", took)
			}
			if !tt.quick {
				return
			}
			time.Sleep(lag + time.Second)
			verdict{failure: "does not answer"}.check(t, check.Run(t.Context(), c))
		})
	}
}
