package check

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// rolloutKind asks whether a workload has arrived: its latest spec observed,
// every replica updated and available.
//
//	rollout: {of: statefulset/ledger, replicas: 2}
type rolloutKind struct{}

func (rolloutKind) Name() string { return "rollout" }

// Doc explains the kind.
func (rolloutKind) Doc() Doc {
	return Doc{Text: "Asks whether a workload has arrived: observed, updated and available."}
}

func (rolloutKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p struct {
		Of       lab.Ref `yaml:"of,required"`
		Replicas int     `yaml:"replicas"` // 0: as many as the spec says, at least one
	}
	problems := n.Decode(&p)
	if p.Of.Kind != "" && workloads()[p.Of.Kind].Resource == "" && p.Of.Kind != "pod" {
		problems = append(problems, n.Field("of").Problem("expected a deployment, statefulset, daemonset or pod, found %q", p.Of.Kind))
	}
	if p.Of.Namespace == "" {
		p.Of.Namespace = s.Namespace
	}
	return Rollout{Ref: p.Of, Replicas: p.Replicas}, problems
}

func workloads() map[string]schema.GroupVersionResource {
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	return map[string]schema.GroupVersionResource{
		"deployment": apps.WithResource("deployments"), "statefulset": apps.WithResource("statefulsets"),
		"daemonset": apps.WithResource("daemonsets"),
	}
}

// Rollout is the check; setting up a lab waits with it too.
type Rollout struct {
	Ref      lab.Ref // with its namespace
	Replicas int
}

// Changes is false: it only looks.
func (r Rollout) Changes() bool { return false }

// Objects are the workload and the pods of its namespace.
func (r Rollout) Objects() []Dependency {
	gvr := pods
	if w, ok := workloads()[r.Ref.Kind]; ok {
		gvr = w
	}
	return []Dependency{
		{Resource: gvr, Namespace: r.Ref.Namespace, Name: r.Ref.Name},
		{Resource: pods, Namespace: r.Ref.Namespace},
	}
}

// progress is what the workload kinds have in common.
type progress struct {
	generation, observed          int64
	want, updated, ready, replica int32
	selector                      *metav1.LabelSelector
}

// Run compares status with spec.
func (r Rollout) Run(ctx context.Context, c *Cluster) error {
	look := fmt.Sprintf("kubectl -n %s get %s", r.Ref.Namespace, r.Ref)
	p, err := r.progress(ctx, c)
	if apierrors.IsNotFound(err) {
		return &Failure{Is: fmt.Sprintf("%s does not exist in namespace %s", r.Ref, r.Ref.Namespace), Look: fmt.Sprintf("kubectl -n %s get %ss", r.Ref.Namespace, r.Ref.Kind)}
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.Ref, err)
	}
	want := p.want
	if r.Replicas > 0 {
		want = int32(r.Replicas)
	}
	f := &Failure{Look: look}
	switch {
	case p.observed < p.generation:
		f.Is, f.Settling = fmt.Sprintf("the controller has not seen the latest change of %s", r.Ref), true
		return f
	case want != p.want, p.want == 0:
		f.Is = fmt.Sprintf("%s asks for %d replicas", r.Ref, p.want)
		f.Want = fmt.Sprint(max(want, 1))
		return f
	case p.ready < want || p.updated < want || p.replica > want:
		f.Is = fmt.Sprintf("%s has %d ready and %d up-to-date replicas", r.Ref, p.ready, p.updated)
		f.Want = fmt.Sprint(want)
		return r.waiting(ctx, c, p, f)
	}
	return nil
}

func (r Rollout) progress(ctx context.Context, c *Cluster) (progress, error) {
	one := func(n *int32) int32 {
		if n == nil {
			return 1
		}
		return *n
	}
	switch r.Ref.Kind {
	case "deployment":
		d, err := c.Kube.AppsV1().Deployments(r.Ref.Namespace).Get(ctx, r.Ref.Name, metav1.GetOptions{})
		if err != nil {
			return progress{}, err
		}
		return progress{d.Generation, d.Status.ObservedGeneration, one(d.Spec.Replicas), d.Status.UpdatedReplicas, d.Status.AvailableReplicas, d.Status.Replicas, d.Spec.Selector}, nil
	case "statefulset":
		s, err := c.Kube.AppsV1().StatefulSets(r.Ref.Namespace).Get(ctx, r.Ref.Name, metav1.GetOptions{})
		if err != nil {
			return progress{}, err
		}
		return progress{s.Generation, s.Status.ObservedGeneration, one(s.Spec.Replicas), s.Status.UpdatedReplicas, s.Status.AvailableReplicas, s.Status.Replicas, s.Spec.Selector}, nil
	case "daemonset":
		d, err := c.Kube.AppsV1().DaemonSets(r.Ref.Namespace).Get(ctx, r.Ref.Name, metav1.GetOptions{})
		if err != nil {
			return progress{}, err
		}
		return progress{d.Generation, d.Status.ObservedGeneration, d.Status.DesiredNumberScheduled, d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable, d.Status.CurrentNumberScheduled, d.Spec.Selector}, nil
	default:
		pod, err := c.Kube.CoreV1().Pods(r.Ref.Namespace).Get(ctx, r.Ref.Name, metav1.GetOptions{})
		if err != nil {
			return progress{}, err
		}
		p := progress{want: 1, updated: 1, replica: 1, selector: &metav1.LabelSelector{MatchLabels: pod.Labels}}
		if podReady(pod) {
			p.ready = 1
		}
		return p, nil
	}
}

// waiting tells a rollout that is moving from one that will not get there.
func (r Rollout) waiting(ctx context.Context, c *Cluster, p progress, f *Failure) error {
	list, err := c.Kube.CoreV1().Pods(r.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(p.selector)})
	if err != nil {
		return fmt.Errorf("listing the pods of %s: %w", r.Ref, err)
	}
	var why []string
	for i := range list.Items {
		if s := stuck(&list.Items[i]); s != "" {
			why = append(why, s)
		}
	}
	if len(why) > 0 {
		f.Is += " (" + strings.Join(why, "; ") + ")"
		f.Look = fmt.Sprintf("kubectl -n %s describe pods -l '%s'", r.Ref.Namespace, metav1.FormatLabelSelector(p.selector))
		return f
	}
	f.Settling = true
	return f
}
