package explain

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// everywhere is the namespace of lists over all namespaces.
const everywhere = metav1.NamespaceAll

// read lists the objects of a namespace once in a walk. What is missing is looked for in the list, because whoever
// learns that it is missing wants to know what is there instead.
func read[L, T any](ctx context.Context, k *walk, resource, namespace string,
	list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T, opts ...metav1.ListOptions,
) ([]T, error) {
	var o metav1.ListOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	key := fmt.Sprint(resource, "|", namespace, "|", o.LabelSelector, "|", o.FieldSelector)
	if found, ok := k.lists[key].([]T); ok {
		return found, nil
	}
	l, err := list(ctx, o)
	if err != nil {
		if namespace == everywhere {
			return nil, fmt.Errorf("listing %s: %w", resource, err)
		}
		return nil, fmt.Errorf("listing %s of namespace %s: %w", resource, namespace, err)
	}
	k.lists[key] = items(l)
	return items(l), nil
}

// in keeps the objects of a namespace. Of what is few, all namespaces are read at once: a chain that crosses them asks
// again and again.
func in[T any, P interface {
	*T
	GetNamespace() string
}](ns string, all []T) []T {
	if ns == everywhere {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(o T) bool { return P(&o).GetNamespace() != ns })
}

func (k *walk) services(ctx context.Context, ns string) ([]corev1.Service, error) {
	all, err := read(ctx, k, "services", everywhere, k.kube.CoreV1().Services(everywhere).List,
		func(l *corev1.ServiceList) []corev1.Service { return l.Items })
	return in(ns, all), err
}

func (k *walk) pods(ctx context.Context, ns string) ([]corev1.Pod, error) {
	return read(ctx, k, "pods", ns, k.kube.CoreV1().Pods(ns).List,
		func(l *corev1.PodList) []corev1.Pod { return l.Items })
}

func (k *walk) namespaces(ctx context.Context) ([]corev1.Namespace, error) {
	return read(ctx, k, "namespaces", everywhere, k.kube.CoreV1().Namespaces().List,
		func(l *corev1.NamespaceList) []corev1.Namespace { return l.Items })
}

func (k *walk) nodes(ctx context.Context) ([]corev1.Node, error) {
	return read(ctx, k, "nodes", everywhere, k.kube.CoreV1().Nodes().List,
		func(l *corev1.NodeList) []corev1.Node { return l.Items })
}

func (k *walk) policies(ctx context.Context, ns string) ([]networkingv1.NetworkPolicy, error) {
	all, err := read(ctx, k, "networkpolicies", everywhere, k.kube.NetworkingV1().NetworkPolicies(everywhere).List,
		func(l *networkingv1.NetworkPolicyList) []networkingv1.NetworkPolicy { return l.Items })
	return in(ns, all), err
}

func (k *walk) endpointSlices(ctx context.Context, ns, service string) ([]discoveryv1.EndpointSlice, error) {
	return read(ctx, k, "endpointslices", ns, k.kube.DiscoveryV1().EndpointSlices(ns).List,
		func(l *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return l.Items },
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
}

func (k *walk) deployments(ctx context.Context, ns string) ([]appsv1.Deployment, error) {
	return read(ctx, k, "deployments", ns, k.kube.AppsV1().Deployments(ns).List,
		func(l *appsv1.DeploymentList) []appsv1.Deployment { return l.Items })
}

func (k *walk) statefulSets(ctx context.Context, ns string) ([]appsv1.StatefulSet, error) {
	return read(ctx, k, "statefulsets", ns, k.kube.AppsV1().StatefulSets(ns).List,
		func(l *appsv1.StatefulSetList) []appsv1.StatefulSet { return l.Items })
}

func (k *walk) daemonSets(ctx context.Context, ns string) ([]appsv1.DaemonSet, error) {
	return read(ctx, k, "daemonsets", ns, k.kube.AppsV1().DaemonSets(ns).List,
		func(l *appsv1.DaemonSetList) []appsv1.DaemonSet { return l.Items })
}

func (k *walk) replicaSets(ctx context.Context, ns string) ([]appsv1.ReplicaSet, error) {
	return read(ctx, k, "replicasets", ns, k.kube.AppsV1().ReplicaSets(ns).List,
		func(l *appsv1.ReplicaSetList) []appsv1.ReplicaSet { return l.Items })
}

func (k *walk) claims(ctx context.Context, ns string) ([]corev1.PersistentVolumeClaim, error) {
	return read(ctx, k, "persistentvolumeclaims", ns, k.kube.CoreV1().PersistentVolumeClaims(ns).List,
		func(l *corev1.PersistentVolumeClaimList) []corev1.PersistentVolumeClaim { return l.Items })
}

func (k *walk) volumes(ctx context.Context) ([]corev1.PersistentVolume, error) {
	return read(ctx, k, "persistentvolumes", everywhere, k.kube.CoreV1().PersistentVolumes().List,
		func(l *corev1.PersistentVolumeList) []corev1.PersistentVolume { return l.Items })
}

func (k *walk) storageClasses(ctx context.Context) ([]storagev1.StorageClass, error) {
	return read(ctx, k, "storageclasses", everywhere, k.kube.StorageV1().StorageClasses().List,
		func(l *storagev1.StorageClassList) []storagev1.StorageClass { return l.Items })
}

func (k *walk) roles(ctx context.Context) ([]rbacv1.Role, error) {
	return read(ctx, k, "roles", everywhere, k.kube.RbacV1().Roles(everywhere).List,
		func(l *rbacv1.RoleList) []rbacv1.Role { return l.Items })
}

func (k *walk) clusterRoles(ctx context.Context) ([]rbacv1.ClusterRole, error) {
	return read(ctx, k, "clusterroles", everywhere, k.kube.RbacV1().ClusterRoles().List,
		func(l *rbacv1.ClusterRoleList) []rbacv1.ClusterRole { return l.Items })
}

func (k *walk) roleBindings(ctx context.Context) ([]rbacv1.RoleBinding, error) {
	return read(ctx, k, "rolebindings", everywhere, k.kube.RbacV1().RoleBindings(everywhere).List,
		func(l *rbacv1.RoleBindingList) []rbacv1.RoleBinding { return l.Items })
}

func (k *walk) clusterRoleBindings(ctx context.Context) ([]rbacv1.ClusterRoleBinding, error) {
	return read(ctx, k, "clusterrolebindings", everywhere, k.kube.RbacV1().ClusterRoleBindings().List,
		func(l *rbacv1.ClusterRoleBindingList) []rbacv1.ClusterRoleBinding { return l.Items })
}

// events returns those about the object, the latest first. Another object of the same name may have left some behind:
// the UID tells them apart.
func (k *walk) events(ctx context.Context, kind string, o metav1.Object) ([]corev1.Event, error) {
	about := fields.Set{"involvedObject.kind": kind, "involvedObject.name": o.GetName()}
	all, err := read(ctx, k, "events", o.GetNamespace(), k.kube.CoreV1().Events(o.GetNamespace()).List,
		func(l *corev1.EventList) []corev1.Event { return l.Items }, metav1.ListOptions{FieldSelector: about.String()})
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(all), func(e corev1.Event) bool {
		i := e.InvolvedObject
		return i.Kind != kind || i.Name != o.GetName() || i.UID != o.GetUID()
	})
	slices.SortStableFunc(found, func(a, b corev1.Event) int { return lastSeen(b).Compare(lastSeen(a)) })
	return found, nil
}

// lastSeen is when the event happened last. Events are written in two styles, each with its own fields.
func lastSeen(e corev1.Event) time.Time {
	at := e.CreationTimestamp.Time
	for _, t := range []time.Time{e.FirstTimestamp.Time, e.LastTimestamp.Time, e.EventTime.Time} {
		if t.After(at) {
			at = t
		}
	}
	if s := e.Series; s != nil && s.LastObservedTime.After(at) {
		at = s.LastObservedTime.Time
	}
	return at
}

// latest returns the message of the latest event that has one of the reasons, or "".
func latest(events []corev1.Event, reasons ...string) string {
	for _, e := range events {
		if slices.Contains(reasons, e.Reason) {
			return short(e.Message)
		}
	}
	return ""
}
