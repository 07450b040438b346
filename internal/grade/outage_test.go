package grade

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	k8stesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
)

// stoppable makes the API server of a scene refuse, and the checks with it.
func (s *scene) stoppable(answers *truth, before error) (stop func(error), start func(error)) {
	var refusal atomic.Pointer[error]
	refuse := func(k8stesting.Action) (bool, runtime.Object, error) {
		if err := refusal.Load(); err != nil {
			return true, nil, *err
		}
		return false, nil, nil
	}
	s.kube.PrependReactor("*", "*", refuse)
	s.dyn.PrependReactor("list", "*", refuse)
	answers.set(before)
	stop = func(err error) {
		refusal.Store(&err)
		answers.set(err)
	}
	return stop, func(err error) {
		answers.set(err)
		refusal.Store(nil)
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		before, after error
		want          []string
	}{
		{"and all is as it was", nil, nil, []string{"0.00 one passed", "10.30 one unknown", "40.00 one passed"}},
		{"and it was wrong before", wrong(), wrong(), []string{"0.00 one failed", "10.30 one unknown", "40.00 one failed"}},
		{"and it became right", wrong(), nil, []string{"0.00 one failed", "10.30 one unknown", "40.00 one passed"}},
		{"and it became wrong", nil, wrong(), []string{"0.00 one passed", "10.30 one unknown", "40.00 one settling", "41.00 one failed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := &truth{}
				s := newScene(t, sees("look", a, maps("menu")))
				stop, start := s.stoppable(a, tt.before)
				end := s.watch(one("look"), true)
				s.wait(9900 * time.Millisecond)
				stop(errors.New("connection refused"))
				s.wait(30 * time.Second)
				if got := s.last.Tasks[0].Findings; len(got) != 1 || !strings.Contains(got[0].Is, "the API server cannot be asked: connection refused") {
					t.Errorf("the reason is %+v", got)
				}
				if s.last.Points != 0 || s.last.ExitCode() != 3 {
					t.Errorf("%d points, exit code %d; want none and 3", s.last.Points, s.last.ExitCode())
				}
				start(tt.after)
				s.wait(10 * time.Second)
				if diff := cmp.Diff(tt.want, s.told()); diff != "" {
					t.Error(diff)
				}
				// The informers listen again, long before their own backoff would let them.
				a.set(nil)
				s.put(configMaps, "shop", "menu", nil)
				s.wait(100 * time.Millisecond)
				a.set(wrong())
				s.put(configMaps, "shop", "menu", nil)
				s.wait(100 * time.Millisecond)
				if got := s.verdicts()["one"]; got != report.Settling {
					t.Errorf("after the outage a change makes the task %s, want settling", got)
				}
				_ = end()
			})
		})
	}
}

// silent is a clientset whose API server takes every question for a namespace, and answers when told to.
type silent struct {
	kubernetes.Interface
	typedcore.CoreV1Interface
	typedcore.NamespaceInterface
	silent atomic.Bool
}

func (s *silent) CoreV1() typedcore.CoreV1Interface        { return s }
func (s *silent) Namespaces() typedcore.NamespaceInterface { return s }
func (s *silent) RESTClient() rest.Interface               { return nil }
func (s *silent) Get(ctx context.Context, _ string, _ metav1.GetOptions) (*corev1.Namespace, error) {
	if s.silent.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &corev1.Namespace{}, nil
}

// A server that takes the question and does not answer is an outage as well, in bounded time.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sees("look", &truth{}, maps("menu")))
		kube := &silent{}
		s.grader.Cluster.Kube = kube
		end := s.watch(one("look"), true)
		s.wait(5 * time.Second)
		kube.silent.Store(true)
		s.wait(healthEvery + healthPause + 2*healthTimeout)
		if got := s.last.Tasks[0]; got.Verdict != report.Unknown || !strings.Contains(got.Findings[0].Is, "no answer within 3s") {
			t.Errorf("got %+v, want unknown because there is no answer", got)
		}
		kube.silent.Store(false)
		s.wait(healthPause + healthTimeout)
		if got := s.verdicts()["one"]; got != report.Passed {
			t.Errorf("got %s when it answers again, want passed", got)
		}
		_ = end()
	})
}

func TestOneMissIsNoOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{}
		s := newScene(t, sees("look", a, maps("menu")))
		stop, start := s.stoppable(a, nil)
		end := s.watch(one("look"), true)
		s.wait(healthEvery - ms(100))
		for range 5 { // each reading that is on time misses, and the one after it does not
			stop(errors.New("connection refused"))
			s.wait(ms(200))
			start(nil)
			s.wait(healthEvery + healthPause - ms(200))
		}
		s.wait(5 * time.Second)
		if diff := cmp.Diff([]string{"0.00 one passed"}, s.told()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

// A server that answers "no such namespace" answers; one that forbids the grader to look does not help.
func TestReadings(t *testing.T) {
	t.Parallel()
	namespaces := schema.GroupResource{Resource: "namespaces"}
	tests := []struct {
		answer error
		want   bool
	}{
		{nil, true},
		{apierrors.NewNotFound(namespaces, "kube-system"), true},
		{apierrors.NewForbidden(namespaces, "kube-system", nil), false},
		{apierrors.NewInternalError(errors.New("etcd")), false},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.kube.PrependReactor("get", "namespaces", func(k8stesting.Action) (bool, runtime.Object, error) {
				return tt.answer != nil, nil, tt.answer
			})
			w := newWatch(s.grader, &Plan{}, nil)
			if err := w.reading(t.Context()); (err == nil) != tt.want {
				t.Errorf("%v: got %v", tt.answer, err)
			}
		})
	}
}

// Nobody has to be told twice what a task waits for.
func TestBlockedTasksStayBlockedInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &truth{}
		s := newScene(t, sees("look", a, maps("menu")))
		stop, _ := s.stoppable(a, wrong())
		l := one("look")
		l.Tasks = append(l.Tasks, lab.Task{ID: "two", After: []string{"one"}, Checks: checks("look")})
		end := s.watch(l, true)
		stop(errors.New("connection refused"))
		s.wait(5 * time.Second)
		want := map[string]report.Verdict{"one": report.Unknown, "two": report.Blocked}
		if diff := cmp.Diff(want, s.verdicts()); diff != "" {
			t.Error(diff)
		}
		_ = end()
	})
}

// An informer that loses the API server is the first to know; the next reading would be two seconds later.
func TestALostInformerAsksForAReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, sees("look", &truth{err: wrong()}, maps("menu")))
		s.dyn.PrependReactor("list", "*", func(k8stesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("connection refused")
		})
		end := s.watch(one("look"), true)
		s.wait(healthEvery - ms(100))
		if n := len(s.kube.Actions()); n < 2 {
			t.Errorf("%d readings, want one more than the first", n)
		}
		_ = end()
	})
}
