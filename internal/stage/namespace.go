package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

const (
	manager = "kindlab" // field manager of all we write
	// labLabel marks what a lab owns. A label's value has no slash, hence the dot.
	labLabel = "kindlab.dev/lab"
	// system is where kindlab keeps its records on the cluster.
	system = "kindlab-system"
	// vanishing bounds the wait for a namespace that is being deleted: an empty one takes six seconds.
	vanishing = 30 * time.Second
)

// ErrNotOurs is wrapped by the refusal to touch a namespace without our label.
var ErrNotOurs = errors.New("the namespace is not this lab's")

// managed marks what is kindlab's and no lab's.
func managed() map[string]string { return map[string]string{"app.kubernetes.io/managed-by": manager} }

func labelValue(l *lab.Lab) string { return l.Topic + "." + l.ID }

// owned fails when a namespace of the lab is somebody else's.
func owned(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	for _, name := range l.Namespaces {
		if lab.Reserved(name) {
			return fmt.Errorf("%w: %s is reserved", ErrNotOurs, name)
		}
		ns, err := c.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return fmt.Errorf("reading namespace %s: %w", name, err)
		case ns.Labels[labLabel] == "":
			return fmt.Errorf("%w: %s exists and kindlab did not make it; delete it or use another cluster", ErrNotOurs, name)
		case ns.Labels[labLabel] != labelValue(l):
			other := strings.Replace(ns.Labels[labLabel], ".", "/", 1)
			return fmt.Errorf("%w: %s belongs to lab %s; stop that first: kindlab stop %s", ErrNotOurs, name, other, other)
		}
	}
	return nil
}

// claim makes the namespaces that are missing.
func claim(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	var all errgroup.Group
	for _, name := range l.Namespaces {
		all.Go(func() error { return claimOne(ctx, c, name, map[string]string{labLabel: labelValue(l)}) })
	}
	return all.Wait()
}

func claimOne(ctx context.Context, c *check.Cluster, name string, labels map[string]string) error {
	api := c.Kube.CoreV1().Namespaces()
	var last *corev1.Namespace
	err := wait{what: "namespace " + name + ", which is still being deleted", limit: vanishing}.until(ctx, func() (bool, error) {
		ns, err := api.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			ns = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
			ns, err = api.Create(ctx, ns, metav1.CreateOptions{FieldManager: manager})
		}
		if apierrors.IsAlreadyExists(err) {
			return false, nil // somebody has just made it: another kindlab, beginning another lab
		}
		if err != nil {
			return false, err
		}
		last = ns
		return ns.DeletionTimestamp == nil, nil
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("namespace %s has been stuck in deletion for %s: %s; look: kubectl get namespace %s -o yaml",
			name, c.Clock.Since(last.DeletionTimestamp.Time).Round(time.Second), stuck(last), name)
	}
	if err != nil {
		return fmt.Errorf("making namespace %s: %w", name, err)
	}
	// Pods are refused without this account. The controller makes it too, but later.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err = c.Kube.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = c.Kube.CoreV1().ServiceAccounts(name).Create(ctx, account, metav1.CreateOptions{FieldManager: manager})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the ServiceAccount default of namespace %s: %w", name, err)
	}
	return nil
}

// stuck is the namespace controller's own account of what keeps a namespace from vanishing.
func stuck(ns *corev1.Namespace) string {
	var why []string
	for _, cond := range ns.Status.Conditions {
		if cond.Status == corev1.ConditionTrue && cond.Message != "" {
			why = append(why, cond.Message)
		}
	}
	if len(ns.Finalizers) > 0 {
		why = append(why, "it has the finalizers "+strings.Join(ns.Finalizers, ", "))
	}
	if len(why) == 0 {
		return "its controller does not say why"
	}
	return strings.Join(why, "; ")
}
