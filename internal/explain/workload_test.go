package explain

import (
	"context"
	"strings"
	"testing"
)

func TestWorkload(t *testing.T) {
	t.Parallel()
	ask := func(kind string) step {
		return func(ctx context.Context, w Walker) (*Link, error) { return w.Workload(ctx, kind, "bakery", "oven") }
	}
	const template = "template: {metadata: {labels: {app: oven}}, spec: {nodeSelector: {disk: ssd}}}"
	object := func(kind, spec, status string) string {
		version := "apps/v1"
		if kind == "Job" {
			version = "batch/v1"
		}
		return "{apiVersion: " + version + ", kind: " + kind + ", metadata: {namespace: bakery, name: oven, uid: oven, generation: 2}, spec: {" + spec + ", " + template + "}, status: {" + status + "}}"
	}
	set := func(uid, revision string) string {
		return "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {namespace: bakery, name: " + uid + ", uid: " + uid + ", annotations: {deployment.kubernetes.io/revision: '" + revision + "'}, ownerReferences: [{kind: Deployment, name: oven, uid: oven, controller: true}]}}"
	}
	owned := func(name, owner, spec, status string) string {
		return strings.Replace(podDoc(name, "app: oven", spec, status), "uid: "+name, "uid: "+name+", ownerReferences: [{kind: X, name: x, uid: "+owner+", controller: true}]", 1)
	}
	const (
		never   = "phase: Pending, containerStatuses: [{name: oven, state: {waiting: {reason: ErrImageNeverPull}}}]"
		noImage = "container oven of Pod oven-b: ErrImageNeverPull, image oven:1 is not on node one, and imagePullPolicy is Never"
		lookB   = "kubectl -n bakery describe pod oven-b"
		look    = "kubectl -n bakery describe "
	)
	runChain(t, []chainTest{
		{name: "arrived", objects: object("Deployment", "replicas: 1", "observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1"), walk: ask("deployment")},
		{name: "missing", objects: strings.ReplaceAll(object("Deployment", "replicas: 1", ""), "name: oven", "name: ovens"), walk: ask("deployment"), object: "Deployment oven", is: "there is no Deployment oven in namespace bakery; there is ovens", look: "kubectl -n bakery get deployments"},
		{name: "no replicas", objects: object("Deployment", "replicas: 0", "observedGeneration: 2"), walk: ask("Deployment"), object: "Deployment oven", is: "Deployment oven asks for 0 replicas", look: look + "deployment oven"},
		{name: "paused", objects: object("Deployment", "paused: true, replicas: 1", "observedGeneration: 2, replicas: 1, availableReplicas: 1"), walk: ask("Deployment"), object: "Deployment oven", is: "Deployment oven is paused, and its latest change is not rolled out", look: look + "deployment oven"},
		{
			name: "a quota", walk: ask("Deployment"), object: "Deployment oven", look: look + "deployment oven",
			objects: object("Deployment", "replicas: 2", `observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', message: 'pods "oven-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'}]`),
			is:      "the API refuses the pods of Deployment oven: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1",
		},
		{
			name: "pods of the latest ReplicaSet alone", walk: ask("Deployment"), object: "Pod oven-b", is: noImage, look: lookB,
			objects: docs(object("Deployment", "replicas: 1", "observedGeneration: 2, replicas: 2, updatedReplicas: 1, availableReplicas: 1"),
				set("old", "9"), set("new", "10"), owned("oven-a", "old", oven, up), owned("oven-b", "new", oven, never), nodesDoc),
		},
		{
			name: "the pod that will not come by waiting", walk: ask("ReplicaSet"), object: "Pod oven-b", is: noImage, look: lookB,
			objects: docs(object("ReplicaSet", "replicas: 2", "observedGeneration: 2, replicas: 2"), owned("oven-a", "oven", oven, down), owned("oven-b", "oven", oven, never), nodesDoc),
		},
		{name: "no ReplicaSet yet", objects: object("Deployment", "replicas: 1", "observedGeneration: 1"), walk: ask("Deployment"), settling: true, object: "Deployment oven", is: "Deployment oven has 0 of 1 available pod", look: look + "deployment oven"},
		{name: "ReplicaSet refused", objects: object("ReplicaSet", "replicas: 1", `observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', message: 'violates PodSecurity'}]`), walk: ask("ReplicaSet"), object: "ReplicaSet oven", is: "the API refuses the pods of ReplicaSet oven: violates PodSecurity", look: look + "replicaset oven"},
		{
			name: "a StatefulSet refused", walk: ask("statefulset"), object: "StatefulSet oven", look: look + "statefulset oven",
			objects: docs(object("StatefulSet", "replicas: 1", "observedGeneration: 2"), eventDoc("StatefulSet", "oven", "FailedCreate", `create Pod oven-0 in StatefulSet oven failed error: pods "oven-0" is forbidden: no flour`, "")),
			is:      "the API refuses the pods of StatefulSet oven: no flour",
		},
		{name: "a StatefulSet's pod", objects: docs(object("StatefulSet", "replicas: 1", "observedGeneration: 2, replicas: 1"), owned("oven-b", "oven", oven, never), nodesDoc), walk: ask("statefulset"), object: "Pod oven-b", is: noImage, look: lookB},
		{name: "a DaemonSet on no node", objects: object("DaemonSet", "updateStrategy: {}", "observedGeneration: 2"), walk: ask("daemonset"), object: "DaemonSet oven", is: "DaemonSet oven runs on no node: its nodeSelector (disk=ssd) matches none", look: look + "daemonset oven"},
		{name: "a DaemonSet on no node, for other reasons", objects: strings.Replace(object("DaemonSet", "updateStrategy: {}", "observedGeneration: 2"), "nodeSelector: {disk: ssd}", "", 1), walk: ask("daemonset"), object: "DaemonSet oven", is: "DaemonSet oven runs on no node: its affinity or the nodes' taints leave it none", look: look + "daemonset oven"},
		{name: "a DaemonSet that nobody has seen", objects: object("DaemonSet", "updateStrategy: {}", "observedGeneration: 1"), walk: ask("daemonset"), settling: true, object: "DaemonSet oven", is: "DaemonSet oven has 0 of 0 available pods", look: look + "daemonset oven"},
		{name: "a Job that is done", objects: object("Job", "completions: 1", "succeeded: 1"), walk: ask("job")},
		{name: "a Job that is suspended", objects: object("Job", "suspend: true", ""), walk: ask("job"), object: "Job oven", is: "Job oven is suspended", look: look + "job oven"},
		{
			name: "a Job that fails", walk: ask("job"), object: "Pod oven-b", look: "kubectl -n bakery logs oven-b -c oven",
			objects: docs(object("Job", "completions: 1", "failed: 1"), owned("oven-b", "oven", oven, "phase: Failed, containerStatuses: [{name: oven, state: {terminated: {exitCode: 3}}}]")),
			is:      "container oven of Pod oven-b has ended with exit code 3" + fakeLine,
		},
	})
	if _, err := (Walker{}).Workload(t.Context(), "CronJob", "bakery", "oven"); err == nil || !strings.Contains(err.Error(), `found "CronJob"`) {
		t.Errorf("got %v", err)
	}
}
