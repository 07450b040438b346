package check

import (
	"context"
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stuck returns why a pod will not get ready by waiting, or "". That is what its status says, but for a claim that is there
// by now, of which the scheduler of a busy cluster hears late; and a volume that cannot be there, because the kubelet tells
// of a missing ConfigMap in events alone, and tries again for ever.
func (c *Cluster) stuck(ctx context.Context, p *corev1.Pod) (string, error) {
	why := stuck(p, c.Clock)
	if m := missingClaim.FindStringSubmatch(why); m != nil {
		missing, err := c.lacks(ctx, p.Namespace, source{claimKind, m[1]})
		if err != nil || !missing {
			return "", err
		}
	}
	if why != "" {
		return why, nil
	}
	if p.Status.Phase != corev1.PodPending || p.Spec.NodeName == "" || begun(p) {
		return "", nil
	}
	for _, v := range p.Spec.Volumes {
		for _, source := range sources(v) {
			missing, err := c.lacks(ctx, p.Namespace, source)
			if err != nil {
				return "", err
			}
			if missing {
				return fmt.Sprintf("pod %s waits for %s, which does not exist in namespace %s", p.Name, source, p.Namespace), nil
			}
		}
	}
	return "", nil
}

// missingClaim reads the scheduler's words.
var missingClaim = regexp.MustCompile(`persistentvolumeclaim "([^"]+)" not found`)

// begun tells whether a container of a pod runs or ran: then its volumes are there.
func begun(p *corev1.Pod) bool {
	for _, statuses := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, s := range statuses {
			if s.State.Waiting == nil || s.LastTerminationState.Terminated != nil {
				return true
			}
		}
	}
	return false
}

// source is what a volume has to have.
type source struct{ kind, name string }

const (
	configMapKind = "ConfigMap"
	secretKind    = "Secret"
	claimKind     = "PersistentVolumeClaim"
)

func (s source) String() string { return s.kind + " " + s.name }

// sources are the ConfigMaps and Secrets of one volume that are not optional. A pod whose claim is missing has no node.
func sources(v corev1.Volume) []source {
	var all []source
	add := func(kind, name string, optional *bool) {
		// Each namespace gets this one by itself, where it is new a moment after its first pods.
		if name != "kube-root-ca.crt" && (optional == nil || !*optional) {
			all = append(all, source{kind, name})
		}
	}
	if m := v.ConfigMap; m != nil {
		add(configMapKind, m.Name, m.Optional)
	}
	if s := v.Secret; s != nil {
		add(secretKind, s.SecretName, s.Optional)
	}
	if v.Projected == nil {
		return all
	}
	for _, p := range v.Projected.Sources {
		if m := p.ConfigMap; m != nil {
			add(configMapKind, m.Name, m.Optional)
		}
		if s := p.Secret; s != nil {
			add(secretKind, s.Name, s.Optional)
		}
	}
	return all
}

func (c *Cluster) lacks(ctx context.Context, ns string, s source) (bool, error) {
	var err error
	switch s.kind {
	case configMapKind:
		_, err = c.Kube.CoreV1().ConfigMaps(ns).Get(ctx, s.name, metav1.GetOptions{})
	case secretKind:
		_, err = c.Kube.CoreV1().Secrets(ns).Get(ctx, s.name, metav1.GetOptions{})
	default:
		_, err = c.Kube.CoreV1().PersistentVolumeClaims(ns).Get(ctx, s.name, metav1.GetOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading %s in namespace %s: %w", s, ns, err)
	}
	return err != nil, nil
}
