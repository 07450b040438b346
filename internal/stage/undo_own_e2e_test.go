//go:build e2e

package stage

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// On a cluster of kindlab's own what the lab touches is restored in place, the lab's pods run on, and what else was left
// outside its namespaces is for a reset.
func TestUndoOnAClusterOfItsOwn(t *testing.T) {
	c, l := realCluster(t), bakery(t)
	ctx, kube, ns, must := t.Context(), c.Owner.Kube, l.Namespaces[0], orFatal(t)
	o := started(t, c, l)
	first, err := Recorded(ctx, c, l.Name)
	must(err)
	before := podsBy(t, c, ns)
	const system = metav1.NamespaceSystem
	_, err = kube.AppsV1().Deployments(system).Patch(ctx, "coredns", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
	must(err)
	_, err = kube.CoreV1().ConfigMaps(system).Patch(ctx, "coredns", types.MergePatchType, []byte(`{"data":{"Corefile":". {\n  errors\n}\n"}}`), metav1.PatchOptions{})
	must(err)
	_, err = kube.CoreV1().Services(ns).Patch(ctx, "front", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"nobody"}}}`), metav1.PatchOptions{})
	must(err)

	second, undone, err := first.Undo(ctx, c, l)
	if err != nil || !undone {
		t.Fatalf("undone is %t, %v", undone, err)
	}
	same(t, c, l, first)
	same(t, c, l, second)
	if err := (check.Rollout{Ref: lab.Ref{Namespace: system, Kind: "deployment", Name: "coredns"}}).Run(ctx, c); err != nil {
		t.Errorf("coredns: %v", err)
	}
	if after := podsBy(t, c, ns); !slices.Equal(before["front"], after["front"]) {
		t.Errorf("pods of front were %v and are %v", before["front"], after["front"])
	}

	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "stage-baker"}}
	_, err = kube.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
	must(err)
	if _, undone, err = second.Undo(ctx, c, l); err != nil || undone {
		t.Errorf("a ClusterRole that is new: undone is %t, %v", undone, err)
	}
	must(Reset(ctx, c, l, o))
	node := someNode(t, c)
	_, err = kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(`{"metadata":{"labels":{"stage-oven":"hot"}}}`), metav1.PatchOptions{})
	must(err)
	third, err := Recorded(ctx, c, l.Name)
	must(err)
	if _, undone, err = third.Undo(ctx, c, l); err != nil || undone {
		t.Errorf("a node's label that is new: undone is %t, %v", undone, err)
	}
}

func someNode(t *testing.T, c *check.Cluster) string {
	t.Helper()
	list, err := c.Owner.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{Limit: 1})
	if err != nil || len(list.Items) == 0 {
		t.Fatalf("%d nodes, error %v", len(list.Items), err)
	}
	return list.Items[0].Name
}
