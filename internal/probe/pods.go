package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/retry"
	"k8s.io/streaming/pkg/httpstream"
)

// A PodSession probes without the nodes' help, for clusters that kindlab did not make: from an ephemeral container in
// each pod that packets leave from. Such a container shares the pod's network and its resolv.conf. Kubernetes never
// removes one: it shows in the pod's spec, idles, and ends with the pod. Each pod gets one, and later sessions use it.
//
// It is safe for concurrent use, and touches no pod before the first probe from it.
type PodSession struct {
	*pool
	kube   kubernetes.Interface
	config *rest.Config
}

// OpenPods returns a PodSession. The identity must be allowed to change pods/ephemeralcontainers and to create
// pods/exec.
func OpenPods(kube kubernetes.Interface, config *rest.Config) *PodSession {
	return &PodSession{pool: newPool("/tmp", "here"), kube: kube, config: config}
}

// Probe makes all attempts at once and returns their outcomes in the order of
// the jobs. Trouble on our side is an outcome too: dial.Error.
func (s *PodSession) Probe(ctx context.Context, jobs []Job) []Outcome {
	return all(jobs, func(j Job) Outcome {
		switch {
		case j.PodIP != "":
			return s.ask(ctx, "pod "+j.PodIP+j.PodUID, j, func(ctx context.Context) (Node, error) { return s.prepare(ctx, j) })
		case j.Node != "":
			return trouble(j, fmt.Errorf("nothing can be asked from node %s: the nodes of this cluster take no commands", j.Node))
		}
		return fromHost(ctx, j)
	})
}

// The image that probes run in. It is the one that labs' own pods use, so it is on the cluster or can be pulled.
const probeImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"

const probeContainer = "kindlab-probe-"

// prepare finds the pod that a job leaves from and sees to it that a container of ours runs in it.
func (s *PodSession) prepare(ctx context.Context, j Job) (Node, error) {
	pod, err := s.find(ctx, j)
	if err != nil {
		return nil, err
	}
	pods := s.kube.CoreV1().Pods(pod.Namespace)
	name := ""
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if name = ours(pod); name != "" {
			return nil
		}
		fresh, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if name = ours(fresh); name != "" {
			return nil
		}
		name = probeContainer + strings.ToLower(rand.Text()[:6])
		fresh.Spec.EphemeralContainers = append(fresh.Spec.EphemeralContainers, ephemeral(name))
		_, err = pods.UpdateEphemeralContainers(ctx, pod.Name, fresh, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("adding an ephemeral container to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if err := s.running(ctx, pod, name); err != nil {
		return nil, err
	}
	return podNode{s, pod.Namespace, pod.Name, name}, nil
}

// find returns the running pod with the job's address.
func (s *PodSession) find(ctx context.Context, j Job) (*corev1.Pod, error) {
	list, err := s.kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "status.podIP=" + j.PodIP})
	if err != nil {
		return nil, fmt.Errorf("looking for the pod with address %s: %w", j.PodIP, err)
	}
	for i, p := range list.Items {
		if p.Status.PodIP == j.PodIP && p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil &&
			(j.PodUID == "" || j.PodUID == string(p.UID)) {
			return &list.Items[i], nil
		}
	}
	return nil, fmt.Errorf("no pod with address %s is running", j.PodIP)
}

// ours names the container of an earlier session, unless it has ended.
func ours(p *corev1.Pod) string {
	ended := map[string]bool{}
	for _, s := range p.Status.EphemeralContainerStatuses {
		ended[s.Name] = s.State.Terminated != nil
	}
	for _, c := range p.Spec.EphemeralContainers {
		if strings.HasPrefix(c.Name, probeContainer) && !ended[c.Name] {
			return c.Name
		}
	}
	return ""
}

// ephemeral is a container that idles, within what the strictest Pod Security Standard allows. It ends when it is told
// to, so that the pod's deletion takes no longer.
func ephemeral(name string) corev1.EphemeralContainer {
	nobody, yes, no := int64(65534), true, false
	return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: name, Image: probeImage, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"sh", "-c", `trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done`},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: &nobody, RunAsGroup: &nobody, RunAsNonRoot: &yes, AllowPrivilegeEscalation: &no,
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}}
}

// startup bounds the wait for a container of ours: its image may have to be pulled.
const startup = time.Minute

func (s *PodSession) running(ctx context.Context, pod *corev1.Pod, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startup)
	defer cancel()
	for {
		p, err := s.kube.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("waiting for container %s of pod %s/%s: %w", name, pod.Namespace, pod.Name, err)
		}
		for _, status := range p.Status.EphemeralContainerStatuses {
			waiting, ended := status.State.Waiting, status.State.Terminated
			switch {
			case status.Name != name:
			case status.State.Running != nil:
				return nil
			case ended != nil:
				return fmt.Errorf("container %s of pod %s/%s ended: %s", name, pod.Namespace, pod.Name, ended.Reason)
			case waiting != nil && strings.Contains(waiting.Reason, "Err"):
				return fmt.Errorf("container %s of pod %s/%s does not start: %s %s", name, pod.Namespace, pod.Name, waiting.Reason, waiting.Message)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for container %s of pod %s/%s: %w", name, pod.Namespace, pod.Name, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// A podNode takes commands in a container of a pod, as a node does.
type podNode struct {
	session                    *PodSession
	namespace, name, container string
}

func (n podNode) Name() string { return n.namespace + "/" + n.name }

func (n podNode) Exec(ctx context.Context, stdin io.Reader, stdout io.Writer, argv ...string) error {
	url := n.session.kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(n.namespace).Name(n.name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: n.container, Command: argv, Stdin: stdin != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	ws, err := remotecommand.NewWebSocketExecutor(n.session.config, "GET", url.String())
	if err != nil {
		return fmt.Errorf("opening a stream into pod %s: %w", n.Name(), err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(n.session.config, "POST", url)
	if err != nil {
		return fmt.Errorf("opening a stream into pod %s: %w", n.Name(), err)
	}
	either, err := remotecommand.NewFallbackExecutor(ws, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return fmt.Errorf("opening a stream into pod %s: %w", n.Name(), err)
	}
	var stderr bytes.Buffer
	err = either.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: &stderr})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Join(fmt.Errorf("in container %s of pod %s: %w", n.container, n.Name(), err), said(&stderr))
	}
	return nil
}

func said(stderr *bytes.Buffer) error {
	if text := strings.TrimSpace(stderr.String()); text != "" {
		return errors.New(text)
	}
	return nil
}
