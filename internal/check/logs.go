package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// logsKind asks what containers have written.
type logsKind struct{}

func (logsKind) Name() string { return "logs" }

// Doc explains the kind.
func (logsKind) Doc() Doc {
	return Doc{
		Text: `Looks for a line in the log of a container, in every pod of a set that has started (finished ones too), or in
any of them. A line that has not come is waited for while the pod is young. A log is what a program says of itself: where
another kind asks what it does, prefer that.`,
		Example: `- logs: {of: {pods: job-name=migrate}, contains: '^migrated \d+ tables$'}
- logs: {of: {pods: app=web}, container: app, lacks: 'permission denied', since: 60}
- logs: {of: {pods: app=web}, contains: 'out of memory', previous: true}
`,
		Params: logsParams{},
	}
}

type logsParams struct {
	Of        podSet `yaml:"of,required" doc:"the pods whose logs are read"`
	Container string `yaml:"container" doc:"of the pods; the first unless told"`
	Contains  string `yaml:"contains" doc:"a regular expression (RE2) that some line must match"`
	Lacks     string `yaml:"lacks" doc:"a regular expression (RE2) that no line may match"`
	Any       bool   `yaml:"any" doc:"contains needs to be true of one pod only"`
	Since     int    `yaml:"since" doc:"only lines of the last so many seconds"`
	Previous  bool   `yaml:"previous" doc:"the log of the container before its last restart"`
}

func (logsKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p logsParams
	problems := n.Decode(&p)
	problems = append(problems, p.Of.compile(s, n.Field("of"))...)
	l := logs{of: p.Of, container: p.Container, any: p.Any, since: int64(p.Since), previous: p.Previous}
	if p.Contains == "" && p.Lacks == "" {
		problems = append(problems, n.Problem("expected contains, lacks, or both"))
	}
	if p.Any && p.Contains == "" {
		problems = append(problems, n.Field("any").Problem("expected contains: any pod's log contains what?"))
	}
	if p.Since < 0 {
		problems = append(problems, n.Field("since").Problem("expected seconds, found %d", p.Since))
	}
	for key, into := range map[string]**regexp.Regexp{"contains": &l.contains, "lacks": &l.lacks} {
		if expr, _ := n.Field(key).Text(); expr != "" {
			re, found := pattern(expr, n.Field(key))
			*into, problems = re, append(problems, found...)
		}
	}
	return l, problems
}

type logs struct {
	of              podSet
	container       string
	contains, lacks *regexp.Regexp
	any             bool
	since           int64
	previous        bool
}

func (logs) Changes() bool { return false }

func (l logs) Objects() []Dependency { return []Dependency{l.of.object()} }

func (l logs) Run(ctx context.Context, c *Cluster) error {
	list, err := c.Kube.CoreV1().Pods(l.of.Namespace).List(ctx, metav1.ListOptions{LabelSelector: l.of.Pods})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	// What a pod wrote that is on its way out was written before the learner's change.
	list.Items = slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil && !l.previous })
	if len(list.Items) == 0 {
		return &Failure{Is: fmt.Sprintf("no pod has labels %s in namespace %s", l.of.Pods, l.of.Namespace), Look: l.of.look()}
	}
	var missed *Failure
	found := false
	for i := range list.Items {
		err := l.one(ctx, c, &list.Items[i])
		switch m, no := errors.AsType[*noLine](err); {
		case no && !l.any:
			return &m.Failure
		case no:
			missed = &m.Failure
		case err != nil:
			return err
		default:
			found = true
		}
	}
	if !found {
		return missed
	}
	return nil
}

// noLine is a failure that another pod's log may make good.
type noLine struct{ Failure }

// one reads a pod's log to the end, or to the first line that decides.
func (l logs) one(ctx context.Context, c *Cluster, p *corev1.Pod) error {
	container, err := containerOf(p, l.container)
	if err != nil {
		return err
	}
	opts := &corev1.PodLogOptions{Container: container, Previous: l.previous}
	if l.since > 0 {
		opts.SinceSeconds = &l.since
	}
	stream, err := c.Kube.CoreV1().Pods(p.Namespace).GetLogs(p.Name, opts).Stream(ctx)
	if err != nil {
		return l.unread(ctx, c, p, container, err)
	}
	defer func() { _ = stream.Close() }()
	seen, bad, err := l.scan(stream)
	f := &Failure{Look: l.look(p, container)}
	switch {
	case err != nil:
		return fmt.Errorf("reading the log of pod %s: %w", p.Name, err)
	case bad != "":
		f.Is, f.Want = fmt.Sprintf("the log of pod %s says %q", p.Name, brief(bad)), fmt.Sprintf("no line that matches %s", l.lacks)
	case l.contains != nil && !seen:
		f.Is, f.Want = fmt.Sprintf("the log of pod %s has no such line", p.Name), fmt.Sprintf("one that matches %s", l.contains)
		f.Settling = !l.previous && c.young(p, container)
		return &noLine{*f}
	default:
		return nil
	}
	return f
}

// maxLine bounds one line of a log.
const maxLine = 1 << 20

// scan tells whether a wanted line was there, and returns the first that must not be.
func (l logs) scan(r io.Reader) (seen bool, bad string, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if l.lacks != nil && l.lacks.Match(lines.Bytes()) {
			return seen, lines.Text(), nil
		}
		seen = seen || l.contains != nil && l.contains.Match(lines.Bytes())
		if seen && l.lacks == nil {
			return true, "", nil
		}
	}
	return seen, "", lines.Err()
}

// unread explains why there is no log. Where the container has not run there is none, and that is an answer.
func (l logs) unread(ctx context.Context, c *Cluster, p *corev1.Pod, container string, err error) error {
	if !apierrors.IsBadRequest(err) {
		return fmt.Errorf("reading the log of pod %s: %w", p.Name, err)
	}
	f := &noLine{Failure{Look: fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name)}}
	if l.previous {
		f.Is, f.Want = fmt.Sprintf("container %s of pod %s has not been restarted", container, p.Name), "the log of an earlier run"
		return f
	}
	why, err := c.stuck(ctx, p)
	if err != nil {
		return err
	}
	f.Is, f.Want, f.Settling = fmt.Sprintf("container %s of pod %s has written nothing yet", container, p.Name), "a log", why == ""
	if why != "" {
		f.Is = fmt.Sprintf("there is no log of pod %s: %s", p.Name, why)
	}
	return f
}

// young tells whether the container started a moment ago, so that a line may still come.
func (c *Cluster) young(p *corev1.Pod, container string) bool {
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == container && s.State.Running != nil {
			return c.Clock.Since(s.State.Running.StartedAt.Time) < youth
		}
	}
	return false
}

func (l logs) look(p *corev1.Pod, container string) string {
	cmd := fmt.Sprintf("kubectl -n %s logs %s -c %s", p.Namespace, p.Name, container)
	if l.previous {
		cmd += " --previous"
	}
	if l.since > 0 {
		cmd += fmt.Sprintf(" --since=%ds", l.since)
	}
	return cmd
}
