package explain

import (
	"context"
	"strings"
	"testing"
)

func claimDoc(name, spec, status string) string {
	return "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: bakery, name: " + name + ", uid: " + name + ", creationTimestamp: '2026-05-01T11:00:00Z'}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}, " + spec + "}, status: {" + status + "}}"
}

func classDoc(name, more string) string {
	return "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: " + name + "}, " + more + "}"
}

func volumeDoc(name, spec string) string {
	return "{apiVersion: v1, kind: PersistentVolume, metadata: {name: " + name + "}, spec: {" + spec + "}, status: {phase: Available}}"
}

const (
	lateClass = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: late}, provisioner: example.com/disks, volumeBindingMode: WaitForFirstConsumer}"
	fits      = "accessModes: [ReadWriteOnce], capacity: {storage: 2Gi}"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	ask := func(ctx context.Context, w Walker) (*Link, error) { return w.Claim(ctx, "bakery", "data") }
	askThere := func(ctx context.Context, w Walker) (*Link, error) { return w.Claim(ctx, "local-path-storage", "data") }
	const (
		object = "PersistentVolumeClaim data"
		look   = "kubectl -n bakery describe pvc data"
		pv     = "kubectl get pv"
	)
	pending := func(spec string, more ...string) string {
		return docs(append([]string{claimDoc("data", spec, "phase: Pending")}, more...)...)
	}
	user := func(spec, status string) string {
		return podDoc("oven-1", "", spec+", volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]", status)
	}
	provisioner := func(available string) string {
		return "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: local-path-storage, name: local-path-provisioner}, spec: {replicas: " + available + "}, status: {replicas: 1, updatedReplicas: 1, availableReplicas: 1}}"
	}
	runChain(t, []chainTest{
		{name: "bound", objects: claimDoc("data", "volumeName: disk", "phase: Bound"), walk: ask},
		{name: "missing", objects: claimDoc("date", "", "phase: Bound"), walk: ask, object: object, is: "there is no PersistentVolumeClaim data in namespace bakery; there is date", look: "kubectl -n bakery get pvc"},
		{name: "lost", objects: claimDoc("data", "volumeName: disk", "phase: Lost"), walk: ask, object: object, is: "PersistentVolumeClaim data has lost its volume: PersistentVolume disk is gone", look: look},
		{
			name: "deleted and in use", walk: ask, object: object, is: "PersistentVolumeClaim data is being deleted, and Pod oven-1 still uses it", look: look,
			objects: docs("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: bakery, name: data, deletionTimestamp: '2026-05-01T11:00:00Z', finalizers: [kubernetes.io/pvc-protection]}}", user(oven, up)),
		},
		{
			name: "deleted and held", walk: ask, object: object, is: "PersistentVolumeClaim data is being deleted and is held by the finalizer example.com/hold", look: look,
			objects: "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: bakery, name: data, deletionTimestamp: '2026-05-01T11:00:00Z', finalizers: [example.com/hold]}}",
		},

		// The class.
		{name: "no such class", objects: pending("storageClassName: fasst", classDoc("fast", "provisioner: x"), classDoc("slow", "provisioner: x")), walk: ask, object: "StorageClass fasst", is: "PersistentVolumeClaim data asks for StorageClass fasst, and there is no StorageClass fasst; there is fast", look: "kubectl get storageclasses"},
		{name: "no default", objects: pending("", classDoc("fast", "provisioner: x")), walk: ask, object: object, is: "PersistentVolumeClaim data names no StorageClass, and none is the default; there is fast", look: "kubectl get storageclasses"},
		{name: "a default that has just come", walk: ask, settling: true, object: object, is: "PersistentVolumeClaim data has not been given the default StorageClass yet", look: look, objects: pending("", "{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: x, metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}}")},

		// Volumes made by hand.
		{name: "none", objects: pending("storageClassName: ''"), walk: ask, object: object, is: "PersistentVolumeClaim data waits for a volume without a StorageClass that somebody makes by hand, and there is no PersistentVolume", look: pv},
		{
			name: "one too small, one taken", walk: ask, object: object, look: pv,
			objects: pending("storageClassName: ''", volumeDoc("a", "accessModes: [ReadOnlyMany], capacity: {storage: 1Gi}"), volumeDoc("b", fits+", claimRef: {namespace: shop, name: till}")),
			is:      "PersistentVolumeClaim data waits for a volume without a StorageClass that somebody makes by hand; PersistentVolume b belongs to claim shop/till (Available)",
		},
		{
			name: "several reasons, and a class that only volumes bear", walk: ask, object: object, look: pv,
			objects: pending("storageClassName: hand, selector: {matchLabels: {zone: north}}", volumeDoc("a", "storageClassName: hand, accessModes: [ReadOnlyMany], capacity: {storage: 1Gi}")),
			is:      "PersistentVolumeClaim data waits for a volume of StorageClass hand that somebody makes by hand; PersistentVolume a has 1Gi where 2Gi are asked for, has no access mode ReadWriteOnce and lacks the label zone=north",
		},
		{name: "another class", objects: pending("storageClassName: ''", volumeDoc("a", fits+", storageClassName: fast")), walk: ask, object: object, is: `PersistentVolumeClaim data waits for a volume without a StorageClass that somebody makes by hand; PersistentVolume a has the StorageClass "fast"`, look: pv},
		{name: "one that fits", objects: pending("storageClassName: ''", volumeDoc("a", fits)), walk: ask, settling: true, object: object, is: "PersistentVolumeClaim data fits PersistentVolume a and is not bound to it yet", look: look},
		{name: "a named volume that is not there", objects: pending("storageClassName: '', volumeName: disk", volumeDoc("a", fits)), walk: ask, object: "PersistentVolume disk", is: "PersistentVolumeClaim data asks for PersistentVolume disk, and there is none of that name", look: pv},
		{name: "a class without a provisioner", objects: pending("storageClassName: local", classDoc("local", "provisioner: kubernetes.io/no-provisioner")), walk: ask, object: object, is: "PersistentVolumeClaim data waits for a volume of StorageClass local that somebody makes by hand, and there is no PersistentVolume", look: pv},

		// Waiting for a pod.
		{name: "nobody uses it", objects: pending("storageClassName: late", lateClass), walk: ask, object: object, is: "PersistentVolumeClaim data waits for a pod that uses it (volumeBindingMode WaitForFirstConsumer of StorageClass late), and no pod does", look: look},
		{
			name: "its pod has no node", walk: ask, object: "Pod oven-1", look: "kubectl -n bakery describe pod oven-1",
			objects: pending("storageClassName: late", lateClass, user("containers: [{name: oven}]", "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/1 nodes are available: 1 Insufficient cpu.'}]")),
			is:      "PersistentVolumeClaim data waits for a pod that uses it (volumeBindingMode WaitForFirstConsumer of StorageClass late): no node takes Pod oven-1: 1 node with too little cpu left",
		},
		{name: "its pod has a node already", walk: ask, settling: true, object: object, is: "PersistentVolumeClaim data waits for a pod that uses it (volumeBindingMode WaitForFirstConsumer of StorageClass late), and Pod oven-1 has only just come", look: look, objects: pending("storageClassName: late", lateClass, user(oven, "phase: Pending"))},

		// The provisioner.
		{name: "it refuses", objects: pending("storageClassName: fast", classDoc("fast", "provisioner: x"), eventDoc("PersistentVolumeClaim", "data", "ProvisioningFailed", `failed to provision volume with StorageClass "fast": the shelf is full`, "")), walk: ask, object: object, is: "StorageClass fast cannot make a volume for PersistentVolumeClaim data: the shelf is full", look: look},
		{name: "nothing is heard of it", objects: pending("storageClassName: fast", classDoc("fast", "provisioner: example.com/none")), walk: ask, object: object, is: "PersistentVolumeClaim data waits for the provisioner example.com/none of StorageClass fast, of which nothing is heard", look: look},
		{name: "it is at work", objects: pending("storageClassName: fast", classDoc("fast", "provisioner: x"), eventDoc("PersistentVolumeClaim", "data", "Provisioning", "External provisioner is provisioning volume", "")), walk: ask, settling: true, object: object, is: "a volume is being made for PersistentVolumeClaim data", look: look},
		{name: "local-path does not run", objects: pending("storageClassName: fast", classDoc("fast", "provisioner: rancher.io/local-path"), provisioner("0")), walk: ask, object: "Deployment local-path-provisioner", is: "nobody makes a volume for PersistentVolumeClaim data: Deployment local-path-provisioner asks for 0 replicas", look: "kubectl -n local-path-storage describe deployment local-path-provisioner"},
		{
			// The provisioner's own pod waits for the claim: the walk ends, and says so once.
			name: "a circle", walk: askThere, object: "PersistentVolumeClaim data", look: "kubectl -n local-path-storage describe pvc data",
			objects: strings.ReplaceAll(docs(pending("storageClassName: fast", classDoc("fast", "provisioner: rancher.io/local-path")),
				"{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: bakery, name: local-path-provisioner, uid: dep}, spec: {replicas: 1}}",
				"{apiVersion: apps/v1, kind: ReplicaSet, metadata: {namespace: bakery, name: rs, uid: rs, ownerReferences: [{kind: X, name: x, uid: dep, controller: true}]}}",
				strings.Replace(user("containers: [{name: oven}]", "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: '0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.'}]"),
					"uid: oven-1", "uid: oven-1, ownerReferences: [{kind: X, name: x, uid: rs, controller: true}]", 1)), "namespace: bakery", "namespace: local-path-storage"),
			is: "nobody makes a volume for PersistentVolumeClaim data: Pod oven-1 has no node: PersistentVolumeClaim data waits for the provisioner rancher.io/local-path of StorageClass fast, of which nothing is heard",
		},
		{name: "local-path runs", objects: pending("storageClassName: fast", classDoc("fast", "provisioner: rancher.io/local-path"), provisioner("1")), walk: ask, object: object, is: "PersistentVolumeClaim data waits for the provisioner rancher.io/local-path of StorageClass fast, of which nothing is heard", look: look},
	})
}
