package check

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func logsOf(t *testing.T, text string) logs {
	t.Helper()
	return mustCompile(t, "logs: "+text).(logs)
}

// The fake API server's log is always "fake logs".
func TestLogs(t *testing.T) {
	t.Parallel()
	baker := func(name string, age time.Duration) *corev1.Pod {
		p := pod(name, "10.0.0.2", "app=oven")
		p.Spec.Containers = []corev1.Container{{Name: "oven"}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "oven", State: corev1.ContainerState{
			Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().Add(-age))},
		}}}
		return p
	}
	old, fresh := baker("oven-1", time.Hour), baker("oven-2", -time.Hour) // still fresh where the test has to wait
	leaving := baker("oven-3", time.Hour)
	now := metav1.Now()
	leaving.DeletionTimestamp, leaving.Finalizers = &now, []string{"kindlab.dev/test"}
	tests := []struct {
		name, text string
		objects    []runtime.Object
		want       verdict
	}{
		{"a line", "{of: {pods: app=oven}, contains: '^fake'}", []runtime.Object{old}, verdict{}},
		{"no such line", "{of: {pods: app=oven}, contains: '^real'}", []runtime.Object{old}, verdict{failure: "the log of pod oven-1 has no such line, want one that matches ^real"}},
		{"no such line yet", "{of: {pods: app=oven}, contains: '^real'}", []runtime.Object{fresh}, verdict{failure: "the log of pod oven-2 has no such line", settling: true}},
		{"a line that must not be", "{of: {pods: app=oven}, lacks: logs}", []runtime.Object{old}, verdict{failure: `the log of pod oven-1 says "fake logs", want no line that matches logs`}},
		{"no such line, as it should", "{of: {pods: app=oven}, lacks: real}", []runtime.Object{old}, verdict{}},
		{"both", "{of: {pods: app=oven}, contains: fake, lacks: real}", []runtime.Object{old, fresh}, verdict{}},
		{"in any of none", "{of: {pods: app=oven}, contains: real, any: true}", []runtime.Object{old}, verdict{failure: "has no such line"}},
		{"in any", "{of: {pods: app=oven}, contains: fake, any: true}", []runtime.Object{old, fresh}, verdict{}},
		{"only of a pod on its way out", "{of: {pods: app=oven}, lacks: fake}", []runtime.Object{leaving}, verdict{failure: "no pod has labels app=oven in namespace shop"}},
		{"no pod", "{of: {pods: app=oven}, contains: fake}", nil, verdict{failure: "no pod has labels app=oven in namespace shop"}},
		{"no such container", "{of: {pods: app=oven}, container: door, contains: fake}", []runtime.Object{old}, verdict{failure: "pod oven-1 has no container door"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf(tt.objects...)
			tt.want.check(t, logsOf(t, tt.text).Run(t.Context(), c))
		})
	}
}

func TestLogsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	p := pod("oven-1", "10.0.0.2", "app=oven")
	crashing := pod("oven-2", "10.0.0.3", "app=oven")
	crashing.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "oven", State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"},
	}}}
	bad := apierrors.NewBadRequest("container is waiting to start")
	now, before := logsOf(t, "{of: {pods: a}, contains: b}"), logsOf(t, "{of: {pods: a}, contains: b, previous: true}")
	for _, tt := range []struct {
		l        logs
		pod      *corev1.Pod
		err      error
		want     string
		settling bool
		unknown  bool
	}{
		{now, p, bad, "container oven of pod oven-1 has written nothing yet", true, false},
		{now, crashing, bad, "there is no log of pod oven-2: container oven of pod oven-2: ImagePullBackOff", false, false},
		{before, p, bad, "container oven of pod oven-1 has not been restarted", false, false},
		{now, p, apierrors.NewForbidden(corev1.Resource("pods/log"), "oven-1", nil), "reading the log of pod oven-1", false, true},
		{now, p, errors.New("connection refused"), "reading the log of pod oven-1: connection refused", false, true},
	} {
		err := tt.l.unread(t.Context(), &Cluster{}, tt.pod, "oven", tt.err)
		f, no := errors.AsType[*noLine](err)
		if no == tt.unknown || no && (f.Settling != tt.settling || !strings.Contains(f.Is, tt.want)) || !no && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v (a no: %t), want %s", err, no, tt.want)
		}
	}
}

func TestLinesOfLogs(t *testing.T) {
	t.Parallel()
	l := logsOf(t, "{of: {pods: a}, contains: '^good', lacks: bad}")
	for text, want := range map[string]struct {
		seen bool
		bad  string
	}{
		"":                        {false, ""},
		"so\ngood bread\nso":      {true, ""},
		"not good\n":              {false, ""},
		"good\nso bad\nworse bad": {true, "so bad"},
	} {
		seen, bad, err := l.scan(strings.NewReader(text))
		if seen != want.seen || bad != want.bad || err != nil {
			t.Errorf("%q: %t, %q, %v", text, seen, bad, err)
		}
	}
	if _, _, err := l.scan(strings.NewReader(strings.Repeat("x", maxLine+1))); err == nil {
		t.Error("read a line without an end")
	}
	for params, want := range map[string]string{
		"{of: {pods: a}}":                         "expected contains, lacks, or both",
		"{of: {pods: a}, lacks: b, any: true}":    "expected contains: any pod's log contains what?",
		"{of: {pods: a}, lacks: '('}":             "expected a regular expression",
		"{of: {pods: a}, contains: b, since: -1}": "expected seconds, found -1",
	} {
		if _, problems := compile(t, "logs: "+params); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
}
