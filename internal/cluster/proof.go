package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

const (
	proofImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"
	proofPort  = 8080
	proofLabel = "kindlab.dev/proof"
	// guarded is the pod that a policy shuts off. It stands from the start, so that its being reachable before is the
	// positive control for its being denied after.
	guarded = "guarded"

	proofPoll   = 100 * time.Millisecond
	dialTimeout = time.Second // a policy engine that drops packets shows as this timeout
)

// prover holds what one proof needs.
type prover struct {
	kube  kubernetes.Interface
	nodes []string // Kubernetes names, at least one
	ns    string
	// dial asks the proof pod from to fetch the host name of whatever answers at host.
	dial func(ctx context.Context, from, host string) (string, error)
}

// prove returns nil once the cluster has shown that it works: its nodes are ready, pods start, a Service answers by
// its name, pods on every node reach pods on every other, and a denied connection is denied while an allowed one is
// not. It waits for each until ctx ends; the error then names what did not come true.
func prove(ctx context.Context, kube kubernetes.Interface, nodes []string, steps Steps) (err error) {
	end := steps.Start("Proving that pods, DNS and network policies work")
	defer func() { end(err, "") }()
	p := &prover{kube: kube, nodes: nodes}
	p.dial = p.dialThroughAPI
	defer func() { err = errors.Join(err, p.cleanUp(context.WithoutCancel(ctx))) }()
	// A pod that comes before its node's network fails once, and the kubelet then leaves it alone for ten seconds.
	if err := p.nodesReady(ctx); err != nil {
		return err
	}
	if err := p.setUp(ctx); err != nil {
		return err
	}
	pods, err := p.running(ctx)
	if err != nil {
		return err
	}
	if err := p.agentsReady(ctx); err != nil {
		return err
	}
	if err := p.reachAll(ctx, pods); err != nil {
		return err
	}
	return p.denies(ctx, pods)
}

// setUp puts the proof's objects into a namespace of their own, with a generated name: an earlier proof's namespace
// takes seconds to vanish and must not be waited for.
func (p *prover) setUp(ctx context.Context) error {
	err := until(ctx, "the API server answers", func() error {
		ns, err := p.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "kindlab-proof-", Labels: map[string]string{proofLabel: "true"}},
		}, metav1.CreateOptions{})
		if err == nil {
			p.ns = ns.Name
		}
		return err
	})
	if err != nil {
		return err
	}
	// A learner's first pod in the default namespace is refused until this account exists.
	err = until(ctx, "the default ServiceAccount exists", func() error {
		_, err := p.kube.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "proof"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{proofLabel: "open"},
		Ports:    []corev1.ServicePort{{Port: proofPort, TargetPort: intstr.FromInt32(proofPort)}},
	}}
	if _, err := p.kube.CoreV1().Services(p.ns).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the proof's Service: %w", err)
	}
	// Pods are refused without this account. The controller makes it too, but after a restart seconds later.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err = p.kube.CoreV1().ServiceAccounts(p.ns).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the proof's ServiceAccount: %w", err)
	}
	pods := []*corev1.Pod{proofPod(guarded, p.nodes[0])}
	for i, node := range p.nodes {
		pods = append(pods, proofPod(openPod(i), node))
	}
	for _, pod := range pods {
		if _, err := p.kube.CoreV1().Pods(p.ns).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating a pod for the proof: %w", err)
		}
	}
	return nil
}

func openPod(node int) string { return fmt.Sprintf("open-%d", node) }

// proofPod is bound to its node by name: no scheduler, taint or DaemonSet controller takes time or has a say.
func proofPod(name, node string) *corev1.Pod {
	label := "open"
	if name == guarded {
		label = guarded
	}
	noGrace, noToken := int64(0), false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{proofLabel: label}},
		Spec: corev1.PodSpec{
			NodeName:                      node,
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			TerminationGracePeriodSeconds: &noGrace,
			AutomountServiceAccountToken:  &noToken,
			Containers: []corev1.Container{{
				Name: "agnhost", Image: proofImage, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{"netexec", fmt.Sprintf("--http-port=%d", proofPort), "--udp-port=-1"},
			}},
		},
	}
}

// running waits for every proof pod and returns their addresses by name.
func (p *prover) running(ctx context.Context) (map[string]string, error) {
	addresses := map[string]string{}
	err := until(ctx, "a pod runs on every node", func() error {
		list, err := p.kube.CoreV1().Pods(p.ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, pod := range list.Items {
			if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
				return fmt.Errorf("the pod on node %s is %s%s", pod.Spec.NodeName, pod.Status.Phase, waiting(pod))
			}
			addresses[pod.Name] = pod.Status.PodIP
		}
		return nil
	})
	return addresses, err
}

func waiting(pod corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if w := status.State.Waiting; w != nil && w.Reason != "" {
			return " (" + w.Reason + ")"
		}
	}
	return ""
}

// reachAll lets the pod of every node reach every pod by address, and the Service by name.
func (p *prover) reachAll(ctx context.Context, pods map[string]string) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, node := range p.nodes {
		for name, address := range pods {
			group.Go(func() error {
				return p.reaches(ctx, fmt.Sprintf("a pod on %s reaches pod %s", node, name), openPod(i), address)
			})
		}
		group.Go(func() error {
			return p.reaches(ctx, fmt.Sprintf("a pod on %s reaches a Service by its name", node), openPod(i), "proof")
		})
	}
	return group.Wait()
}

func (p *prover) reaches(ctx context.Context, what, from, host string) error {
	return until(ctx, what, func() error {
		_, err := p.dial(ctx, from, host)
		return err
	})
}

// denies shuts the guarded pod off and waits until it is, asking from the node farthest away. The same pod must reach
// an open neighbour of the guarded one right after, or the denial was only a broken network.
func (p *prover) denies(ctx context.Context, pods map[string]string) error {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: guarded}, Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{proofLabel: guarded}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
	}}
	if _, err := p.kube.NetworkingV1().NetworkPolicies(p.ns).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the proof's NetworkPolicy: %w", err)
	}
	from := openPod(len(p.nodes) - 1)
	return until(ctx, "a NetworkPolicy denies a connection", func() error {
		if _, err := p.dial(ctx, from, pods[guarded]); err == nil {
			return errors.New("the denied connection was let through")
		}
		if _, err := p.dial(ctx, from, pods[openPod(0)]); err != nil {
			return fmt.Errorf("the allowed connection failed too: %w", err)
		}
		return nil
	})
}

func (p *prover) nodesReady(ctx context.Context) error {
	return until(ctx, "every node is Ready", func() error {
		list, err := p.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, name := range p.nodes {
			at := slices.IndexFunc(list.Items, func(n corev1.Node) bool { return n.Name == name })
			if at < 0 {
				return fmt.Errorf("node %s has not joined", name)
			}
			if !nodeReady(list.Items[at]) {
				return fmt.Errorf("node %s is not Ready", name)
			}
		}
		return nil
	})
}

func nodeReady(n corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// cleanUp removes this proof's pods at once and lets the API server finish off the namespace, which takes it seconds.
// Namespaces of proofs that were killed go the same way.
func (p *prover) cleanUp(ctx context.Context) error {
	if p.ns == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	list, err := p.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: proofLabel})
	if err != nil {
		return fmt.Errorf("removing the proof's objects: %w", err)
	}
	var errs []error
	for _, ns := range list.Items {
		if ns.DeletionTimestamp != nil {
			continue
		}
		errs = append(errs,
			p.kube.CoreV1().Pods(ns.Name).DeleteCollection(ctx, *metav1.NewDeleteOptions(0), metav1.ListOptions{}),
			p.kube.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing the proof's objects: %w", err)
	}
	return nil
}

// dialThroughAPI uses the API server's pod proxy to ask netexec for the dial: no exec stream and no tool in the node.
func (p *prover) dialThroughAPI(ctx context.Context, from, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	body, err := p.kube.CoreV1().RESTClient().Get().Namespace(p.ns).Resource("pods").
		Name(fmt.Sprintf("%s:%d", from, proofPort)).SubResource("proxy").Suffix("dial").
		Param("host", host).Param("port", fmt.Sprint(proofPort)).
		Param("protocol", "http").Param("request", "hostname").Param("tries", "1").
		DoRaw(ctx)
	if err != nil {
		return "", err
	}
	return parseDial(body)
}

func parseDial(body []byte) (string, error) {
	var answer struct {
		Responses, Errors []string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("reading the probe's answer %q: %w", body, err)
	}
	if len(answer.Responses) == 0 {
		return "", errors.New(strings.Join(append(answer.Errors, "no answer"), "; "))
	}
	return answer.Responses[0], nil
}

// until repeats try until it succeeds or ctx ends; then the error says what was waited for and what stood in its way.
func until(ctx context.Context, what string, try func() error) error {
	var last error
	for {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // once ctx has ended every error is about ctx
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("waiting until %s: %w", what, last)
		case <-time.After(proofPoll):
		}
	}
}
