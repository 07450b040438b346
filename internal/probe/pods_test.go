package probe

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kubefake "k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kindlab-dev/kindlab/internal/probe/dial"
)

func podWith(state *corev1.ContainerState) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: types.UID("web")},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
	}
	if state != nil {
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{ephemeral(probeContainer + "abc")}
		p.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: probeContainer + "abc", State: *state}}
	}
	return p
}

func TestEachPodGetsOneContainer(t *testing.T) {
	t.Parallel()
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error"}}
	pulling := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no route"}}
	tests := []struct {
		name string
		pod  *corev1.Pod
		job  Job
		adds bool
		err  string
	}{
		{"one of an earlier session", podWith(&running), Job{PodIP: "10.0.0.1"}, false, ""},
		{"none yet", podWith(nil), Job{PodIP: "10.0.0.1"}, true, ""},
		{"one that has ended", podWith(&ended), Job{PodIP: "10.0.0.1"}, true, ""},
		{"one without its image", podWith(&pulling), Job{PodIP: "10.0.0.1"}, false, "container kindlab-probe-abc of pod shop/web does not start: ErrImagePull no route"},
		{"no such pod", podWith(nil), Job{PodIP: "10.0.0.2"}, false, "no pod with address 10.0.0.2 is running"},
		{"another pod of that address", podWith(nil), Job{PodIP: "10.0.0.1", PodUID: "db"}, false, "no pod with address 10.0.0.1 is running"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kube := kubefake.NewClientset(tt.pod)
			var added []corev1.EphemeralContainer
			kube.PrependReactor("update", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
				if a.GetSubresource() != "ephemeralcontainers" {
					t.Errorf("changes the pod's %q", a.GetSubresource())
				}
				p := a.(clienttesting.UpdateAction).GetObject().(*corev1.Pod)
				added = p.Spec.EphemeralContainers[len(tt.pod.Spec.EphemeralContainers):]
				for _, c := range added {
					p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: running})
				}
				return true, p, kube.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), p, "shop")
			})
			s := OpenPods(kube, &rest.Config{})
			t.Cleanup(func() { _ = s.Close() })
			n, err := s.prepare(t.Context(), tt.job)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if tt.adds != (len(added) == 1) {
				t.Fatalf("added %d containers", len(added))
			}
			if err == nil && n.Name() != "shop/web" {
				t.Errorf("probes from %s", n.Name())
			}
			// The strictest Pod Security Standard lets it in, and it is there without a pull.
			for _, c := range added {
				sc := c.SecurityContext
				if !*sc.RunAsNonRoot || *sc.AllowPrivilegeEscalation || sc.Capabilities.Drop[0] != "ALL" || c.ImagePullPolicy != corev1.PullIfNotPresent {
					t.Errorf("added %+v", c)
				}
			}
		})
	}
}

func TestAForbiddenContainerIsTrouble(t *testing.T) {
	t.Parallel()
	kube := kubefake.NewClientset(podWith(nil))
	kube.PrependReactor("update", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "web", errors.New("no"))
	})
	s := OpenPods(kube, &rest.Config{})
	t.Cleanup(func() { _ = s.Close() })
	for _, o := range s.Probe(t.Context(), []Job{
		{PodIP: "10.0.0.1", Proto: dial.TCP, Host: "10.0.0.2", Port: 1, Timeout: time.Second},
		{Node: "n1", Proto: dial.TCP, Host: "10.0.0.2", Port: 1, Timeout: time.Second},
	}) {
		if o.Result != dial.Error || !strings.Contains(o.Detail, []string{"forbidden", "the nodes of this cluster take no commands"}[o.ID]) {
			t.Errorf("got %+v", o)
		}
	}
}

// A job that the agent does not take must not hold up the next one, whose context ends sooner.
func TestSendingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := open(t, fakeNode{"n1", func(ctx context.Context, _ io.Reader, w io.Writer, _ ...string) error {
		hello(w)
		<-ctx.Done() // reads nothing
		return ctx.Err()
	}})
	first := make(chan Outcome, 1)
	hung, cancel := context.WithCancel(t.Context())
	go func() { first <- s.Probe(hung, []Job{job("n1", "a")})[0] }()
	for range 3 {
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
		start := time.Now()
		if o := s.Probe(ctx, []Job{job("n1", "b")})[0]; o.Result != dial.Error || time.Since(start) > 5*time.Second {
			t.Errorf("got %+v after %s", o, time.Since(start))
		}
		stop()
	}
	cancel()
	if o := <-first; o.Result != dial.Error {
		t.Errorf("got %+v", o)
	}
}

func TestCommandsOnNodes(t *testing.T) {
	t.Parallel()
	m := &machine{dir: t.TempDir()}
	s := open(t, m)
	for _, tt := range []struct {
		argv []string
		out  string
		code int
		err  string
	}{
		{[]string{"echo", "a  b"}, "a  b\n", 0, ""},
		{[]string{"sh", "-c", "printf x; exit 3"}, "x", 3, ""},
		{[]string{"printf", `\nexit 0\n`}, "\nexit 0\n", 0, ""},
		{[]string{"no-such-command"}, "", 127, ""},
		{[]string{"cat"}, "", 0, ""}, // its stdin is empty
		{[]string{"head", "-c", "2000000", "/dev/zero"}, "", 0, "running head on node n1"},
	} {
		out, code, err := s.Exec(t.Context(), "n1", tt.argv...)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %v", tt.argv, err)
		}
		if err == nil && (strings.TrimSuffix(out, "\n") != strings.TrimSuffix(tt.out, "\n") || code != tt.code) {
			t.Errorf("%q: got %q and %d, want %q and %d", tt.argv, out, code, tt.out, tt.code)
		}
	}
	if _, _, err := s.Exec(t.Context(), "n9", "true"); err == nil {
		t.Error("ran a command on a node that is not there")
	}
	broken := open(t, fakeNode{"n1", func(context.Context, io.Reader, io.Writer, ...string) error { return nil }})
	if _, _, err := broken.Exec(t.Context(), "n1", "true"); err == nil || !strings.Contains(err.Error(), "its output was cut off") {
		t.Errorf("got %v from a node that said nothing, want no exit code of its own making", err)
	}
}
