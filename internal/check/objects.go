package check

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// The resources that checks read by themselves.
var (
	pods           = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	services       = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	endpointSlices = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	policies       = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}
)

func namespaces() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("namespaces")
}

// list reads the objects of a dependency.
func (c *Cluster) list(ctx context.Context, d Dependency) ([]unstructured.Unstructured, error) {
	opts := metav1.ListOptions{LabelSelector: d.Selector}
	if d.Name != "" {
		opts.FieldSelector = "metadata.name=" + d.Name
	}
	l, err := c.Dynamic.Resource(d.Resource).Namespace(d.Namespace).List(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", d.Resource.Resource, err)
	}
	return l.Items, nil
}

// podSet names pods by their labels.
type podSet struct {
	Pods      string `yaml:"pods,required" doc:"label selector, such as app=web"`
	Namespace string `yaml:"namespace" doc:"of the pods; the lab's first unless told"`
}

func (p *podSet) compile(s Scope, n lab.Node) lab.Problems {
	if p.Namespace == "" {
		p.Namespace = s.Namespace
	}
	if _, err := labels.Parse(p.Pods); err != nil {
		return lab.Problems{n.Field("pods").Problem("expected a label selector such as app=web: %v", err)}
	}
	return nil
}

func (p *podSet) object() Dependency {
	return Dependency{Resource: pods, Namespace: p.Namespace, Selector: p.Pods}
}

// has tells whether a pod is one of the set.
func (p *podSet) has(pod *corev1.Pod) bool {
	selector, err := labels.Parse(p.Pods)
	return err == nil && pod.Namespace == p.Namespace && selector.Matches(labels.Set(pod.Labels))
}

// look is the command that shows the pods.
func (p *podSet) look() string {
	cmd := "kubectl -n " + p.Namespace + " get pods -o wide"
	if p.Pods != "" {
		cmd += " -l '" + p.Pods + "'"
	}
	return cmd
}

// running returns the pods of the set that can send and receive, by name. None
// at all is a failure, and still settling when some are on their way.
func (p *podSet) running(ctx context.Context, c *Cluster) ([]corev1.Pod, error) {
	list, err := c.Kube.CoreV1().Pods(p.Namespace).List(ctx, metav1.ListOptions{LabelSelector: p.Pods})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	var found []corev1.Pod
	coming := false
	for _, pod := range list.Items {
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "":
			found = append(found, pod)
		case pod.Status.Phase == corev1.PodPending:
			why, err := c.stuck(ctx, &pod)
			if err != nil {
				return nil, err
			}
			coming = coming || why == ""
		}
	}
	if len(found) == 0 {
		return nil, &Failure{
			Is:   fmt.Sprintf("no pod with labels %s is running in namespace %s", p.Pods, p.Namespace),
			Look: p.look(), Settling: coming,
		}
	}
	slices.SortFunc(found, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// stuck returns why a pod will not get ready by waiting, as far as its status says it, or "".
func stuck(p *corev1.Pod, clock *Clock) string {
	for _, s := range append(slices.Clone(p.Status.InitContainerStatuses), p.Status.ContainerStatuses...) {
		if w := s.State.Waiting; w != nil {
			switch w.Reason {
			case "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName",
				"CreateContainerConfigError", "CreateContainerError", "RunContainerError":
				return fmt.Sprintf("container %s of pod %s: %s", s.Name, p.Name, w.Reason)
			}
		}
	}
	for _, cond := range p.Status.Conditions {
		// A claim that is a moment younger than its pod looks unschedulable too.
		if cond.Type == corev1.PodScheduled && cond.Reason == corev1.PodReasonUnschedulable &&
			clock.Since(cond.LastTransitionTime.Time) > 5*time.Second {
			return fmt.Sprintf("pod %s cannot be scheduled: %s", p.Name, cond.Message)
		}
	}
	return overdueContainer(p, clock)
}

// overdue is how long a container may run beyond what its readiness probe takes at least. One that is still not ready
// then is taken for one that will not be.
const overdue = 10 * time.Second

// overdueContainer tells which container of a running pod should have been ready for a while and is not, or "".
func overdueContainer(p *corev1.Pod, clock *Clock) string {
	if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
		return ""
	}
	var unready time.Time // since when
	for _, cond := range p.Status.Conditions {
		if cond.Type != corev1.ContainersReady {
			continue
		}
		// It was ready a moment ago, or just is.
		if unready = cond.LastTransitionTime.Time; cond.Status == corev1.ConditionTrue || clock.Since(unready) < overdue {
			return ""
		}
	}
	for _, s := range p.Status.ContainerStatuses {
		i := slices.IndexFunc(p.Spec.Containers, func(c corev1.Container) bool { return c.Name == s.Name })
		if s.Ready || s.State.Running == nil || i < 0 || s.Started == nil {
			continue
		}
		// One that is not started has a startup probe going on, which ends by itself, one way or the other.
		if !*s.Started {
			if last := s.LastTerminationState.Terminated; neverStarted(p.Spec.Containers[i].StartupProbe, last, unready) {
				return fmt.Sprintf("container %s of pod %s was killed after %s: its startup probe had not passed",
					s.Name, p.Name, last.FinishedAt.Sub(last.StartedAt.Time))
			}
			continue
		}
		least := overdue
		if probe := p.Spec.Containers[i].ReadinessProbe; probe != nil {
			least += time.Duration(probe.InitialDelaySeconds+probe.PeriodSeconds*max(1, probe.SuccessThreshold)+probe.TimeoutSeconds) * time.Second
		}
		if clock.Since(s.State.Running.StartedAt.Time) > least {
			return fmt.Sprintf("container %s of pod %s runs and is not ready", s.Name, p.Name)
		}
	}
	return ""
}

// unready is the failure of a set whose pods run and are not ready: settling, unless none of them will be by waiting.
func (p *podSet) unready(found []corev1.Pod, clock *Clock) *Failure {
	f := &Failure{Is: fmt.Sprintf("no pod with labels %s is ready", p.Pods), Look: p.look()}
	var why []string
	for i := range found {
		if s := stuck(&found[i], clock); s != "" {
			why = append(why, s)
		}
	}
	f.Settling = len(why) < len(found)
	if !f.Settling {
		f.Is += " (" + strings.Join(why, "; ") + ")"
		f.Look = "kubectl -n " + p.Namespace + " describe pods -l '" + p.Pods + "'"
	}
	return f
}

func podReady(p *corev1.Pod) bool {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

// readySince is when a pod's readiness changed last.
func readySince(p *corev1.Pod) time.Time {
	for _, cond := range p.Status.Conditions {
		if cond.Type == corev1.PodReady {
			return cond.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// neverStarted tells whether the last run of a container took as long as its startup probe allows, and did not get ready
// in that time.
func neverStarted(probe *corev1.Probe, last *corev1.ContainerStateTerminated, unready time.Time) bool {
	if probe == nil || last == nil || unready.After(last.StartedAt.Time) {
		return false
	}
	allowed := time.Duration(probe.InitialDelaySeconds+probe.PeriodSeconds*(probe.FailureThreshold-1)) * time.Second
	return last.FinishedAt.Sub(last.StartedAt.Time) >= allowed
}
