package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

const (
	probeImage = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"
	probePort  = 8080
	probeLabel = "kindlab.dev/needs"
	// pulling bounds the start of the probe's pods: on a cluster that is not ours their image may have to come first.
	pulling = 2 * time.Minute
	// enforcing is how long a policy may take until it denies; slow engines take three seconds.
	enforcing = 15 * time.Second
	// provisioning is how long a volume may take.
	provisioning = time.Minute
	dialTimeout  = time.Second
)

// proofs are what labs may need, and how a cluster shows that it has it.
func proofs() map[string]func(*tryout, context.Context) error {
	return map[string]func(*tryout, context.Context) error{
		"network-policy": (*tryout).enforcesPolicies,
		"storage":        (*tryout).provisions,
	}
}

// Needs proves on the cluster that it has what the lab needs, each by trying it in a namespace of its own, and says
// plainly what it has not. What was proved once is remembered on the cluster. One that kindlab brought up was proved
// then: proved skips the trial.
func Needs(ctx context.Context, c *check.Cluster, l *lab.Lab, proved bool, s Steps) error {
	c = asOwner(c)
	for _, need := range l.Needs {
		if proofs()[need] == nil {
			return fmt.Errorf("lab %s needs %q, which this kindlab does not know", l.Name, need)
		}
	}
	if proved || len(l.Needs) == 0 {
		return nil
	}
	known, err := readProofs(ctx, c)
	if err != nil {
		return err
	}
	for _, need := range l.Needs {
		if known.has(need) {
			continue
		}
		err := step(s, "Proving that this cluster has "+need, func() (string, error) {
			t := &tryout{c: c, dial: dialThroughAPI}
			return "", t.run(ctx, proofs()[need])
		})
		if err != nil {
			return fmt.Errorf("lab %s needs %s: %w", l.Name, need, err)
		}
		if err := known.add(ctx, c, need); err != nil {
			return err
		}
	}
	return nil
}

// proved remembers what a cluster has shown. The cluster's UID is part of it: a backup may bring the record to a
// cluster that never showed anything.
type proved struct {
	uid string
	was *corev1.ConfigMap
}

const proofsName = "needs"

func readProofs(ctx context.Context, c *check.Cluster) (proved, error) {
	ns, err := c.Kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return proved{}, fmt.Errorf("identifying the cluster: %w", err)
	}
	cm, err := c.Kube.CoreV1().ConfigMaps(system).Get(ctx, proofsName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		cm, err = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: proofsName, Namespace: system, Labels: managed()}}, nil
	}
	if err != nil {
		return proved{}, fmt.Errorf("reading what the cluster has shown before: %w", err)
	}
	return proved{string(ns.UID), cm}, nil
}

func (p proved) has(need string) bool { return p.was.Data[need] == p.uid }

func (p proved) add(ctx context.Context, c *check.Cluster, need string) error {
	if p.was.Data == nil {
		p.was.Data = map[string]string{}
	}
	p.was.Data[need], p.was.ResourceVersion = p.uid, ""
	api := c.Kube.CoreV1().ConfigMaps(system)
	_, err := api.Update(ctx, p.was, metav1.UpdateOptions{FieldManager: manager})
	if apierrors.IsNotFound(err) {
		if err := claimOne(ctx, c, system, managed()); err != nil {
			return err
		}
		_, err = api.Create(ctx, p.was, metav1.CreateOptions{FieldManager: manager})
	}
	if apierrors.IsAlreadyExists(err) {
		return nil // another lab has just begun here, and recorded what it needs: this need is tried again next time
	}
	if err != nil {
		return fmt.Errorf("recording that the cluster has %s: %w", need, err)
	}
	return nil
}

// tryout tries something on the cluster, in a namespace that goes afterwards.
type tryout struct {
	c  *check.Cluster
	ns string
	// dial lets a pod of the tryout fetch the host name of whatever answers at an address.
	dial func(ctx context.Context, t *tryout, from, address string) error
}

func (t *tryout) run(ctx context.Context, proof func(*tryout, context.Context) error) (err error) {
	api := t.c.Kube.CoreV1().Namespaces()
	labels := managed()
	labels[probeLabel] = "true"
	ns, err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kindlab-needs-", Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("making a namespace to try it in: %w", err)
	}
	t.ns = ns.Name
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
		defer cancel()
		err = errors.Join(err,
			t.c.Kube.CoreV1().Pods(t.ns).DeleteCollection(after, *metav1.NewDeleteOptions(0), metav1.ListOptions{}),
			api.Delete(after, t.ns, metav1.DeleteOptions{}))
	}()
	if err := claimOne(ctx, t.c, t.ns, nil); err != nil {
		return err
	}
	return proof(t, ctx)
}

// enforcesPolicies shuts one of two pods off from the other, and only that.
func (t *tryout) enforcesPolicies(ctx context.Context) error {
	const asker, guarded, open = "asker", "guarded", "open"
	address, err := t.start(ctx, asker, guarded, open)
	if err != nil {
		return err
	}
	for _, pod := range []string{guarded, open} {
		var last error
		err := wait{what: "a pod to reach another", limit: enforcing}.until(ctx, func() (bool, error) {
			last = t.dial(ctx, t, asker, address[pod])
			return last == nil, nil
		})
		if err != nil {
			return fmt.Errorf("pods do not reach each other, policy or not, so nothing could be told: %w: %w", err, last)
		}
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "deny"}, Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{probeLabel: guarded}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
	}}
	if _, err := t.c.Kube.NetworkingV1().NetworkPolicies(t.ns).Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making a NetworkPolicy: %w", err)
	}
	last := errors.New("this cluster does not enforce NetworkPolicy: a denied connection was let through")
	err = wait{what: "a NetworkPolicy to deny a connection", limit: enforcing}.until(ctx, func() (bool, error) {
		if t.dial(ctx, t, asker, address[guarded]) == nil {
			last = errors.New("this cluster does not enforce NetworkPolicy: a denied connection was let through")
			return false, nil
		}
		// Without this, a network that broke just now would look like a policy.
		if err := t.dial(ctx, t, asker, address[open]); err != nil {
			last = fmt.Errorf("an allowed connection failed together with the denied one: %w", err)
			return false, nil
		}
		return true, nil
	})
	if errors.Is(err, errWaited) {
		return last
	}
	return err
}

// provisions asks for a volume as a learner would.
func (t *tryout) provisions(ctx context.Context) error {
	classes, err := t.c.Kube.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing StorageClasses: %w", err)
	}
	usual := func(c storagev1.StorageClass) bool {
		return c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
	}
	if !slices.ContainsFunc(classes.Items, usual) {
		return errors.New("this cluster has no default StorageClass, so a claim without a class stays Pending")
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "volume"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
	}}
	claims := t.c.Kube.CoreV1().PersistentVolumeClaims(t.ns)
	if _, err := claims.Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making a claim: %w", err)
	}
	// Most classes make a volume only when a pod asks for it.
	pod := probePod("writer")
	pod.Spec.Volumes = []corev1.Volume{{Name: "volume", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "volume"},
	}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "volume", MountPath: "/volume"}}
	if _, err := t.c.Kube.CoreV1().Pods(t.ns).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making a pod: %w", err)
	}
	err = wait{what: "a claim to be bound", limit: provisioning}.until(ctx, func() (bool, error) {
		claim, err = claims.Get(ctx, "volume", metav1.GetOptions{})
		return err == nil && claim.Status.Phase == corev1.ClaimBound, err
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("this cluster provisions no storage: a claim of its default class is %s after %s", claim.Status.Phase, provisioning)
	}
	return err
}

// start brings pods up and returns their addresses.
func (t *tryout) start(ctx context.Context, names ...string) (map[string]string, error) {
	api := t.c.Kube.CoreV1().Pods(t.ns)
	for _, name := range names {
		if _, err := api.Create(ctx, probePod(name), metav1.CreateOptions{}); err != nil {
			return nil, fmt.Errorf("making a pod: %w", err)
		}
	}
	address := map[string]string{}
	var waiting []string
	err := wait{what: "the probe's pods", limit: pulling}.until(ctx, func() (bool, error) {
		list, err := api.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		waiting = nil
		for _, p := range list.Items {
			if p.Status.Phase == corev1.PodRunning && p.Status.PodIP != "" {
				address[p.Name] = p.Status.PodIP
				continue
			}
			waiting = append(waiting, fmt.Sprintf("pod %s is %s%s", p.Name, p.Status.Phase, reason(p)))
		}
		return len(address) == len(names), nil
	})
	if errors.Is(err, errWaited) {
		return nil, fmt.Errorf("%w: %s", err, strings.Join(waiting, ", "))
	}
	return address, err
}

func reason(p corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if w := s.State.Waiting; w != nil && w.Reason != "" {
			return " (" + w.Reason + ")"
		}
	}
	return ""
}

// probePod is one that the strictest pod security admits.
func probePod(name string) *corev1.Pod {
	zero, no, yes, nobody := int64(0), false, true, int64(65534)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{probeLabel: name}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &zero, AutomountServiceAccountToken: &no,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &nobody, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "agnhost", Image: probeImage, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{"netexec", fmt.Sprintf("--http-port=%d", probePort), "--udp-port=-1"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// dialThroughAPI uses the API server's pod proxy to ask agnhost for the dial: it needs no way to the nodes.
func dialThroughAPI(ctx context.Context, t *tryout, from, address string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	body, err := t.c.Kube.CoreV1().RESTClient().Get().Namespace(t.ns).Resource("pods").
		Name(fmt.Sprintf("%s:%d", from, probePort)).SubResource("proxy").Suffix("dial").
		Param("host", address).Param("port", fmt.Sprint(probePort)).
		Param("protocol", "http").Param("request", "hostname").Param("tries", "1").DoRaw(ctx)
	if err != nil {
		return err
	}
	var answer struct{ Responses, Errors []string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("reading the probe's answer %q: %w", body, err)
	}
	if len(answer.Responses) == 0 {
		return errors.New(strings.Join(append(answer.Errors, "no answer"), "; "))
	}
	return nil
}
