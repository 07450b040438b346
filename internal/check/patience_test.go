package check

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/probe"
)

func TestPatience(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) *corev1.Pod {
		p := pod("web", "10.0.0.1", "app=web")
		at := metav1.NewTime(time.Now().Add(-d))
		p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: &at}}
		p.Status.StartTime = &at
		return p
	}
	tests := []struct {
		name    string
		changed time.Duration
		result  probe.Result
		atMost  time.Duration
		slack   time.Duration // what the test itself may use up of it
	}{
		{"at rest", time.Hour, "ok", minPatience, 0},
		{"just changed", 0, "ok", maxPatience, 2 * time.Second},
		{"a new client refused", 0, "refused", youth, 2 * time.Second},
		{"an old client refused", time.Hour, "timeout", minPatience, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := ago(tt.changed)
			c, _, _ := clusterOf(p)
			deps := []Dependency{{Resource: pods, Namespace: "shop"}}
			got := c.patience(t.Context(), deps, []corev1.Pod{*p}, &past{}).of(probe.Outcome{Result: tt.result})
			if got > tt.atMost || got < tt.atMost-tt.slack {
				t.Errorf("waits %s, want %s", got, tt.atMost)
			}
		})
	}
}
