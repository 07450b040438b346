package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// execKind runs a command in containers.
type execKind struct{}

func (execKind) Name() string { return "exec" }

// Doc explains the kind.
func (execKind) Doc() Doc {
	return Doc{
		Text: `Runs a command in a container of each running pod of a set, and looks at its exit code and at what it wrote
to stdout. It is run as it stands, without a shell: write [sh, -c, "…"] where one is needed and the image has it. A
command that fails is a no; a stream that breaks, or a command that does not end in time, could not look. Prefer
another kind where one asks the same: a command depends on the image, and costs a process in the learner's pod. Say
changes: true when the command does more than look; the check then runs only when the learner asks for a grade.`,
		Example: `- exec: {in: {pods: app=web}, run: [cat, /etc/app/mode], stdout: {equals: production}}
- exec: {in: {pods: app=web}, container: app, run: [sh, -c, 'test -w /data'], exitCode: 1}
`,
		Params: execParams{},
	}
}

type execParams struct {
	In        podSet   `yaml:"in,required" doc:"the pods; the command has to do in each of them as told"`
	Container string   `yaml:"container" doc:"of the pods; the first unless told"`
	Run       []string `yaml:"run,required" doc:"the command and its arguments"`
	ExitCode  int      `yaml:"exitCode" doc:"0 unless told"`
	Stdout    *words   `yaml:"stdout" doc:"what it must write to stdout"`
	Seconds   int      `yaml:"seconds" doc:"how long it may take; 10 unless told"`
	Changes   bool     `yaml:"changes" doc:"the command changes something"`
}

func (execKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p execParams
	problems := n.Decode(&p)
	problems = append(problems, p.In.compile(s, n.Field("in"))...)
	e := execCheck{in: p.In, container: p.Container, run: p.Run, code: p.ExitCode, limit: 10 * time.Second, changes: p.Changes}
	if p.Run != nil && (len(p.Run) == 0 || p.Run[0] == "") {
		problems = append(problems, n.Field("run").Problem("expected a command and its arguments, such as [cat, /etc/hosts]"))
	}
	if p.Seconds < 0 || p.Seconds > 45 {
		problems = append(problems, n.Field("seconds").Problem("expected at most 45 seconds, found %d", p.Seconds))
	}
	if p.Seconds > 0 {
		e.limit = time.Duration(p.Seconds) * time.Second
	}
	if p.Stdout != nil {
		var found lab.Problems
		e.stdout, found = p.Stdout.compile(n.Field("stdout"))
		problems = append(problems, found...)
	}
	return e, problems
}

type execCheck struct {
	in        podSet
	container string
	run       []string
	code      int
	stdout    *matcher
	limit     time.Duration
	changes   bool
}

func (e execCheck) Changes() bool { return e.changes }

func (e execCheck) Objects() []Dependency { return []Dependency{e.in.object()} }

func (e execCheck) Run(ctx context.Context, c *Cluster) error {
	list, err := e.in.running(ctx, c)
	if err != nil {
		return err
	}
	for i := range list {
		if err := e.one(ctx, c, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e execCheck) one(ctx context.Context, c *Cluster, p *corev1.Pod) error {
	container, err := containerOf(p, e.container)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.limit, fmt.Errorf("%s in pod %s did not end within %s", e.run[0], p.Name, e.limit))
	defer cancel()
	out, err := c.command(ctx, p, container, e.run...)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := &Failure{Look: e.look(p, container), More: out.lines()}
	switch {
	case errors.Is(err, errNotRunning):
		return e.absent(ctx, c, p, container)
	case errors.Is(err, errNoCommand):
		f.Is, f.Want = fmt.Sprintf("container %s of pod %s has no command %s", container, p.Name, e.run[0]), "one that can be run"
	case err != nil:
		return err
	case out.code != e.code:
		f.Is, f.Want = fmt.Sprintf("%s in pod %s ends with exit code %d", e.command(), p.Name, out.code), fmt.Sprint(e.code)
	case e.stdout != nil && !e.stdout.matches(out.stdout):
		f.Is, f.Want = fmt.Sprintf("%s in pod %s writes %q", e.command(), p.Name, brief(out.stdout)), "output that "+e.stdout.String()
	default:
		return nil
	}
	return f
}

// absent is about a container that did not run when it was to run something: it is between two starts, or its pod has
// gone.
func (e execCheck) absent(ctx context.Context, c *Cluster, p *corev1.Pod, container string) error {
	f := &Failure{
		Is: fmt.Sprintf("container %s of pod %s does not run", container, p.Name), Settling: true,
		Look: fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name),
	}
	now, err := c.Kube.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		f.Is, f.Look = fmt.Sprintf("pod %s has gone", p.Name), e.in.look()
	case err != nil:
		return fmt.Errorf("reading pod %s: %w", p.Name, err)
	default:
		why, err := c.stuck(ctx, now)
		if err != nil {
			return err
		}
		if why != "" {
			f.Is, f.Settling = f.Is+" ("+why+")", false
		}
	}
	return f
}

func (e execCheck) command() string { return brief(strings.Join(e.run, " ")) }

func (e execCheck) look(p *corev1.Pod, container string) string {
	argv := make([]string, len(e.run))
	for i, a := range e.run {
		if argv[i] = a; a == "" || strings.ContainsAny(a, " \t\n'\"\\$&|;<>()*?[]{}~#`!") {
			argv[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return fmt.Sprintf("kubectl -n %s exec %s -c %s -- %s", p.Namespace, p.Name, container, strings.Join(argv, " "))
}

// containerOf returns the name of a pod's container, the first unless one is asked for. None of that name is a failure.
func containerOf(p *corev1.Pod, name string) (string, error) {
	if name == "" {
		return p.Spec.Containers[0].Name, nil
	}
	var names []string
	for _, c := range slices.Concat(p.Spec.Containers, p.Spec.InitContainers) {
		if c.Name == name {
			return name, nil
		}
		names = append(names, c.Name)
	}
	return "", &Failure{
		Is:   fmt.Sprintf("pod %s has no container %s, only %s", p.Name, name, strings.Join(names, ", ")),
		Want: "one of that name",
		Look: fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name),
	}
}

// output is what a command came to.
type output struct {
	stdout, stderr string
	code           int
}

// lines are what is shown to the learner.
func (o output) lines() []string { return lastLines(o.stdout + "\n" + o.stderr) }

// errNoCommand says that the image does not have the command.
var errNoCommand = errors.New("no such command")

// errNotRunning says that there is no container to run it in at the moment.
var errNotRunning = errors.New("the container does not run")

// maxCommandOutput bounds what is kept of each of a command's streams.
const maxCommandOutput = 1 << 20

// command runs argv in a container with the owner's rights. err is trouble with the stream, errNoCommand or
// errNotRunning; a command that ran and failed has an exit code.
func (c *Cluster) command(ctx context.Context, p *corev1.Pod, container string, argv ...string) (output, error) {
	req := c.Owner.Kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: argv, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	ws, err := remotecommand.NewWebSocketExecutor(c.Owner.Config, "GET", req.URL().String())
	if err != nil {
		return output{}, fmt.Errorf("opening a stream into pod %s: %w", p.Name, err)
	}
	stdout, stderr := &capped{}, &capped{}
	err = ws.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: stdout, Stderr: stderr})
	out := output{stdout: stdout.String(), stderr: stderr.String()}
	if exit, exited := errors.AsType[exec.ExitError](err); exited {
		out.code = exit.ExitStatus()
		return out, nil
	}
	if err != nil {
		switch {
		case notThere(err, argv[0]):
			return out, errNoCommand
		case notRunning(err):
			return out, fmt.Errorf("%w: %w", errNotRunning, err)
		}
		return out, fmt.Errorf("running a command in pod %s: %w", p.Name, err)
	}
	return out, nil
}

// notThere reads the container runtime's own words, which come without a code.
func notThere(err error, command string) bool {
	text := err.Error()
	return strings.Contains(text, command) && (strings.Contains(text, "executable file not found") ||
		strings.Contains(text, "no such file or directory") || strings.Contains(text, "permission denied"))
}

// notRunning reads the kubelet's words for a container that has not started or has ended, and the API server's for a pod
// that has gone.
func notRunning(err error) bool {
	text := err.Error()
	return strings.Contains(text, "container not found (") || strings.Contains(text, "pods \"") && strings.Contains(text, "not found")
}

// capped keeps the beginning of what is written to it and lets the rest go by, so that the command can end.
type capped struct{ bytes.Buffer }

func (b *capped) Write(p []byte) (int, error) {
	if room := maxCommandOutput - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
