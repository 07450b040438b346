package check

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func machine(name string, labels ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, l := range labels {
		n.Labels[l] = ""
	}
	return n
}

// nodeAt is a node with an address beside those that cannot be dialled.
func nodeAt(name, ip string) *corev1.Node {
	n := machine(name)
	n.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: "fd00::1"}, {Type: corev1.NodeInternalIP, Address: ip},
	}
	return n
}

// twoNodes are two nodes that can be dialled, and one that cannot.
func twoNodes() []runtime.Object {
	return []runtime.Object{nodeAt("n1", "172.18.0.2"), nodeAt("n2", "172.18.0.3"), machine("n3")}
}

// machines answer commands.
type machines struct {
	prober
	exec func(node string, argv []string) (string, int, error)
}

func (m *machines) Exec(_ context.Context, node string, argv ...string) (string, int, error) {
	return m.exec(node, argv)
}

func TestNode(t *testing.T) {
	t.Parallel()
	says := func(out string, code int) func(string, []string) (string, int, error) {
		return func(string, []string) (string, int, error) { return out, code, nil }
	}
	tests := []struct {
		name, text string
		exec       func(string, []string) (string, int, error)
		want       string
	}{
		{"a file", "{nodes: all, file: /etc/motd}", says("", 0), ""},
		{"a file that is not there", "{nodes: all, file: /etc/motd}", says("", notOnNode), "node cp has no /etc/motd, want that file"},
		{"a file that must not be there", "{nodes: all, file: /etc/motd, absent: true}", says("hi", 0), "node cp has /etc/motd, want no such file"},
		{"a file that is not there, as it should", "{nodes: all, file: /etc/motd, absent: true}", says("", notOnNode), ""},
		{"a file's words", "{nodes: all, file: /etc/motd, contains: {matches: '^hi'}}", says("hi there", 0), ""},
		{"a file's other words", "{nodes: all, file: /etc/motd, contains: {contains: bye}}", says("hi there", 0), `/etc/motd on node cp is otherwise, want a file that contains "bye"`},
		{"a file that cannot be read", "{nodes: all, file: /etc/motd}", says("", 1), "?reading /etc/motd on node cp: exit code 1"},
		{"a process", "{nodes: all, process: kubelet}", says("", 0), ""},
		{"no process", "{nodes: all, process: kubelet}", says("", notOnNode), "kubelet is not running on node cp, want that process"},
		{"a process that must not run", "{nodes: all, process: sshd, absent: true}", says("", 0), "sshd is running on node cp, want no such process"},
		{"no process, as it should", "{nodes: all, process: sshd, absent: true}", says("", notOnNode), ""},
		{"processes that cannot be listed", "{nodes: all, process: sshd, absent: true}", says("", 2), "?listing the processes of node cp: exit code 2"},
		{"a command", "{nodes: all, run: [uname], contains: {equals: Linux}}", says("Linux\n", 0), ""},
		{"a command that fails", "{nodes: all, run: [uname, -s]}", says("", 1), "uname -s on node cp ends with exit code 1, want 0"},
		{"a command that should fail", "{nodes: all, run: [uname], exitCode: 3}", says("", 3), ""},
		{"a command that is not there", "{nodes: all, run: [uname]}", says("", 127), "?node cp has no command uname"},
		{"a command's other words", "{nodes: all, run: [uname], contains: {equals: Linux}}", says("Plan\x1b[31m9", 0), `writes "Plan[31m9"`},
		{"trouble", "{nodes: all, run: [uname]}", func(string, []string) (string, int, error) { return "", 0, errors.New("no engine") }, "?no engine"},
		{"only the workers", "{nodes: worker, process: kubelet}", func(node string, _ []string) (string, int, error) {
			return "", map[string]int{"w1": 0, "w2": notOnNode}[node], nil
		}, "kubelet is not running on node w2"},
		{"only the control plane", "{nodes: control-plane, process: kubelet}", func(node string, _ []string) (string, int, error) {
			return "", map[string]int{"w1": notOnNode, "w2": notOnNode}[node], nil
		}, ""},
		{"one by its name", "{nodes: w1, process: kube-controller-manager}", func(node string, argv []string) (string, int, error) {
			if node != "w1" || argv[len(argv)-1] != "kube-controller" {
				return "", 0, errors.New("asked " + node + " for " + argv[len(argv)-1])
			}
			return "", 0, nil
		}, ""},
		{"none by its name", "{nodes: w3, process: kubelet}", says("", 0), `?no node that is meant by "w3"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf([]runtime.Object{machine("cp", "node-role.kubernetes.io/control-plane"), machine("w1"), machine("w2")}...)
			c.Prober = &machines{exec: tt.exec}
			err := mustCompile(t, "node: "+tt.text).Run(t.Context(), c)
			_, no := errors.AsType[*Failure](err)
			want, unknown := strings.CutPrefix(tt.want, "?")
			if (err == nil) != (tt.want == "") || err != nil && (no == unknown || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v (a no: %t), want %q", err, no, tt.want)
			}
		})
	}
	c, _, _ := clusterOf(machine("cp"))
	c.Prober = &prober{}
	verdict{unknown: "the nodes of this cluster take no commands"}.check(t, mustCompile(t, "node: {nodes: all, process: kubelet}").Run(t.Context(), c))
}

func TestProblemsOfNode(t *testing.T) {
	t.Parallel()
	for params, want := range map[string]string{
		"{nodes: all}":                                               "expected one of file, process and run",
		"{nodes: all, file: /a, process: b}":                         "expected one of file, process and run",
		"{nodes: all, file: a}":                                      `expected an absolute path, found "a"`,
		"{nodes: all, run: [a], absent: true}":                       "expected file or process alone",
		"{nodes: all, file: /a, exitCode: 1}":                        "expected run: the exit code of which command?",
		"{nodes: all, process: a, contains: {equals: b}}":            "a process contains nothing",
		"{nodes: all, file: /a, contains: {}}":                       "expected one of contains, equals and matches",
		"{nodes: all, file: /a, contains: {equals: a, contains: b}}": "expected one of contains, equals and matches",
		"{nodes: all, file: /a, contains: {matches: '('}}":           "expected a regular expression",
	} {
		if _, problems := compile(t, "node: "+params); len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
}
