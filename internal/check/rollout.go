package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// rolloutKind asks whether a workload has arrived: its latest spec observed,
// every replica updated and available.
type rolloutKind struct{}

func (rolloutKind) Name() string { return "rollout" }

// Doc explains the kind.
func (rolloutKind) Doc() Doc {
	return Doc{
		Text: `Asks whether a workload has arrived: its controller has seen the latest change, every replica is up to date and
available, and none is left over. A Job has arrived when it is complete, a Pod when it is ready. While the workload is on
its way the task is settling; it fails at once when a pod is stuck (its image, its configuration, no node for it).`,
		Example: `- rollout: {of: deployment/web}
- rollout: {of: shop/statefulset/db, replicas: 3}
- rollout: {of: deployment/old, replicas: 0}
- rollout: {of: job/migrate}`,
		Params: rolloutParams{},
	}
}

type rolloutParams struct {
	Of       lab.Ref `yaml:"of,required" doc:"a deployment, statefulset, daemonset, job or pod"`
	Replicas *int    `yaml:"replicas" doc:"how many a deployment or statefulset must ask for: 0 is scaled to zero; without it, any number from 1"`
}

func (rolloutKind) Compile(s Scope, n lab.Node) (Check, lab.Problems) {
	var p rolloutParams
	problems := n.Decode(&p)
	if p.Of.Kind != "" && workloads()[p.Of.Kind].Resource == "" {
		problems = append(problems, n.Field("of").Problem("expected a deployment, statefulset, daemonset, job or pod, found %q", p.Of.Kind))
	}
	if p.Replicas != nil && *p.Replicas < 0 {
		problems = append(problems, n.Field("replicas").Problem("expected 0 or more, found %d", *p.Replicas))
	}
	if scaled := p.Of.Kind == "deployment" || p.Of.Kind == "statefulset"; p.Replicas != nil && p.Of.Kind != "" && !scaled {
		problems = append(problems, n.Field("replicas").Problem("a %s has no number of replicas to ask for", p.Of.Kind))
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
		"daemonset": apps.WithResource("daemonsets"), "job": {Group: "batch", Version: "v1", Resource: "jobs"}, "pod": pods,
	}
}

// Rollout is the check; setting up a lab waits with it too.
type Rollout struct {
	Ref lab.Ref // with its namespace
	// Replicas is the number that the workload must ask for; nil is whatever it asks for, at least one.
	Replicas *int
}

// Changes is false: it only looks.
func (r Rollout) Changes() bool { return false }

// Objects are the workload and the pods of its namespace.
func (r Rollout) Objects() []Dependency {
	of := Dependency{Resource: workloads()[r.Ref.Kind], Namespace: r.Ref.Namespace, Name: r.Ref.Name}
	if r.Ref.Kind == "pod" {
		return []Dependency{of}
	}
	return []Dependency{of, {Resource: pods, Namespace: r.Ref.Namespace}}
}

// progress is what the workload kinds have in common.
type progress struct {
	generation, observed          int64
	want, updated, ready, replica int32
	pods                          labels.Selector         // its pods; nil when it is one itself
	template                      *corev1.PodTemplateSpec // of a Deployment
	stuck                         string                  // why it will not arrive by waiting, as far as it says itself
}

// Run compares status with spec.
func (r Rollout) Run(ctx context.Context, c *Cluster) error {
	p, err := r.progress(ctx, c)
	if apierrors.IsNotFound(err) {
		return &Failure{Is: fmt.Sprintf("%s does not exist in namespace %s", r.Ref, r.Ref.Namespace), Look: fmt.Sprintf("kubectl -n %s get %ss", r.Ref.Namespace, r.Ref.Kind)}
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", r.Ref, err)
	}
	f := &Failure{Look: fmt.Sprintf("kubectl -n %s get %s", r.Ref.Namespace, r.Ref)}
	least := int32(1)
	if r.Replicas != nil {
		least = int32(*r.Replicas)
	}
	switch {
	case p.observed < p.generation:
		f.Is, f.Settling = fmt.Sprintf("the controller has not seen the latest change of %s", r.Ref), true
		return f
	case p.want < least, r.Replicas != nil && p.want != least:
		f.Is, f.Want = fmt.Sprintf("%s asks for %d replicas", r.Ref, p.want), fmt.Sprint(least)
		return f
	case p.replica > p.want && p.ready >= p.want && p.updated >= p.want:
		// Its ready pods may be those of the earlier template, which stay for as long as the new ones do not get ready.
		f.Is, f.Want = fmt.Sprintf("%s still has %d replicas", r.Ref, p.replica), fmt.Sprint(p.want)
		return r.waiting(ctx, c, p, f)
	case p.ready < p.want || p.updated < p.want || p.replica > p.want:
		f.Is, f.Want = fmt.Sprintf("%s has %d ready and %d up-to-date replicas", r.Ref, p.ready, p.updated), fmt.Sprint(p.want)
		switch r.Ref.Kind {
		case "job":
			f.Is, f.Want = fmt.Sprintf("%s is not complete", r.Ref), ""
		case "pod":
			f.Is, f.Want = fmt.Sprintf("%s is not ready", r.Ref), ""
		}
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
	ns, name, get := r.Ref.Namespace, r.Ref.Name, metav1.GetOptions{}
	switch r.Ref.Kind {
	case "deployment":
		d, err := c.Kube.AppsV1().Deployments(ns).Get(ctx, name, get)
		if err != nil {
			return progress{}, err
		}
		p := progress{generation: d.Generation, observed: d.Status.ObservedGeneration, want: one(d.Spec.Replicas), updated: d.Status.UpdatedReplicas, ready: d.Status.AvailableReplicas, replica: d.Status.Replicas, template: &d.Spec.Template}
		for _, cond := range d.Status.Conditions {
			// The API server refuses its pods: a quota, or a rule of the namespace.
			if cond.Type == "ReplicaFailure" && cond.Status == corev1.ConditionTrue {
				p.stuck = cond.Message
			}
		}
		return p.over(d.Spec.Selector)
	case "statefulset":
		s, err := c.Kube.AppsV1().StatefulSets(ns).Get(ctx, name, get)
		if err != nil {
			return progress{}, err
		}
		p := progress{generation: s.Generation, observed: s.Status.ObservedGeneration, want: one(s.Spec.Replicas), updated: s.Status.UpdatedReplicas, ready: s.Status.AvailableReplicas, replica: s.Status.Replicas}
		return p.over(s.Spec.Selector)
	case "daemonset":
		d, err := c.Kube.AppsV1().DaemonSets(ns).Get(ctx, name, get)
		if err != nil {
			return progress{}, err
		}
		p := progress{generation: d.Generation, observed: d.Status.ObservedGeneration, want: d.Status.DesiredNumberScheduled, updated: d.Status.UpdatedNumberScheduled, ready: d.Status.NumberAvailable, replica: d.Status.CurrentNumberScheduled}
		return p.over(d.Spec.Selector)
	case "job":
		j, err := c.Kube.BatchV1().Jobs(ns).Get(ctx, name, get)
		if err != nil {
			return progress{}, err
		}
		p := jobProgress(j)
		return p.over(j.Spec.Selector)
	default:
		pod, err := c.Kube.CoreV1().Pods(ns).Get(ctx, name, get)
		if err != nil {
			return progress{}, err
		}
		p := progress{want: 1, updated: 1, replica: 1}
		if podReady(pod) {
			p.ready = 1
		}
		p.stuck, err = c.stuck(ctx, pod)
		return p, err
	}
}

func jobProgress(j *batchv1.Job) progress {
	p := progress{want: 1, updated: 1, replica: 1}
	for _, cond := range j.Status.Conditions {
		if cond.Status != corev1.ConditionTrue {
			continue
		}
		switch cond.Type {
		case batchv1.JobComplete:
			p.ready = 1
		case batchv1.JobFailed:
			p.stuck = cond.Reason + ": " + cond.Message
		case batchv1.JobSuspended:
			p.stuck = "it is suspended"
		default:
		}
	}
	return p
}

// over adds the selector of the workload's pods. A Job that is new may have none yet.
func (p progress) over(selector *metav1.LabelSelector) (progress, error) {
	var err error
	p.pods, err = metav1.LabelSelectorAsSelector(selector)
	return p, err
}

// earlier returns what tells the pods of a Deployment's earlier templates from those of its latest, by the template: which
// ReplicaSet is the newest tells nothing while Recreate waits for the old pods to go, because the next one is not there yet.
func (r Rollout) earlier(ctx context.Context, c *Cluster, p progress) (func(*corev1.Pod) bool, error) {
	if p.template == nil {
		return func(*corev1.Pod) bool { return false }, nil
	}
	list, err := c.Kube.AppsV1().ReplicaSets(r.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: p.pods.String()})
	if err != nil {
		return nil, fmt.Errorf("listing the ReplicaSets of %s: %w", r.Ref, err)
	}
	const hash = appsv1.DefaultDeploymentUniqueLabelKey
	old := map[string]bool{}
	for _, s := range list.Items {
		// Its controller compares them in the same way, without the label that it adds.
		made := s.Spec.Template.DeepCopy()
		delete(made.Labels, hash)
		if owner := metav1.GetControllerOf(&s); owner != nil && owner.Name == r.Ref.Name {
			old[s.Labels[hash]] = !equality.Semantic.DeepEqual(made, p.template)
		}
	}
	return func(pod *corev1.Pod) bool { return old[pod.Labels[hash]] }, nil
}

// waiting tells a rollout that is moving from one that will not get there.
func (r Rollout) waiting(ctx context.Context, c *Cluster, p progress, f *Failure) error {
	var why []string
	if p.stuck != "" {
		why = append(why, p.stuck)
		f.Look = fmt.Sprintf("kubectl -n %s describe %s", r.Ref.Namespace, r.Ref)
	}
	if p.pods != nil && !p.pods.Empty() {
		list, err := c.Kube.CoreV1().Pods(r.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: p.pods.String()})
		if err != nil {
			return fmt.Errorf("listing the pods of %s: %w", r.Ref, err)
		}
		earlier, err := r.earlier(ctx, c, p)
		if err != nil {
			return err
		}
		for i := range list.Items {
			// A pod that is on its way out, or of an earlier template, says nothing of where the rollout goes.
			if list.Items[i].DeletionTimestamp != nil || earlier(&list.Items[i]) {
				continue
			}
			s, err := c.stuck(ctx, &list.Items[i])
			if err != nil {
				return err
			}
			if s != "" {
				why = append(why, s)
				f.Look = fmt.Sprintf("kubectl -n %s describe pods -l '%s'", r.Ref.Namespace, p.pods)
			}
		}
	}
	if f.Settling = len(why) == 0; f.Settling {
		return f
	}
	f.Is += " (" + strings.Join(why, "; ") + ")"
	if link, err := c.walker().Workload(ctx, r.Ref.Kind, r.Ref.Namespace, r.Ref.Name); err == nil && link != nil {
		f.Look, f.More = link.Look, slices.Concat(link.Chain, []string{link.Is})
	}
	return f
}
