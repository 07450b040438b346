package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod tells why a pod is not ready: deletion → failure → a node for it and its claims → volumes → init containers →
// containers and their images → readiness → its node. A pod that has run to its end well is not broken.
func (w Walker) Pod(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	return w.walk().pod(ctx, pod)
}

// young is how long a pod may be on its way before that is said to be all there is to say.
const young = 30 * time.Second

func (k *walk) pod(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	if !k.enter(fmt.Sprintf("pod/%s/%s", pod.Namespace, pod.Name)) || pod.Status.Phase == corev1.PodSucceeded {
		return nil, nil
	}
	for _, step := range []func(context.Context, *corev1.Pod) (*Link, error){
		k.deleted, k.failed, k.scheduled, k.initialised, k.containers, k.unready,
	} {
		if link, err := step(ctx, pod); link != nil || err != nil {
			return link, err
		}
		if ready(pod) {
			break
		}
	}
	return nil, nil
}

// worst explains pods of which none is ready: the first that will not get there by waiting, or else the first.
func (k *walk) worst(ctx context.Context, pods []corev1.Pod) (*Link, error) {
	const enough = 3 // replicas fail alike, and each costs calls
	var first *Link
	for i := range pods[:min(len(pods), enough)] {
		link, err := k.pod(ctx, &pods[i])
		if err != nil {
			return nil, err
		}
		if link != nil && !link.Settling {
			return link, nil
		}
		if first == nil {
			first = link
		}
	}
	return first, nil
}

func describe(pod *corev1.Pod) string {
	return fmt.Sprintf("kubectl -n %s describe pod %s", pod.Namespace, pod.Name)
}

func (k *walk) deleted(_ context.Context, pod *corev1.Pod) (*Link, error) {
	if pod.DeletionTimestamp == nil {
		return nil, nil
	}
	object, look := "Pod "+pod.Name, fmt.Sprintf("kubectl -n %s get pod %s -o yaml", pod.Namespace, pod.Name)
	// The timestamp is when its grace ends.
	if len(pod.Finalizers) > 0 && k.now.After(pod.DeletionTimestamp.Time) {
		return k.broken(object, look,
			"Pod %s is being deleted and is held by the finalizer %s", pod.Name, and(pod.Finalizers...)), nil
	}
	return k.settling(object, look, "Pod %s is being deleted", pod.Name), nil
}

func (k *walk) failed(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	if pod.Status.Phase != corev1.PodFailed {
		return nil, nil
	}
	if reason := pod.Status.Reason; reason != "" {
		is := fmt.Sprintf("Pod %s has failed: %s", pod.Name, reason)
		if pod.Status.Message != "" {
			is += ", " + short(pod.Status.Message)
		}
		return k.broken("Pod "+pod.Name, describe(pod), "%s", is), nil
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 {
			return k.ended(ctx, pod, s, t, "has ended")
		}
	}
	return k.broken("Pod "+pod.Name, describe(pod), "Pod %s has failed", pod.Name), nil
}

// initialised goes through the init containers, which start one after the other.
func (k *walk) initialised(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	if len(pod.Status.InitContainerStatuses)+len(pod.Status.ContainerStatuses) == 0 {
		return k.unstarted(ctx, pod)
	}
	for i, s := range pod.Status.InitContainerStatuses {
		sidecar := restarts(pod, s.Name)
		switch t := s.State.Terminated; {
		case t != nil && t.ExitCode == 0 && !sidecar, sidecar && s.Started != nil && *s.Started:
			continue
		case s.State.Running != nil && s.LastTerminationState.Terminated == nil:
			is := fmt.Sprintf("init container %s of Pod %s is still running (%d of %d), and the others wait for it",
				s.Name, pod.Name, i+1, len(pod.Status.InitContainerStatuses))
			if line := k.lastLine(ctx, pod, s.Name, false); line != "" {
				is += fmt.Sprintf("; its last line is %q", line)
			}
			link := k.broken("Pod "+pod.Name, logs(pod, s.Name, false), "%s", is)
			link.Settling = k.now.Sub(s.State.Running.StartedAt.Time) < young
			return link, nil
		}
		if link, err := k.container(ctx, pod, s, "init container"); link != nil || err != nil {
			return link, err
		}
	}
	return nil, nil
}

func restarts(pod *corev1.Pod, init string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == init && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

func (k *walk) containers(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	for _, s := range pod.Status.ContainerStatuses {
		if link, err := k.container(ctx, pod, s, "container"); link != nil || err != nil {
			return link, err
		}
	}
	return nil, nil
}

// container explains one that waits, has ended, or has just been started again.
func (k *walk) container(ctx context.Context, pod *corev1.Pod, s corev1.ContainerStatus, kind string) (*Link, error) {
	switch w, t := s.State.Waiting, s.State.Terminated; {
	case t != nil && (t.ExitCode != 0 || pod.Spec.RestartPolicy == corev1.RestartPolicyAlways):
		return k.ended(ctx, pod, s, t, "has ended")
	case w == nil && s.Ready, t != nil:
		return nil, nil
	case s.LastTerminationState.Terminated != nil && (w == nil || w.Reason == "CrashLoopBackOff"):
		return k.ended(ctx, pod, s, s.LastTerminationState.Terminated, "keeps ending")
	case w == nil:
		return nil, nil
	case w.Reason == "ContainerCreating", w.Reason == "PodInitializing", w.Reason == "":
		return k.unstarted(ctx, pod)
	default:
		return k.waiting(ctx, pod, s, kind)
	}
}

// ended tells how a container came to its end, and what it said last.
func (k *walk) ended(ctx context.Context, pod *corev1.Pod, s corev1.ContainerStatus,
	t *corev1.ContainerStateTerminated, how string,
) (*Link, error) {
	previous := s.State.Terminated == nil
	is := fmt.Sprintf("container %s of Pod %s %s with exit code %d", s.Name, pod.Name, how, t.ExitCode)
	if w := s.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
		is += fmt.Sprintf(" (CrashLoopBackOff, %s)", count(int(s.RestartCount), "restart"))
	}
	switch {
	case t.Reason == "OOMKilled":
		is += ", OOMKilled: it used more memory than its limit"
		if limit := limitOf(pod, s.Name); limit != "" {
			is += " of " + limit
		}
		return k.broken("Pod "+pod.Name, describe(pod), "%s", is), nil
	case t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed", t.Message != "":
		is += ": " + strings.TrimSpace(strings.TrimPrefix(t.Reason, "Error")+" "+essence(t.Message))
	}
	killed, err := k.killed(ctx, pod, s.Name, t)
	if err != nil {
		return nil, err
	}
	if killed != "" {
		return k.broken("Pod "+pod.Name, describe(pod), "%s: %s", is, killed), nil
	}
	if line := k.lastLine(ctx, pod, s.Name, previous); line != "" {
		is += fmt.Sprintf("; its last line was %q", line)
	}
	return k.broken("Pod "+pod.Name, logs(pod, s.Name, previous), "%s", is), nil
}

// killed is the liveness or startup probe for which the kubelet ended a container: its own log says nothing of that.
func (k *walk) killed(ctx context.Context, pod *corev1.Pod, container string, t *corev1.ContainerStateTerminated) (string, error) {
	const grace = 2 * time.Minute // a container may take its time to end, and an older failure was another's
	events, err := k.events(ctx, "Pod", pod)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		probe := strings.HasPrefix(e.Message, "Liveness") || strings.HasPrefix(e.Message, "Startup")
		if e.Reason == "Unhealthy" && probe && about(e, container) && t.FinishedAt.Sub(lastSeen(e)) < grace {
			return short(e.Message), nil
		}
	}
	return "", nil
}

// about tells whether an event of a pod is about one of its containers.
func about(e corev1.Event, container string) bool {
	return strings.Contains(e.InvolvedObject.FieldPath, "{"+container+"}")
}

func logs(pod *corev1.Pod, container string, previous bool) string {
	cmd := fmt.Sprintf("kubectl -n %s logs %s -c %s", pod.Namespace, pod.Name, container)
	if previous {
		cmd += " --previous"
	}
	return cmd
}

func limitOf(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if q, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return q.String()
		}
	}
	return ""
}

// lastLine is what a container wrote last. The log adds to a link that stands without it, and comes from the node,
// which may be away: without it there is one line less to tell.
func (k *walk) lastLine(ctx context.Context, pod *corev1.Pod, container string, previous bool) string {
	lines, bytes := int64(5), int64(4096)
	raw, err := k.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, LimitBytes: &bytes,
	}).DoRaw(ctx)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return short(all[len(all)-1])
}

// unready is a pod whose containers run: a probe fails, a gate is closed, or its node is away.
func (k *walk) unready(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	if ready(pod) {
		return nil, nil
	}
	if link, err := k.node(ctx, pod); link != nil || err != nil {
		return link, err
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.Ready {
			continue
		}
		events, err := k.events(ctx, "Pod", pod)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if e.Reason == "Unhealthy" && about(e, s.Name) {
				return k.broken("Pod "+pod.Name, describe(pod),
					"container %s of Pod %s runs and is not ready: %s", s.Name, pod.Name, short(e.Message)), nil
			}
		}
		return k.settling("Pod "+pod.Name, describe(pod),
			"container %s of Pod %s runs and is not ready yet", s.Name, pod.Name), nil
	}
	for _, g := range pod.Spec.ReadinessGates {
		if conditionOf(pod, g.ConditionType).Status != corev1.ConditionTrue {
			return k.broken("Pod "+pod.Name, describe(pod),
				"the containers of Pod %s are ready, and nobody has set the condition of its readiness gate %s", pod.Name, g.ConditionType), nil
		}
	}
	return k.settling("Pod "+pod.Name, describe(pod), "Pod %s is not ready yet", pod.Name), nil
}

// node is broken when the pod's node does not report.
func (k *walk) node(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	all, err := k.nodes(ctx)
	if err != nil {
		return nil, err
	}
	n := named(all, pod.Spec.NodeName)
	if n == nil {
		return k.broken("Pod "+pod.Name, "kubectl get nodes",
			"Pod %s is bound to node %s, which does not exist%s", pod.Name, pod.Spec.NodeName, instead(pod.Spec.NodeName, names(all))), nil
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return k.broken("Node "+n.Name, "kubectl describe node "+n.Name,
				"node %s, where Pod %s runs, is not ready: %s", n.Name, pod.Name, short(c.Message)), nil
		}
	}
	return nil, nil
}

// age is how long an object has been there.
func (k *walk) age(o metav1.Object) time.Duration { return k.now.Sub(o.GetCreationTimestamp().Time) }
