package check

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answers stands for an API server whose clock is ahead of ours, and that takes its time.
type answers struct{ ahead, takes time.Duration }

func (a answers) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(a.takes)
	date := time.Now().Add(a.ahead).UTC().Format(http.TimeFormat)
	time.Sleep(a.takes)
	return &http.Response{Header: http.Header{"Date": {date}}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// hear lets a clock listen to some answers of a server.
func hear(t *testing.T, k *Clock, server http.RoundTripper, times int) {
	t.Helper()
	for range times {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := k.listen(server).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		time.Sleep(170 * time.Millisecond)
	}
}

func TestTheServersClockIsLearned(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"the same": 0, "ahead": 7 * time.Minute, "behind": -7 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := &Clock{}
				hear(t, k, answers{ahead: ahead, takes: 20 * time.Millisecond}, 12)
				if got := k.ahead(); (got-ahead).Abs() > 200*time.Millisecond || ahead == 0 && got != 0 {
					t.Errorf("after twelve answers the difference is %s, want %s", got, ahead)
				}
			})
		})
	}
}

func TestAClockThatIsSetIsLearnedAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := &Clock{}
		hear(t, k, answers{ahead: time.Hour}, 3)
		hear(t, k, answers{}, 3)
		if got := k.ahead(); got != 0 {
			t.Errorf("the difference is %s, want none", got)
		}
	})
}

func TestNoAnswerTeachesNothing(t *testing.T) {
	t.Parallel()
	k := &Clock{}
	silent := roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") })
	undated := roundTrip(func(*http.Request) (*http.Response, error) { return &http.Response{Header: http.Header{}}, nil })
	for _, server := range []http.RoundTripper{silent, undated} {
		resp, err := k.listen(server).RoundTrip(new(http.Request)) //nolint:bodyclose // there is none
		if k.heard {
			t.Errorf("learned from %v, %v", resp, err)
		}
	}
	var none *Clock
	if now := time.Now(); none.Since(now) < 0 || !none.Here(time.Time{}).IsZero() {
		t.Error("a clock that knows nothing differs from this machine's")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// agentPod is kube-proxy on one node, started at a moment of the server's clock.
func agentPod(started time.Time) *corev1.Pod {
	p := pod("kube-proxy-1", "10.0.0.9")
	p.Namespace = metav1.NamespaceSystem
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "kube-proxy", Controller: new(true)}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "kube-proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}},
	}}
	return p
}

// How old something is goes by the clock that its timestamps are of.
func TestAgesGoByTheServersClock(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"the same": 0, "ahead": 7 * time.Minute, "behind": -7 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := time.Now().Add(ahead)
				old, young := agentPod(server.Add(-time.Minute)), agentPod(server.Add(-time.Second))
				crashed := pod("db", "10.0.0.3")
				crashed.Status.Conditions = []corev1.PodCondition{{
					Type: corev1.PodScheduled, Reason: corev1.PodReasonUnschedulable, Message: "no room", LastTransitionTime: metav1.NewTime(server.Add(-time.Minute)),
				}}
				clock := &Clock{}
				hear(t, clock, answers{ahead: ahead}, 2)
				agents := func(p *corev1.Pod) error {
					c, _, _ := clusterOf(p)
					c.Clock = clock
					return c.agentsRun(t.Context())
				}
				if err := agents(old); err != nil {
					t.Errorf("an agent that is a minute old: %v", err)
				}
				if _, passing := errors.AsType[*Passing](agents(young)); !passing {
					t.Errorf("an agent that is a second old: %v, want trouble that goes by itself", agents(young))
				}
				if stuck(crashed, clock) == "" {
					t.Error("a pod that nobody has had room for in a minute is taken for one that is on its way")
				}
				changed := pod("web", "10.0.0.2")
				changed.ManagedFields = []metav1.ManagedFieldsEntry{{Time: new(metav1.NewTime(server.Add(-time.Minute)))}}
				c, _, _ := clusterOf(changed)
				c.Clock = clock
				age := time.Since(c.lastChange(t.Context(), []Dependency{{Resource: pods, Namespace: "shop"}}))
				if (age - time.Minute).Abs() > 2*time.Second {
					t.Errorf("the last change was %s ago, want a minute", age)
				}
			})
		})
	}
}
