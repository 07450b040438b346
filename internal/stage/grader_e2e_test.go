//go:build e2e

package stage

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

func TestGraderLooksAndDoesNotTouch(t *testing.T) {
	c := realCluster(t)
	ctx := t.Context()
	g, note, err := Grader(ctx, c.Owner)
	if err != nil || note != "" {
		t.Fatal(err, note)
	}
	began := time.Now()
	if g, note, err = Grader(ctx, c.Owner); err != nil || note != "" {
		t.Fatal(err, note)
	}
	t.Logf("the second time took %s", time.Since(began))
	for what, err := range map[string]error{
		"pods":    second(g.Kube.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{})),
		"secrets": second(g.Kube.CoreV1().Secrets("").List(ctx, metav1.ListOptions{})),
		"nodes":   second(g.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})),
	} {
		if err != nil {
			t.Errorf("listing %s: %v", what, err)
		}
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "stage-grader"}}
	for what, err := range map[string]error{
		"create": second(g.Kube.CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{})),
		"delete": g.Kube.CoreV1().ConfigMaps("default").Delete(ctx, "kube-root-ca.crt", metav1.DeleteOptions{}),
		"evict":  g.Kube.CoreV1().Pods("kube-system").Delete(ctx, "none", metav1.DeleteOptions{}),
		"dry run": second(g.Kube.CoreV1().ConfigMaps("default").Create(ctx, cm,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want Forbidden", what, err)
		}
	}
	// Without its binding the grader must be told so, and the next one that is asked for mends it.
	if err := c.Owner.Kube.RbacV1().ClusterRoleBindings().Delete(ctx, graderName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	look := check.Rollout{Ref: lab.Ref{Namespace: "kube-system", Kind: "deployment", Name: "coredns"}}
	without := *c
	without.Clients = g
	err = wait{what: "the grader to lose its rights", limit: 5 * time.Second}.until(ctx, func() (bool, error) {
		err := look.Run(ctx, &without)
		return apierrors.IsForbidden(err), nil
	})
	if err != nil {
		t.Error(err)
	}
	if g, note, err = Grader(ctx, c.Owner); err != nil || note != "" {
		t.Fatal(err, note)
	}
	if _, err := g.Kube.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}); err != nil {
		t.Errorf("mended, it still cannot look: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNeedsAreProvedOnce(t *testing.T) {
	c := realCluster(t)
	l := &lab.Lab{Name: "stage/needs", Needs: []string{"network-policy", "storage"}}
	known, err := readProofs(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if known.was.ResourceVersion != "" {
		if err := c.Owner.Kube.CoreV1().ConfigMaps(system).Delete(t.Context(), proofsName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := Needs(t.Context(), c, l, false, told{t}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s := &steps{}
	if err := Needs(t.Context(), c, l, false, s); err != nil || len(s.log) > 0 {
		t.Errorf("the second time: %v, %v", err, s.log)
	}
	t.Logf("known already: %s", time.Since(began))
}
