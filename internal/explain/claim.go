package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// Claim follows a PersistentVolumeClaim to its volume: claim → StorageClass → a pod, where the class waits for one →
// provisioner → PersistentVolume.
func (w Walker) Claim(ctx context.Context, namespace, name string) (*Link, error) {
	return w.walk().claim(ctx, namespace, name, nil)
}

// noProvisioner is the provisioner of classes whose volumes people make.
const noProvisioner = "kubernetes.io/no-provisioner"

// claim follows a claim, perhaps for a pod that has no node yet: then the claim is not to blame for waiting for it.
func (k *walk) claim(ctx context.Context, ns, name string, waiting *corev1.Pod) (*Link, error) {
	all, err := k.claims(ctx, ns)
	if err != nil {
		return nil, err
	}
	object, look := "PersistentVolumeClaim "+name, fmt.Sprintf("kubectl -n %s describe pvc %s", ns, name)
	c := named(all, name)
	switch {
	case c == nil:
		return k.broken(object, fmt.Sprintf("kubectl -n %s get pvc", ns),
			"there is no PersistentVolumeClaim %s in namespace %s%s", name, ns, instead(name, names(all))), nil
	case c.DeletionTimestamp != nil:
		return k.held(ctx, c, look)
	case c.Status.Phase == corev1.ClaimBound:
		k.holds("%s is bound to PersistentVolume %s", object, c.Spec.VolumeName)
		return nil, nil
	case c.Status.Phase == corev1.ClaimLost:
		return k.broken(object, look,
			"%s has lost its volume: PersistentVolume %s is gone", object, c.Spec.VolumeName), nil
	}
	k.holds("%s is in namespace %s", object, ns)
	class, link, err := k.class(ctx, c, look)
	if link != nil || err != nil {
		return link, err
	}
	if class == nil || class.Provisioner == noProvisioner || c.Spec.VolumeName != "" {
		return k.byHand(ctx, c, look)
	}
	k.holds("StorageClass %s is there, with provisioner %s", class.Name, class.Provisioner)
	if link, wait, err := k.consumer(ctx, c, class, look, waiting); wait || link != nil || err != nil {
		return link, err
	}
	return k.provisioner(ctx, c, class, look)
}

// held is a claim on its way out, which the pods that use it hold back.
func (k *walk) held(ctx context.Context, c *corev1.PersistentVolumeClaim, look string) (*Link, error) {
	users, err := k.users(ctx, c)
	if err != nil {
		return nil, err
	}
	object := "PersistentVolumeClaim " + c.Name
	switch {
	case len(users) > 0:
		return k.broken(object, look,
			"%s is being deleted, and %s still %s it", object, podsIn(users), verb(len(users), "uses", "use")), nil
	case len(c.Finalizers) > 0:
		return k.broken(object, look,
			"%s is being deleted and is held by the finalizer %s", object, and(c.Finalizers...)), nil
	}
	return k.settling(object, look, "%s is being deleted", object), nil
}

// users are the pods that mount the claim.
func (k *walk) users(ctx context.Context, c *corev1.PersistentVolumeClaim) ([]corev1.Pod, error) {
	all, err := k.pods(ctx, c.Namespace)
	return slices.DeleteFunc(slices.Clone(all), func(p corev1.Pod) bool {
		return finished(&p) || !slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return claimOf(&p, v) == c.Name })
	}), err
}

// class finds the claim's StorageClass. It is nil for a claim that wants none, or one that only volumes bear.
func (k *walk) class(ctx context.Context, c *corev1.PersistentVolumeClaim, look string) (*storagev1.StorageClass, *Link, error) {
	object := "PersistentVolumeClaim " + c.Name
	name := c.Spec.StorageClassName
	if name != nil && *name == "" {
		return nil, nil, nil
	}
	all, err := k.storageClasses(ctx)
	if err != nil {
		return nil, nil, err
	}
	if name != nil {
		if found := named(all, *name); found != nil {
			return found, nil, nil
		}
		volumes, err := k.volumes(ctx)
		if err != nil || slices.ContainsFunc(volumes, func(v corev1.PersistentVolume) bool { return v.Spec.StorageClassName == *name }) {
			return nil, nil, err
		}
		return nil, k.broken("StorageClass "+*name, "kubectl get storageclasses",
			"%s asks for StorageClass %s, and there is no StorageClass %s%s",
			object, *name, *name, instead(*name, names(all))), nil
	}
	if slices.ContainsFunc(all, isDefault) {
		return nil, k.settling(object, look, "%s has not been given the default StorageClass yet", object), nil
	}
	return nil, k.broken(object, "kubectl get storageclasses",
		"%s names no StorageClass, and none is the default%s", object, instead("", names(all))), nil
}

func isDefault(c storagev1.StorageClass) bool {
	return c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true"
}

// byHand looks for a volume that somebody made, and says why the nearest does not do.
func (k *walk) byHand(ctx context.Context, c *corev1.PersistentVolumeClaim, look string) (*Link, error) {
	all, err := k.volumes(ctx)
	if err != nil {
		return nil, err
	}
	object := "PersistentVolumeClaim " + c.Name
	if v := c.Spec.VolumeName; v != "" {
		all = slices.DeleteFunc(slices.Clone(all), func(p corev1.PersistentVolume) bool { return p.Name != v })
		if len(all) == 0 {
			return k.broken("PersistentVolume "+v, "kubectl get pv",
				"%s asks for PersistentVolume %s, and there is none of that name", object, v), nil
		}
	}
	var nearest []string
	for i, v := range all {
		misses := k.misses(c, &all[i])
		if len(misses) == 0 {
			return k.settling(object, look,
				"%s fits PersistentVolume %s and is not bound to it yet", object, v.Name), nil
		}
		words := fmt.Sprintf("PersistentVolume %s %s", v.Name, and(misses...))
		if len(nearest) == 0 || len(misses) < len(nearest)-1 {
			nearest = append([]string{words}, misses...)
		}
	}
	class := "without a StorageClass"
	if n := c.Spec.StorageClassName; n != nil && *n != "" {
		class = "of StorageClass " + *n
	}
	is := fmt.Sprintf("%s waits for a volume %s that somebody makes by hand", object, class)
	if len(nearest) == 0 {
		return k.broken(object, "kubectl get pv", "%s, and there is no PersistentVolume", is), nil
	}
	return k.broken(object, "kubectl get pv", "%s; %s", is, nearest[0]), nil
}

// misses are the reasons why a volume does not do for a claim.
func (k *walk) misses(c *corev1.PersistentVolumeClaim, v *corev1.PersistentVolume) []string {
	var all []string
	ref := v.Spec.ClaimRef
	ours := ref != nil && ref.Namespace == c.Namespace && ref.Name == c.Name && (ref.UID == "" || ref.UID == c.UID)
	class := ""
	if n := c.Spec.StorageClassName; n != nil {
		class = *n
	}
	if v.Spec.StorageClassName != class {
		all = append(all, fmt.Sprintf("has the StorageClass %q", v.Spec.StorageClassName))
	}
	if ref != nil && !ours {
		all = append(all, fmt.Sprintf("belongs to claim %s/%s (%s)", ref.Namespace, ref.Name, v.Status.Phase))
	}
	if want, have := c.Spec.Resources.Requests.Storage(), v.Spec.Capacity.Storage(); have.Cmp(*want) < 0 {
		all = append(all, fmt.Sprintf("has %s where %s are asked for", have, want))
	}
	for _, m := range c.Spec.AccessModes {
		if !slices.Contains(v.Spec.AccessModes, m) {
			all = append(all, fmt.Sprintf("has no access mode %s", m))
		}
	}
	if s := c.Spec.Selector; s != nil {
		for key, value := range s.MatchLabels {
			if v.Labels[key] != value {
				all = append(all, fmt.Sprintf("lacks the label %s=%s", key, value))
			}
		}
	}
	return all
}

// consumer is the pod that a class with WaitForFirstConsumer waits for. Wait is true when the claim has nothing to do
// but wait.
func (k *walk) consumer(ctx context.Context, c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass,
	look string, waiting *corev1.Pod,
) (link *Link, wait bool, err error) {
	const given = "volume.kubernetes.io/selected-node"
	late := class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	if !late || c.Annotations[given] != "" {
		return nil, false, nil
	}
	if waiting != nil {
		return nil, true, nil
	}
	users, err := k.users(ctx, c)
	if err != nil {
		return nil, false, err
	}
	object := "PersistentVolumeClaim " + c.Name
	is := fmt.Sprintf("%s waits for a pod that uses it (volumeBindingMode WaitForFirstConsumer of StorageClass %s)", object, class.Name)
	if len(users) == 0 {
		return k.broken(object, look, "%s, and no pod does", is), true, nil
	}
	link, err = k.scheduled(ctx, &users[0])
	if link == nil && err == nil {
		link = k.settling(object, look, "%s, and Pod %s has only just come", is, users[0].Name)
		return link, true, nil
	}
	return link.because("%s", is), true, err
}

// provisioner asks whoever makes the volumes: what it said last, and whether it runs.
func (k *walk) provisioner(ctx context.Context, c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, look string) (*Link, error) {
	object := "PersistentVolumeClaim " + c.Name
	// Where the provisioner of kind's default class runs.
	if class.Provisioner == "rancher.io/local-path" {
		link, err := k.workload(ctx, "Deployment", "local-path-storage", "local-path-provisioner")
		if link != nil || err != nil {
			return link.because("nobody makes a volume for %s", object), err
		}
		k.holds("its provisioner runs")
	}
	events, err := k.events(ctx, "PersistentVolumeClaim", c)
	if err != nil {
		return nil, err
	}
	if why := latest(events, "ProvisioningFailed"); why != "" {
		why = strings.TrimPrefix(why, fmt.Sprintf("failed to provision volume with StorageClass %q: ", class.Name))
		return k.broken(object, look, "StorageClass %s cannot make a volume for %s: %s", class.Name, object, why), nil
	}
	if latest(events, "Provisioning") == "" && k.age(c) > young {
		return k.broken(object, look,
			"%s waits for the provisioner %s of StorageClass %s, of which nothing is heard", object, class.Provisioner, class.Name), nil
	}
	return k.settling(object, look, "a volume is being made for %s", object), nil
}
