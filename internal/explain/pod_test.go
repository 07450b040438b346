package explain

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// The fake's log is always this.
const fakeLine = `; its last line was "fake logs"`

func TestPod(t *testing.T) {
	t.Parallel()
	// The pod is handed over as a check has it; it is read here for the test's sake, and not counted as a call.
	ask := func(ctx context.Context, w Walker) (*Link, error) {
		pod, err := w.Kube.CoreV1().Pods("bakery").Get(ctx, "oven-1", metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return w.Pod(ctx, pod)
	}
	const (
		look = "kubectl -n bakery describe pod oven-1"
		yaml = "kubectl -n bakery get pod oven-1 -o yaml"
		logs = "kubectl -n bakery logs oven-1 -c oven"
		open = "containers: [{name: oven, image: 'oven:1'}], schedulerName: default-scheduler"
	)
	pod := func(spec, status string, more ...string) string {
		return docs(append([]string{podDoc("oven-1", "app: oven", spec, status), nodesDoc}, more...)...)
	}
	waiting := func(reason, message string) string {
		return "phase: Pending, containerStatuses: [{name: oven, image: other, state: {waiting: {reason: " + reason + ", message: '" + message + "'}}}]"
	}
	unscheduled := func(message string) string {
		return "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '" + message + "'}]"
	}
	crashed := func(more string) string {
		return "phase: Running, containerStatuses: [{name: oven, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 2" + more + "}}}]"
	}
	event := func(reason, message string) string {
		return eventDoc("Pod", "oven-1", reason, message, ", fieldPath: 'spec.containers{oven}'")
	}
	runChain(t, []chainTest{
		{name: "ready", objects: pod(oven, up), walk: ask},
		{name: "has run to its end", objects: pod(oven, "phase: Succeeded"), walk: ask},

		// On its way out, or gone wrong.
		{
			name: "being deleted", walk: ask, settling: true, object: "Pod oven-1", is: "Pod oven-1 is being deleted", look: yaml,
			objects: "{apiVersion: v1, kind: Pod, metadata: {namespace: bakery, name: oven-1, deletionTimestamp: '2026-05-01T12:00:20Z', finalizers: [example.com/hold]}}",
		},
		{
			name: "held by a finalizer", walk: ask, object: "Pod oven-1", is: "Pod oven-1 is being deleted and is held by the finalizer example.com/hold", look: yaml,
			objects: "{apiVersion: v1, kind: Pod, metadata: {namespace: bakery, name: oven-1, deletionTimestamp: '2026-05-01T11:50:00Z', finalizers: [example.com/hold]}}",
		},
		{
			name: "evicted", objects: pod(oven, "phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.'"), walk: ask,
			object: "Pod oven-1", is: "Pod oven-1 has failed: Evicted, The node was low on resource: memory", look: look,
		},
		{
			name: "failed", objects: pod(oven, "phase: Failed, containerStatuses: [{name: oven, state: {terminated: {exitCode: 3, reason: Error}}}]"), walk: ask,
			object: "Pod oven-1", is: "container oven of Pod oven-1 has ended with exit code 3" + fakeLine, look: logs,
		},
		{name: "failed, and nothing known", objects: pod(oven, "phase: Failed"), walk: ask, object: "Pod oven-1", is: "Pod oven-1 has failed", look: look},

		// No node.
		{
			name: "the scheduler's words", walk: ask, object: "Pod oven-1", look: look,
			objects: docs(podDoc("oven-1", "app: oven", open+", nodeSelector: {disk: ssd}", unscheduled("0/6 nodes are available: 1 node(s) had untolerated taint(s), 1 Insufficient memory, 2 node(s) didn''t match Pod''s node affinity/selector, 1 node(s) were unschedulable. preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling.")),
				"{apiVersion: v1, kind: Node, metadata: {name: one}, spec: {taints: [{key: team, value: cakes, effect: NoSchedule}, {key: soft, effect: PreferNoSchedule}]}}"),
			is: "no node takes Pod oven-1: 1 node with a taint that the pod does not tolerate (team=cakes:NoSchedule), 1 node with too little memory left, 2 nodes without what its nodeSelector (disk=ssd) asks for and 1 node cordoned",
		},
		{
			name: "taints that it tolerates are not named", walk: ask, object: "Pod oven-1", look: look,
			objects: docs(podDoc("oven-1", "", open+", tolerations: [{key: team, operator: Exists}, {key: gpu, value: big}]", unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint(s).")),
				"{apiVersion: v1, kind: Node, metadata: {name: one}, spec: {taints: [{key: team, value: cakes, effect: NoSchedule}, {key: gpu, value: small, effect: NoExecute}]}}"),
			is: "no node takes Pod oven-1: 1 node with a taint that the pod does not tolerate (gpu=small:NoExecute)",
		},
		{
			name: "affinity, host port and words of a newer scheduler", walk: ask, object: "Pod oven-1", look: look,
			objects: pod(open, unscheduled("0/4 nodes are available: 2 node(s) didn''t match Pod''s node affinity/selector, 1 node(s) didn''t have free ports for the requested pod ports, 1 node(s) had a bad day.")),
			is:      "no node takes Pod oven-1: 2 nodes without what its node affinity asks for, 1 node where its host port is taken and 1 node: had a bad day",
		},
		{name: "another message", objects: pod(open, unscheduled("no nodes available to schedule pods")), walk: ask, object: "Pod oven-1", is: "no node takes Pod oven-1: no nodes available to schedule pods", look: look},
		{
			name: "its claim is missing", walk: ask, object: "PersistentVolumeClaim data", look: "kubectl -n bakery get pvc",
			objects: pod(open+", volumes: [{name: cfg, configMap: {name: x}}, {name: v, persistentVolumeClaim: {claimName: data}}]", unscheduled(`0/1 nodes are available: persistentvolumeclaim "data" not found.`)),
			is:      "Pod oven-1 has no node: there is no PersistentVolumeClaim data in namespace bakery; there is none",
		},
		{
			name: "its claim waits for it", walk: ask, object: "Pod oven-1", look: look,
			objects: pod(open+", volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]", unscheduled("0/1 nodes are available: 1 Insufficient cpu."), lateClass, claimDoc("data", "storageClassName: late", "phase: Pending")),
			is:      "no node takes Pod oven-1: 1 node with too little cpu left",
		},
		{
			name: "scheduling gate", objects: pod(open+", schedulingGates: [{name: example.com/wait}]", "phase: Pending"), walk: ask,
			object: "Pod oven-1", is: "Pod oven-1 is held back by the scheduling gate example.com/wait", look: look,
		},
		{
			name: "no scheduler", objects: pod("containers: [{name: oven}], schedulerName: mine", "phase: Pending"), walk: ask,
			object: "Pod oven-1", is: "no scheduler has looked at Pod oven-1 (schedulerName mine)", look: look,
		},
		{
			name: "only just made", walk: ask, settling: true, object: "Pod oven-1", is: "Pod oven-1 waits for the scheduler", look: look,
			objects: "{apiVersion: v1, kind: Pod, metadata: {namespace: bakery, name: oven-1, creationTimestamp: '2026-05-01T11:59:55Z'}}",
		},

		// On a node, and nothing runs.
		{name: "being started", objects: pod(oven, "phase: Pending"), walk: ask, settling: true, object: "Pod oven-1", is: "Pod oven-1 is being started on node one", look: look},
		{name: "its containers are being made", objects: pod(oven, waiting("ContainerCreating", "")), walk: ask, settling: true, object: "Pod oven-1", is: "Pod oven-1 is being started on node one", look: look},
		{
			name: "a volume's Secret is missing", objects: pod(oven, waiting("ContainerCreating", ""), event("FailedMount", `MountVolume.SetUp failed for volume "v" : secret "pass" not found`), "{apiVersion: v1, kind: Secret, metadata: {namespace: bakery, name: passw}}"), walk: ask,
			object: "Pod oven-1", is: "Pod oven-1 has no container yet, because a volume cannot be mounted: there is no Secret pass in namespace bakery; there is passw", look: look,
		},
		{
			name: "a volume that cannot be attached", objects: pod(oven, waiting("ContainerCreating", ""), event("FailedAttachVolume", "the disk is elsewhere")), walk: ask,
			object: "Pod oven-1", is: "Pod oven-1 has no container yet, because a volume cannot be mounted: the disk is elsewhere", look: look,
		},
		{
			name: "its image is on the way, after a volume that was late", walk: ask, settling: true, object: "Pod oven-1", look: look, is: "Pod oven-1 is being started on node one: Pulling image oven:1",
			objects: pod(oven, waiting("ContainerCreating", ""), event("Pulling", "Pulling image oven:1"), strings.Replace(event("FailedMount", "late"), "11:59", "11:58", 1)),
		},
		{
			name: "the volume was late", walk: ask, settling: true, object: "Pod oven-1", look: look, is: "Pod oven-1 is being started on node one",
			objects: pod(oven, waiting("ContainerCreating", ""), event("Pulled", "x"), strings.Replace(event("FailedMount", "late"), "11:59", "11:58", 1)),
		},
		{
			name: "no network", objects: pod(oven, waiting("ContainerCreating", ""), event("FailedCreatePodSandBox", "no addresses left")), walk: ask,
			object: "Pod oven-1", is: "Pod oven-1 has no container yet, because it has no network: no addresses left", look: look,
		},
		{
			name: "another pod of its name had events", walk: ask, settling: true, object: "Pod oven-1", is: "Pod oven-1 is being started on node one", look: look,
			objects: pod(oven, waiting("ContainerCreating", ""), "{apiVersion: v1, kind: Event, metadata: {namespace: bakery, name: old}, reason: FailedMount, message: old, involvedObject: {kind: Pod, namespace: bakery, name: oven-1, uid: older}}"),
		},
		{
			name: "its node is away", walk: ask, object: "Node one", look: "kubectl describe node one",
			objects: docs(podDoc("oven-1", "", oven, down), "{apiVersion: v1, kind: Node, metadata: {name: one}, status: {conditions: [{type: Ready, status: Unknown, message: Kubelet stopped posting node status.}]}}"),
			is:      "node one, where Pod oven-1 runs, is not ready: Kubelet stopped posting node status",
		},
		{name: "a node that is not there", objects: docs(podDoc("oven-1", "", oven, down), node2Doc), walk: ask, object: "Pod oven-1", is: "Pod oven-1 is bound to node one, which does not exist; there is two", look: "kubectl get nodes"},

		// Images and configuration.
		{name: "no such image", objects: pod(oven, waiting("ErrImagePull", "rpc error: code = NotFound desc = failed to pull: docker.io/library/oven:1: not found")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: ErrImagePull, image oven:1 does not exist in its registry", look: look},
		{name: "registry away, told by the event alone", objects: pod(oven, waiting("ImagePullBackOff", `Back-off pulling image "oven:1"`), event("Failed", "Failed to pull image: dial tcp: lookup registry: no such host")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: ImagePullBackOff, image oven:1 cannot be pulled: its registry cannot be reached", look: look},
		{name: "no right to pull", objects: pod(oven, waiting("ErrImagePull", "pull access denied, repository does not exist or may require authorization")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: ErrImagePull, image oven:1 cannot be pulled: its registry asks who you are, or has no such image", look: look},
		{name: "a reason of its own", objects: pod(oven, waiting("ErrImagePull", "the disk is full")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: ErrImagePull, image oven:1 cannot be pulled: the disk is full", look: look},
		{name: "not the name of an image", objects: pod(oven, waiting("InvalidImageName", "")), walk: ask, object: "Pod oven-1", is: `container oven of Pod oven-1: InvalidImageName, "oven:1" is not the name of an image`, look: look},
		{name: "never pulled", objects: pod(oven, waiting("ErrImageNeverPull", "")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: ErrImageNeverPull, image oven:1 is not on node one, and imagePullPolicy is Never", look: look},
		{name: "no ConfigMap", objects: pod(oven, waiting("CreateContainerConfigError", `configmap "settings" not found`)), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: CreateContainerConfigError, there is no ConfigMap settings in namespace bakery", look: look},
		{name: "no key in the ConfigMap", objects: pod(oven, waiting("CreateContainerConfigError", `couldn''t find key colour in ConfigMap bakery/settings`), "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: bakery, name: settings}, data: {color: red}}"), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: CreateContainerConfigError, ConfigMap settings has no key colour; there is color", look: look},
		{name: "no key in the Secret", objects: pod(oven, waiting("CreateContainerConfigError", `couldn''t find key pass in Secret bakery/door`), "{apiVersion: v1, kind: Secret, metadata: {namespace: bakery, name: door}, data: {code: ''}}"), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1: CreateContainerConfigError, Secret door has no key pass; there is code", look: look},
		{name: "cannot be started", objects: pod(oven, waiting("RunContainerError", `failed to create shim task: runc create failed: unable to start container process: exec: "x": not found`)), walk: ask, object: "Pod oven-1", is: `container oven of Pod oven-1: RunContainerError, exec: "x": not found`, look: look},

		// Containers that end.
		{name: "crash loop", objects: pod(oven, crashed(", reason: Error")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 keeps ending with exit code 2 (CrashLoopBackOff, 3 restarts)" + fakeLine, look: logs + " --previous"},
		{name: "out of memory", objects: pod("nodeName: one, containers: [{name: oven, resources: {limits: {memory: 64Mi}}}]", crashed(", reason: OOMKilled")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 keeps ending with exit code 2 (CrashLoopBackOff, 3 restarts), OOMKilled: it used more memory than its limit of 64Mi", look: look},
		{name: "it left a message", objects: pod(oven, crashed(", reason: Error, message: no flour")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 keeps ending with exit code 2 (CrashLoopBackOff, 3 restarts): no flour" + fakeLine, look: logs + " --previous"},
		{name: "liveness probe", objects: pod(oven, crashed(""), event("Unhealthy", "Liveness probe failed: timeout")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 keeps ending with exit code 2 (CrashLoopBackOff, 3 restarts): Liveness probe failed: timeout", look: look},
		{name: "a liveness probe of long ago", objects: pod(oven, crashed(", finishedAt: '2026-05-01T12:30:00Z'"), event("Unhealthy", "Liveness probe failed: timeout")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 keeps ending with exit code 2 (CrashLoopBackOff, 3 restarts)" + fakeLine, look: logs + " --previous"},
		{name: "ended well, and is to run forever", objects: pod(oven+", restartPolicy: Always", "phase: Running, containerStatuses: [{name: oven, state: {terminated: {exitCode: 0, reason: Completed}}}]"), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 has ended with exit code 0" + fakeLine, look: logs},
		{name: "started again, and not ready", objects: pod(oven, "phase: Running, containerStatuses: [{name: oven, state: {running: {}}, lastState: {terminated: {exitCode: 1, reason: Error}}}]"), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 keeps ending with exit code 1" + fakeLine, look: logs + " --previous"},

		// Init containers.
		{
			name: "an init container fails", walk: ask, object: "Pod oven-1", look: "kubectl -n bakery logs oven-1 -c wait --previous",
			objects: pod(oven+", initContainers: [{name: wait}]", "phase: Pending, initContainerStatuses: [{name: wait, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1}}}], containerStatuses: [{name: oven, state: {waiting: {reason: PodInitializing}}}]"),
			is:      "container wait of Pod oven-1 keeps ending with exit code 1 (CrashLoopBackOff, 1 restart)" + fakeLine,
		},
		{
			name: "an init container runs on and on", walk: ask, object: "Pod oven-1", look: "kubectl -n bakery logs oven-1 -c wait",
			objects: pod(oven, "phase: Pending, initContainerStatuses: [{name: first, state: {terminated: {exitCode: 0}}}, {name: wait, state: {running: {startedAt: '2026-05-01T11:50:00Z'}}}]"),
			is:      `init container wait of Pod oven-1 is still running (2 of 2), and the others wait for it; its last line is "fake logs"`,
		},
		{
			name: "an init container has only just begun", walk: ask, settling: true, object: "Pod oven-1", look: "kubectl -n bakery logs oven-1 -c wait",
			objects: pod(oven, "phase: Pending, initContainerStatuses: [{name: wait, state: {running: {startedAt: '2026-05-01T11:59:50Z'}}}]"),
			is:      `init container wait of Pod oven-1 is still running (1 of 1), and the others wait for it; its last line is "fake logs"`,
		},
		{
			name: "an init container's image", walk: ask, object: "Pod oven-1", look: look,
			objects: pod("nodeName: one, initContainers: [{name: wait, image: 'wait:1'}]", "phase: Pending, initContainerStatuses: [{name: wait, state: {waiting: {reason: ErrImagePull, message: not found}}}]"),
			is:      "init container wait of Pod oven-1: ErrImagePull, image wait:1 does not exist in its registry",
		},
		{
			name: "a sidecar runs beside", walk: ask, settling: true, object: "Pod oven-1", look: look,
			objects: pod(oven+", initContainers: [{name: proxy, restartPolicy: Always}]", "phase: Running, initContainerStatuses: [{name: proxy, started: true, ready: true, state: {running: {}}}], containerStatuses: [{name: oven, state: {running: {}}}]"),
			is:      "container oven of Pod oven-1 runs and is not ready yet",
		},

		// Running, and not ready.
		{name: "readiness probe", objects: pod(oven, down, event("Unhealthy", "Readiness probe failed: 404")), walk: ask, object: "Pod oven-1", is: "container oven of Pod oven-1 runs and is not ready: Readiness probe failed: 404", look: look},
		{name: "no probe has failed yet", objects: pod(oven, down), walk: ask, settling: true, object: "Pod oven-1", is: "container oven of Pod oven-1 runs and is not ready yet", look: look},
		{name: "readiness gate", objects: pod(oven+", readinessGates: [{conditionType: example.com/lb}]", "phase: Running, conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: oven, ready: true, state: {running: {}}}]"), walk: ask, object: "Pod oven-1", is: "the containers of Pod oven-1 are ready, and nobody has set the condition of its readiness gate example.com/lb", look: look},
		{name: "about to be ready", objects: pod(oven, "phase: Running, containerStatuses: [{name: oven, ready: true, state: {running: {}}}]"), walk: ask, settling: true, object: "Pod oven-1", is: "Pod oven-1 is not ready yet", look: look},
	})
}

// The log comes from the node, which may be away: the link stands without it.
func TestPodWithoutLog(t *testing.T) {
	t.Parallel()
	pod := objects(t, podDoc("oven-1", "", oven, "phase: Running, containerStatuses: [{name: oven, state: {terminated: {exitCode: 2}}}]"))[0].(*corev1.Pod)
	client := fake.NewClientset(pod)
	client.PrependReactor("get", "pods/log", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("the node is away")
	})
	link, err := Walker{Kube: client}.Pod(t.Context(), pod)
	if err != nil || link == nil || link.Is != "container oven of Pod oven-1 has ended with exit code 2" {
		t.Errorf("got %+v, %v", link, err)
	}
}
