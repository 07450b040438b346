package check

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stuck returns why a pod will not get ready by waiting, or "", where its status says so, or where it waits for a
// volume that cannot be there: the kubelet tells of a missing ConfigMap in events alone, and tries again for ever.
func (c *Cluster) stuck(ctx context.Context, p *corev1.Pod) (string, error) {
	if why := stuck(p); why != "" {
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

// source is a ConfigMap or Secret that a volume has to have.
type source struct{ kind, name string }

func (s source) String() string { return s.kind + " " + s.name }

// sources are those of one volume that are not optional.
func sources(v corev1.Volume) []source {
	var all []source
	add := func(kind, name string, optional *bool) {
		if optional == nil || !*optional {
			all = append(all, source{kind, name})
		}
	}
	if m := v.ConfigMap; m != nil {
		add("ConfigMap", m.Name, m.Optional)
	}
	if s := v.Secret; s != nil {
		add("Secret", s.SecretName, s.Optional)
	}
	if v.Projected == nil {
		return all
	}
	for _, p := range v.Projected.Sources {
		if m := p.ConfigMap; m != nil {
			add("ConfigMap", m.Name, m.Optional)
		}
		if s := p.Secret; s != nil {
			add("Secret", s.Name, s.Optional)
		}
	}
	return all
}

func (c *Cluster) lacks(ctx context.Context, ns string, s source) (bool, error) {
	var err error
	if s.kind == "ConfigMap" {
		_, err = c.Kube.CoreV1().ConfigMaps(ns).Get(ctx, s.name, metav1.GetOptions{})
	} else {
		_, err = c.Kube.CoreV1().Secrets(ns).Get(ctx, s.name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s in namespace %s: %w", s, ns, err)
	}
	return false, nil
}
