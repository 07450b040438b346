package check

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestProblemsOfExec(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]string{
		"{in: {pods: a}, run: []}":                "expected a command and its arguments",
		"{in: {pods: a}, run: ['']}":              "expected a command and its arguments",
		"{in: {pods: a}, run: id}":                "expected a list",
		"{in: {pods: a}, run: [id], seconds: 90}": "expected at most 45 seconds, found 90",
		"{in: {pods: a}, run: [id], stdout: {}}":  "expected one of contains, equals and matches",
		"{in: {pods: 'a in'}, run: [id]}":         "expected a label selector",
	} {
		if _, problems := compile(t, "exec: "+params); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
	for text, want := range map[string]bool{
		"exec: {in: {pods: a}, run: [id]}":                false,
		"exec: {in: {pods: a}, run: [id], changes: true}": true,
	} {
		if c := mustCompile(t, text); c.Changes() != want {
			t.Errorf("%s: changes is %t", text, c.Changes())
		}
	}
}

func TestWhatIsShownOfACommand(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, `exec: {in: {pods: a}, run: [sh, -c, "echo 'a b'; true"]}`).(execCheck)
	p := &corev1.Pod{}
	p.Namespace, p.Name = "shop", "web-1"
	p.Spec.Containers = []corev1.Container{{Name: "app"}, {Name: "log"}}
	// What the learner copies must be the same command.
	if got, want := e.look(p, "app"), `kubectl -n shop exec web-1 -c app -- sh -c 'echo '\''a b'\''; true'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, want := range map[string]string{"": "app", "log": "log", "nope": ""} {
		got, err := containerOf(p, name)
		if _, no := errors.AsType[*Failure](err); got != want || no != (want == "") {
			t.Errorf("container %q is %q, %v", name, got, err)
		}
	}
	out := output{stdout: "\x1b[2Jred\x07\n" + strings.Repeat("x", 200), stderr: "oops\r\n"}
	if diff := cmp.Diff([]string{"[2Jred", strings.Repeat("x", 160) + "…", "oops"}, out.lines()); diff != "" {
		t.Error(diff)
	}
	if got := lastLines(strings.Repeat("line\n", 50)); len(got) != 8 {
		t.Errorf("shows %d lines of a long output", len(got))
	}
	var b capped
	for range 3 {
		if n, err := b.Write(make([]byte, maxCommandOutput)); n != maxCommandOutput || err != nil {
			t.Fatal(n, err)
		}
	}
	if b.Len() != maxCommandOutput {
		t.Errorf("keeps %d bytes", b.Len())
	}
}

// A runtime says in words that there is no such command, and the words of broken streams are not those.
func TestNotThere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`OCI runtime exec failed: exec failed: unable to start container process: exec: "dig": executable file not found in $PATH`: true,
		`exec: "/bin/dig": stat /bin/dig: no such file or directory`:                                                               true,
		`dial tcp: lookup dig.example: no such host`:                                                                               false,
		`dial unix /run/containerd.sock: connect: no such file or directory`:                                                       false,
		`container not found ("dig")`:                                                                                              false,
	} {
		if got := notThere(errors.New(text), "dig"); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

// A container that is between two starts has nothing to say yet. One that is stuck never will.
func TestAContainerThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`unable to upgrade streaming request: websocket: bad handshake (500 Internal Server Error): container not found ("web")`: true,
		`unable to upgrade connection: pods "web-1" not found`:                                                                   true,
		`dial tcp 10.0.0.1:10250: connect: connection refused`:                                                                   false,
	} {
		if got := notRunning(errors.New(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	starting, looping := pod("web-1", "10.0.0.2", "app=web"), pod("web-2", "10.0.0.3", "app=web")
	looping.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	gone := pod("web-3", "10.0.0.4", "app=web")
	c, _, _ := clusterOf(starting, looping)
	e := mustCompile(t, `exec: {in: {pods: app=web}, run: [id]}`).(execCheck)
	for p, want := range map[*corev1.Pod]verdict{
		starting: {failure: "container main of pod web-1 does not run", settling: true},
		looping:  {failure: "container main of pod web-2 does not run (container main of pod web-2: CrashLoopBackOff)"},
		gone:     {failure: "pod web-3 has gone", settling: true},
	} {
		want.check(t, e.absent(t.Context(), c, p, "main"))
	}
}
