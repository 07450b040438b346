package explain

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/nearest"
)

// waiting explains a container that its kubelet cannot start.
func (k *walk) waiting(ctx context.Context, pod *corev1.Pod, s corev1.ContainerStatus, kind string) (*Link, error) {
	w := s.State.Waiting
	is := fmt.Sprintf("%s %s of Pod %s: %s", kind, s.Name, pod.Name, w.Reason)
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable":
		why, err := k.pullTrouble(ctx, pod, w)
		if err != nil {
			return nil, err
		}
		is += fmt.Sprintf(", image %s %s", imageOf(pod, s), why)
	case "InvalidImageName":
		is += fmt.Sprintf(", %q is not the name of an image", imageOf(pod, s))
	case "ErrImageNeverPull":
		is += fmt.Sprintf(", image %s is not on node %s, and imagePullPolicy is Never", imageOf(pod, s), pod.Spec.NodeName)
	case "CreateContainerConfigError":
		why, err := k.configTrouble(ctx, pod, w.Message)
		if err != nil {
			return nil, err
		}
		is += ", " + why
	default:
		if w.Message != "" {
			is += ", " + essence(w.Message)
		}
	}
	return k.broken("Pod "+pod.Name, describe(pod), "%s", is), nil
}

// essence leaves out through how many hands a runtime's message has gone.
func essence(message string) string {
	if _, after, found := strings.Cut(message, "unable to start container process: "); found {
		message = after
	}
	return short(message)
}

// imageOf is the image as the learner wrote it; the status may have another name for it.
func imageOf(pod *corev1.Pod, s corev1.ContainerStatus) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == s.Name {
			return c.Image
		}
	}
	return s.Image
}

// pullTrouble says in a few words why an image did not come. While the kubelet backs off, its reason may stand in the
// events alone.
func (k *walk) pullTrouble(ctx context.Context, pod *corev1.Pod, w *corev1.ContainerStateWaiting) (string, error) {
	if why := pullWords(w.Message); why != "" {
		return why, nil
	}
	events, err := k.events(ctx, "Pod", pod)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		if why := pullWords(e.Message); e.Reason == "Failed" && why != "" {
			return why, nil
		}
	}
	return "cannot be pulled: " + short(w.Message), nil
}

func pullWords(message string) string {
	m := strings.ToLower(message)
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(m, part) })
	}
	switch {
	case says("dial tcp", "no such host", "i/o timeout", "connection refused", "tls:", "x509"):
		return "cannot be pulled: its registry cannot be reached"
	case says("unauthorized", "authorization failed", "denied", "forbidden"):
		return "cannot be pulled: its registry asks who you are, or has no such image"
	case says("not found", "manifest unknown", "notfound"):
		return "does not exist in its registry"
	}
	return ""
}

var (
	missingObject = regexp.MustCompile(`(configmap|secret) "([^"]+)" not found`)
	missingKey    = regexp.MustCompile(`couldn't find key (\S+) in (ConfigMap|Secret) \S+?/(\S+)`)
)

// configTrouble names the ConfigMap, Secret or key that is missing, and the one that is there instead.
func (k *walk) configTrouble(ctx context.Context, pod *corev1.Pod, message string) (string, error) {
	if m := missingKey.FindStringSubmatch(message); m != nil {
		have, err := k.keys(ctx, m[2], pod.Namespace, m[3])
		return fmt.Sprintf("%s %s has no key %s%s", m[2], m[3], m[1], instead(m[1], have)), err
	}
	m := missingObject.FindStringSubmatch(message)
	if m == nil {
		return short(message), nil
	}
	kind := map[string]string{"configmap": "ConfigMap", "secret": "Secret"}[m[1]]
	have, err := k.configs(ctx, kind, pod.Namespace)
	if err != nil {
		return "", err
	}
	near := nearest.Of(m[2], have)
	if near != "" {
		near = "; there is " + near
	}
	return fmt.Sprintf("there is no %s %s in namespace %s%s", kind, m[2], pod.Namespace, near), nil
}

// configs are the names of the ConfigMaps or Secrets of a namespace.
func (k *walk) configs(ctx context.Context, kind, ns string) ([]string, error) {
	if kind == "ConfigMap" {
		all, err := read(ctx, k, "configmaps", ns, k.kube.CoreV1().ConfigMaps(ns).List,
			func(l *corev1.ConfigMapList) []corev1.ConfigMap { return l.Items })
		return names(all), err
	}
	all, err := read(ctx, k, "secrets", ns, k.kube.CoreV1().Secrets(ns).List,
		func(l *corev1.SecretList) []corev1.Secret { return l.Items })
	return names(all), err
}

func (k *walk) keys(ctx context.Context, kind, ns, name string) ([]string, error) {
	var keys []string
	if kind == "ConfigMap" {
		c, err := k.kube.CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading ConfigMap %s: %w", name, err)
		}
		for key := range c.Data {
			keys = append(keys, key)
		}
	} else {
		s, err := k.kube.CoreV1().Secrets(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading Secret %s: %w", name, err)
		}
		for key := range s.Data {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// unstarted is a pod with a node, of which nothing runs: its volumes or its network are not there, or it is young.
func (k *walk) unstarted(ctx context.Context, pod *corev1.Pod) (*Link, error) {
	events, err := k.events(ctx, "Pod", pod)
	if err != nil {
		return nil, err
	}
	// What failed before the image was asked for has come right.
	later := []string{"Pulled", "Created", "Started"}
	if i := slices.IndexFunc(events, func(e corev1.Event) bool { return slices.Contains(later, e.Reason) }); i >= 0 {
		events = events[:i]
	}
	for _, e := range events {
		switch e.Reason {
		case "Pulling":
			return k.settling("Pod "+pod.Name, describe(pod),
				"Pod %s is being started on node %s: %s", pod.Name, pod.Spec.NodeName, short(e.Message)), nil
		case "FailedMount", "FailedAttachVolume", "FailedMapVolume":
			why := short(e.Message)
			if missingObject.MatchString(e.Message) || missingKey.MatchString(e.Message) {
				if why, err = k.configTrouble(ctx, pod, e.Message); err != nil {
					return nil, err
				}
			}
			return k.broken("Pod "+pod.Name, describe(pod),
				"Pod %s has no container yet, because a volume cannot be mounted: %s", pod.Name, why), nil
		case "FailedCreatePodSandBox", "NetworkNotReady":
			return k.broken("Pod "+pod.Name, describe(pod),
				"Pod %s has no container yet, because it has no network: %s", pod.Name, short(e.Message)), nil
		}
	}
	if link, err := k.node(ctx, pod); link != nil || err != nil {
		return link, err
	}
	link := k.settling("Pod "+pod.Name, describe(pod),
		"Pod %s is being started on node %s", pod.Name, pod.Spec.NodeName)
	return link, nil
}
