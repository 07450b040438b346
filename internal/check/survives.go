package check

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// survivesKind deletes a pod and asks what is left: a file written before, and
// any checks that must pass afterwards.
//
//	survives: {delete: pod/ledger-0, folder: /data, then: [{rollout: {of: statefulset/ledger}}]}
type survivesKind struct{}

func (survivesKind) Name() string { return "survives" }

// Doc explains the kind.
func (survivesKind) Doc() Doc {
	return Doc{
		Text: `Writes a file into a folder of a pod, deletes the pod, waits for the one that takes its place, and asks whether
the file is still there; then asks what follows. It changes the learner's cluster, so it runs alone and only when the
learner asks for a grade. The pod's first container needs a shell.`,
		Example: `- survives: {delete: pod/ledger-0, folder: /data, then: [{rollout: {of: statefulset/ledger}}]}
`,
		Params: survivesParams{},
	}
}

type survivesParams struct {
	Delete lab.Ref     `yaml:"delete,required" doc:"the pod, such as pod/ledger-0"`
	Folder string      `yaml:"folder,required" doc:"an absolute path inside the pod's first container"`
	Then   []lab.Check `yaml:"then" doc:"checks that must pass afterwards"`
}

func (survivesKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p survivesParams
	problems := n.Decode(&p)
	if p.Delete.Kind != "" && p.Delete.Kind != "pod" {
		problems = append(problems, n.Field("delete").Problem("expected a pod such as pod/web-0, found %q", p.Delete))
	}
	if p.Folder != "" && !path.IsAbs(p.Folder) {
		problems = append(problems, n.Field("folder").Problem("expected an absolute path, found %q", p.Folder))
	}
	if p.Delete.Namespace == "" {
		p.Delete.Namespace = s.Namespace
	}
	out := survives{pod: p.Delete, folder: p.Folder}
	for _, then := range p.Then {
		if then.Kind == "" {
			continue
		}
		c, found := s.Kinds.Compile(s, then)
		problems = append(problems, found...)
		out.then = append(out.then, c)
	}
	return out, problems
}

type survives struct {
	pod    lab.Ref
	folder string
	then   []Check
}

func (survives) Changes() bool { return true }

func (s survives) Objects() []Dependency {
	deps := []Dependency{{Resource: pods, Namespace: s.pod.Namespace, Name: s.pod.Name}}
	for _, c := range s.then {
		deps = append(deps, c.Objects()...)
	}
	return deps
}

func (s survives) Run(ctx context.Context, c *Cluster) error {
	before, err := c.Kube.CoreV1().Pods(s.pod.Namespace).Get(ctx, s.pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &Failure{Is: fmt.Sprintf("%s does not exist in namespace %s", s.pod, s.pod.Namespace), Look: fmt.Sprintf("kubectl -n %s get pods", s.pod.Namespace)}
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.pod, err)
	}
	if !podReady(before) {
		return s.notReady(ctx, c, before)
	}
	// A name of our own, never one that the learner's program could use.
	mark := rand.Text()
	file := path.Join(s.folder, ".kindlab-"+mark[:8])
	out, ok, err := c.exec(ctx, before, "printf %s "+mark+" > "+file)
	if err != nil {
		return err
	}
	if !ok {
		return &Failure{
			Is:   fmt.Sprintf("%s cannot write into %s: %s", s.pod, s.folder, strings.TrimSpace(out)),
			Want: "a writable folder " + s.folder, Look: s.look(),
		}
	}
	// Not by force: the pod's place is filled only when its program has ended.
	second := int64(1)
	err = c.Owner.Kube.CoreV1().Pods(s.pod.Namespace).Delete(ctx, s.pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &second, Preconditions: &metav1.Preconditions{UID: &before.UID},
	})
	if err != nil {
		return fmt.Errorf("deleting %s: %w", s.pod, err)
	}
	after, err := s.replacement(ctx, c, before.UID)
	if err != nil {
		return err
	}
	kept, saw, err := s.holds(ctx, c, after, file, mark)
	if err != nil {
		return err
	}
	if !kept {
		return &Failure{
			Is:   fmt.Sprintf("what %s wrote into %s was gone after the pod was deleted", s.pod, s.folder),
			Want: "the same data in the pod that took its place", Look: s.look(), More: saw,
		}
	}
	for _, then := range s.then {
		if err := then.Run(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// holds asks whether the file has the mark, and removes it: left behind, it would only be litter. The shell compares,
// because an exit code arrives where the last words of a short command may be lost; and a no is believed only when it
// comes again and again.
func (s survives) holds(ctx context.Context, c *Cluster, p *corev1.Pod, file, mark string) (kept bool, saw []string, err error) {
	for range 5 {
		out, ok, err := c.exec(ctx, p, fmt.Sprintf(`[ "$(cat %[1]s)" = %[2]s ] && { rm -f %[1]s; :; }`, file, mark))
		if err != nil || ok {
			return ok, nil, err
		}
		if out = strings.TrimSpace(out); out != "" {
			saw = []string{out}
		}
		select {
		case <-ctx.Done():
			return false, nil, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return false, saw, nil
}

func (s survives) look() string {
	return fmt.Sprintf("kubectl -n %s describe %s; kubectl -n %s get pvc", s.pod.Namespace, s.pod, s.pod.Namespace)
}

func (s survives) notReady(ctx context.Context, c *Cluster, p *corev1.Pod) error {
	why, err := c.stuck(ctx, p)
	if err != nil {
		return err
	}
	f := &Failure{Is: fmt.Sprintf("%s is not ready", s.pod), Look: fmt.Sprintf("kubectl -n %s describe %s", s.pod.Namespace, s.pod), Settling: why == ""}
	if why != "" {
		f.Is += " (" + why + ")"
	}
	return f
}

// comeback bounds the wait for a deleted pod's successor.
const comeback = 45 * time.Second

// replacement waits for the pod of that name which is not the deleted one.
func (s survives) replacement(ctx context.Context, c *Cluster, old types.UID) (*corev1.Pod, error) {
	deadline, cancel := context.WithTimeout(ctx, comeback)
	defer cancel()
	for {
		p, err := c.Kube.CoreV1().Pods(s.pod.Namespace).Get(deadline, s.pod.Name, metav1.GetOptions{})
		if err == nil && p.UID != old && podReady(p) {
			return p, nil
		}
		if err != nil && !apierrors.IsNotFound(err) && deadline.Err() == nil {
			return nil, fmt.Errorf("reading %s: %w", s.pod, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s to come back: %w", s.pod, context.Cause(ctx))
		case <-deadline.Done():
			return nil, &Failure{
				Is:   fmt.Sprintf("%s did not come back within %s of being deleted", s.pod, comeback),
				Want: "a pod of the same name", Look: fmt.Sprintf("kubectl -n %s get pods,events", s.pod.Namespace),
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// notThisPod is what guard exits with.
const notThisPod = 97

// guard makes a shell line run only in the pod that has the address. A kubelet
// finds the container by the pod's name, and for a moment that may be one of an
// earlier pod of that name which has not quite ended.
func guard(p *corev1.Pod, line string) string {
	if p.Spec.HostNetwork {
		return line
	}
	return fmt.Sprintf(`me=; while read -r ip name; do [ "$ip" = %s ] && me=1; done </etc/hosts; [ -n "$me" ] || exit %d; %s`,
		p.Status.PodIP, notThisPod, line)
}

// exec runs a shell line in the pod's first container and returns all it wrote.
// ok is false when the command ran and failed; err is trouble with the stream.
func (c *Cluster) exec(ctx context.Context, p *corev1.Pod, line string) (out string, ok bool, err error) {
	for range 50 {
		o, err := c.command(ctx, p, p.Spec.Containers[0].Name, "sh", "-c", guard(p, line))
		if err != nil || o.code != notThisPod {
			return o.stdout + o.stderr, o.code == 0, err
		}
		select {
		case <-ctx.Done():
			return "", false, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return "", false, fmt.Errorf("running a command in pod %s: an earlier pod of that name does not end", p.Name)
}
