package stage

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// departed waits until the pods that are on their way out have gone: they may still answer. A controller that was at work
// when its Deployment went may have made one more.
func departed(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	return wait{what: "pods to be gone", limit: emptying}.until(ctx, func() (bool, error) {
		for _, ns := range l.Namespaces {
			if left, err := leaving(ctx, c, ns); left || err != nil {
				return false, err
			}
		}
		return true, nil
	})
}

// leaving tells whether a pod of a namespace is being deleted, or waits to be because its Deployment is gone.
func leaving(ctx context.Context, c *check.Cluster, ns string) (bool, error) {
	all, there := metav1.ListOptions{}, map[types.UID]bool{}
	deployments, err := c.Kube.AppsV1().Deployments(ns).List(ctx, all)
	if err != nil {
		return false, fmt.Errorf("listing deployments: %w", err)
	}
	for _, d := range deployments.Items {
		there[d.UID] = true
	}
	sets, err := c.Kube.AppsV1().ReplicaSets(ns).List(ctx, all)
	if err != nil {
		return false, fmt.Errorf("listing replicasets: %w", err)
	}
	for _, s := range sets.Items {
		if owner := metav1.GetControllerOf(&s); owner != nil && owner.Kind == "Deployment" && !there[owner.UID] {
			return true, nil
		}
		there[s.UID] = true
	}
	pods, err := c.Kube.CoreV1().Pods(ns).List(ctx, all)
	if err != nil {
		return false, fmt.Errorf("listing pods: %w", err)
	}
	return slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		return p.DeletionTimestamp != nil || owner != nil && owner.Kind == "ReplicaSet" && !there[owner.UID]
	}), nil
}
