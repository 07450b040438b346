package check

import (
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

func selecting(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

// deployment has arrived: two replicas, seen, updated and available.
func deployment(change func(*appsv1.Deployment)) *appsv1.Deployment {
	two := int32(2)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", Generation: 3},
		Spec:       appsv1.DeploymentSpec{Replicas: &two, Selector: selecting("web")},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2},
	}
	if change != nil {
		change(d)
	}
	return d
}

// unready is a pod that does not run yet, for a reason, or just not yet.
func unready(reason string) *corev1.Pod {
	p := pod("web-1", "", "app=web")
	p.Status = corev1.PodStatus{Phase: corev1.PodPending}
	if reason != "" {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
	}
	return p
}

// mounting is a pod that has a node and waits for its volume, a ConfigMap.
func mounting(optional bool) *corev1.Pod {
	p := unready("ContainerCreating")
	p.Spec.NodeName = "node-1"
	p.Spec.Volumes = []corev1.Volume{{Name: "pages", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "pages"}, Optional: &optional,
	}}}}
	return p
}

// crashing is a Deployment that asks for an image by now, and a pod with nginx:1 in it that crashes.
func crashing(now string) []runtime.Object {
	running := func(image string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image}}}}
	}
	const hash = appsv1.DefaultDeploymentUniqueLabelKey
	made := running("nginx:1")
	made.Labels[hash] = "6d4"
	controller := true
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web-6d4", Labels: made.Labels,
			OwnerReferences: []metav1.OwnerReference{{Kind: "Deployment", Name: "web", Controller: &controller}},
		},
		Spec: appsv1.ReplicaSetSpec{Template: made},
	}
	old := unready("CrashLoopBackOff")
	old.Labels[hash] = "6d4"
	d := deployment(func(d *appsv1.Deployment) { d.Status.AvailableReplicas, d.Spec.Template = 1, running(now) })
	return []runtime.Object{d, set, old}
}

func zero(d *appsv1.Deployment) {
	d.Spec.Replicas = new(int32)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 3}
}

// job is one with a condition, or none.
func job(condition batchv1.JobConditionType) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "once"}, Spec: batchv1.JobSpec{Selector: selecting("once")}}
	if condition != "" {
		j.Status.Conditions = []batchv1.JobCondition{{Type: condition, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", Message: "too often"}}
	}
	return j
}

func TestRollout(t *testing.T) {
	t.Parallel()
	behind := func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 1 }
	statefulSet := func(updated, available int32) *appsv1.StatefulSet {
		return &appsv1.StatefulSet{ // one replica, because it does not say
			ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "ledger", Generation: 1},
			Spec:       appsv1.StatefulSetSpec{Selector: selecting("ledger")},
			Status:     appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: updated, AvailableReplicas: available},
		}
	}
	daemonSet := func(available int32) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "log", Generation: 1},
			Spec:       appsv1.DaemonSetSpec{Selector: selecting("log")},
			Status:     appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberAvailable: available},
		}
	}
	unschedulable := pod("web-1", "", "app=web")
	unschedulable.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available",
	}}}
	unclaimed := unschedulable.DeepCopy()
	unclaimed.Status.Conditions[0].Message = `persistentvolumeclaim "data" not found`
	tests := []struct {
		name, text string
		objects    []runtime.Object
		want       verdict
	}{
		{"arrived", "{of: deployment/web}", []runtime.Object{deployment(nil)}, verdict{}},
		{"arrived with as many as asked for", "{of: deployment/web, replicas: 2}", []runtime.Object{deployment(nil)}, verdict{}},
		{"arrived and wrong", "{of: deployment/web, replicas: 3}", []runtime.Object{deployment(nil)}, verdict{failure: "deployment/web asks for 2 replicas, want 3"}},
		{"scaled to nothing", "{of: deployment/web}", []runtime.Object{deployment(func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32) })}, verdict{failure: "deployment/web asks for 0 replicas, want 1"}},
		{"scaled to zero", "{of: deployment/web, replicas: 0}", []runtime.Object{deployment(zero)}, verdict{}},
		{"not scaled to zero", "{of: deployment/web, replicas: 0}", []runtime.Object{deployment(nil)}, verdict{failure: "deployment/web asks for 2 replicas, want 0"}},
		{"on its way to zero", "{of: deployment/web, replicas: 0}", []runtime.Object{deployment(func(d *appsv1.Deployment) { zero(d); d.Status.Replicas = 1 })}, verdict{failure: "deployment/web still has 1 replicas, want 0", settling: true}},
		{"its pods are refused", "{of: deployment/web}", []runtime.Object{deployment(func(d *appsv1.Deployment) {
			behind(d)
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"}}
		})}, verdict{failure: "deployment/web has 1 ready and 2 up-to-date replicas (exceeded quota), want 2"}},
		{"job", "{of: job/once}", []runtime.Object{job(batchv1.JobComplete)}, verdict{}},
		{"job that runs", "{of: job/once}", []runtime.Object{job("")}, verdict{failure: "job/once is not complete", settling: true}},
		{"job that failed", "{of: job/once}", []runtime.Object{job(batchv1.JobFailed)}, verdict{failure: "job/once is not complete (BackoffLimitExceeded: too often)"}},
		{"job that waits", "{of: job/once}", []runtime.Object{job(batchv1.JobSuspended)}, verdict{failure: "job/once is not complete (it is suspended)"}},
		{"pod without labels", "{of: pod/web-1}", []runtime.Object{func() *corev1.Pod {
			p := unready("")
			p.Labels = nil
			return p
		}()}, verdict{failure: "pod/web-1 is not ready", settling: true}},
		{"not seen yet", "{of: deployment/web}", []runtime.Object{deployment(func(d *appsv1.Deployment) { d.Generation = 4 })}, verdict{failure: "the controller has not seen the latest change of deployment/web", settling: true}},
		{"not all ready", "{of: deployment/web}", []runtime.Object{deployment(behind), unready("ContainerCreating")}, verdict{failure: "deployment/web has 1 ready and 2 up-to-date replicas, want 2", settling: true}},
		{"not all updated", "{of: deployment/web}", []runtime.Object{deployment(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 })}, verdict{failure: "1 up-to-date", settling: true}},
		{"old ones are still there", "{of: deployment/web}", []runtime.Object{deployment(func(d *appsv1.Deployment) { d.Status.Replicas = 3 })}, verdict{failure: "deployment/web still has 3 replicas, want 2", settling: true}},
		{"stuck on its image", "{of: deployment/web}", []runtime.Object{deployment(behind), unready("ImagePullBackOff")}, verdict{failure: "(container main of pod web-1: ImagePullBackOff), want 2"}},
		{"stuck without a node", "{of: deployment/web}", []runtime.Object{deployment(behind), unschedulable}, verdict{failure: "(pod web-1 cannot be scheduled: 0/3 nodes are available)"}},
		{"stuck without its ConfigMap", "{of: deployment/web}", []runtime.Object{deployment(behind), mounting(false)}, verdict{failure: "(pod web-1 waits for ConfigMap pages, which does not exist in namespace shop)"}},
		{"its ConfigMap may be missing", "{of: deployment/web}", []runtime.Object{deployment(behind), mounting(true)}, verdict{failure: "1 ready", settling: true}},
		{"the ConfigMap that comes by itself", "{of: deployment/web}", []runtime.Object{deployment(behind), func() *corev1.Pod {
			p := mounting(false)
			p.Spec.Volumes[0].ConfigMap.Name = "kube-root-ca.crt"
			return p
		}()}, verdict{failure: "1 ready", settling: true}},
		{"its ConfigMap is there", "{of: deployment/web}", []runtime.Object{deployment(behind), mounting(false), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pages"}}}, verdict{failure: "1 ready", settling: true}},
		{"stuck without its Secret", "{of: deployment/web}", []runtime.Object{deployment(behind), func() *corev1.Pod {
			p := mounting(true)
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "key"}}}},
			}}})
			return p
		}()}, verdict{failure: "(pod web-1 waits for Secret key, which does not exist in namespace shop)"}},
		{"its ConfigMap was there when it began", "{of: deployment/web}", []runtime.Object{deployment(behind), func() *corev1.Pod {
			p := mounting(false)
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "first", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
			return p
		}()}, verdict{failure: "1 ready", settling: true}},
		{"stuck without its claim", "{of: deployment/web}", []runtime.Object{deployment(behind), unclaimed}, verdict{failure: `(pod web-1 cannot be scheduled: persistentvolumeclaim "data" not found)`}},
		{"its claim is there by now", "{of: deployment/web}", []runtime.Object{deployment(behind), unclaimed, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}}}, verdict{failure: "1 ready", settling: true}},
		{"Recreate, and the old pod is not gone yet", "{of: deployment/web}", crashing("nginx:2"), verdict{failure: "1 ready", settling: true}},
		{"the latest pod is stuck", "{of: deployment/web}", crashing("nginx:1"), verdict{failure: "(container main of pod web-1: CrashLoopBackOff)"}},
		{"another's pod is stuck", "{of: deployment/web}", []runtime.Object{deployment(behind), func() *corev1.Pod {
			p := unready("CrashLoopBackOff")
			p.Labels["app"] = "db"
			return p
		}()}, verdict{failure: "1 ready", settling: true}},
		{"does not exist", "{of: deployment/web}", nil, verdict{failure: "deployment/web does not exist in namespace shop"}},
		{"stateful set", "{of: bank/statefulset/ledger}", []runtime.Object{statefulSet(1, 1)}, verdict{}},
		{"old stateful set", "{of: bank/statefulset/ledger}", []runtime.Object{statefulSet(0, 1)}, verdict{failure: "statefulset/ledger has 1 ready and 0 up-to-date replicas, want 1", settling: true}},
		{"daemon set", "{of: daemonset/log}", []runtime.Object{daemonSet(3)}, verdict{}},
		{"daemon set on two of three", "{of: daemonset/log}", []runtime.Object{daemonSet(2)}, verdict{failure: "daemonset/log has 2 ready", settling: true}},
		{"pod", "{of: pod/db}", []runtime.Object{pod("db", "10.0.0.1", "app=db")}, verdict{}},
		{"pod on its way", "{of: pod/web-1}", []runtime.Object{unready("")}, verdict{failure: "pod/web-1 is not ready", settling: true}},
		{"pod that crashes", "{of: pod/web-1}", []runtime.Object{unready("CrashLoopBackOff")}, verdict{failure: "CrashLoopBackOff"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, _ := clusterOf(tt.objects...)
			tt.want.check(t, mustCompile(t, "rollout: "+tt.text).Run(t.Context(), c))
		})
	}
}

// Trouble with the API is not a verdict, whatever is asked.
func TestRolloutWithABrokenAPI(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(appsv1.Resource("deployments"), "web", errors.New("no"))
	for resource, want := range map[string]string{
		"deployments": `reading deployment/web: deployments.apps "web" is forbidden`,
		"pods":        `listing the pods of deployment/web: deployments.apps "web" is forbidden`,
	} {
		c, kube, _ := clusterOf(deployment(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 0 }))
		kube.PrependReactor("*", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
		verdict{unknown: want}.check(t, mustCompile(t, "rollout: {of: deployment/web}").Run(t.Context(), c))
	}
}
