// Package stage puts a lab on a cluster and takes it off again. It owns the
// lab's namespaces, marked with a label, and touches nothing else.
package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// Steps shows progress; internal/term implements it.
type Steps interface {
	Start(name string) (end func(err error, note string))
}

// ErrNotOurs is wrapped by the refusal to touch a namespace without our label.
var ErrNotOurs = errors.New("the namespace is not this lab's")

const (
	poll = 100 * time.Millisecond
	// patience bounds each wait here: images are on the nodes, so a workload
	// that needs longer will not arrive.
	patience = 2 * time.Minute
)

// Start puts the lab's setup on the cluster and waits until it is ready. It may
// be called again on a lab that is there. A namespace that exists and is not
// this lab's is refused before anything is changed.
func Start(ctx context.Context, c *check.Cluster, l *lab.Lab, s Steps) error {
	return step(s, "Setting up "+l.Name, func() error {
		if err := claim(ctx, c, l); err != nil {
			return err
		}
		return setup(ctx, c, l)
	})
}

// Reset brings the lab back to what Start made: its namespaces are wiped in
// place, which takes a second or two where deleting them takes ten.
func Reset(ctx context.Context, c *check.Cluster, l *lab.Lab, s Steps) error {
	return step(s, "Resetting "+l.Name, func() error {
		if err := claim(ctx, c, l); err != nil {
			return err
		}
		if err := wipeAll(ctx, c, l); err != nil {
			return err
		}
		return setup(ctx, c, l)
	})
}

// Stop removes the lab. Its namespaces are emptied at once and vanish a few
// seconds later by themselves.
func Stop(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	if err := owned(ctx, c, l); err != nil {
		return err
	}
	if err := wipeAll(ctx, c, l); err != nil {
		return err
	}
	for _, ns := range l.Namespaces {
		err := c.Kube.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting namespace %s: %w", ns, err)
		}
	}
	return nil
}

// Started names the labs on the cluster, sorted. The cluster itself knows, so a
// cluster made anew cannot disagree with a file.
func Started(ctx context.Context, c *check.Cluster) ([]string, error) {
	list, err := c.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: labLabel})
	if err != nil {
		return nil, fmt.Errorf("listing namespaces: %w", err)
	}
	var names []string
	for _, ns := range list.Items {
		name := strings.Replace(ns.Labels[labLabel], ".", "/", 1)
		if ns.DeletionTimestamp == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func step(s Steps, name string, do func() error) error {
	end := func(error, string) {}
	if s != nil {
		end = s.Start(name)
	}
	err := do()
	end(err, "")
	return err
}

// owned fails when a namespace of the lab is somebody else's.
func owned(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	for _, name := range l.Namespaces {
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
	if err := owned(ctx, c, l); err != nil {
		return err
	}
	api := c.Kube.CoreV1().Namespaces()
	for _, name := range l.Namespaces {
		err := wait(ctx, "namespace "+name+", which is still being deleted", func() (bool, error) {
			ns, err := api.Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				ns = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labLabel: labelValue(l)}}}
				ns, err = api.Create(ctx, ns, metav1.CreateOptions{FieldManager: manager})
			}
			if err != nil {
				return false, err
			}
			return ns.DeletionTimestamp == nil, nil
		})
		if err != nil {
			return fmt.Errorf("making namespace %s: %w", name, err)
		}
		// Pods are refused until their ServiceAccount is there.
		err = wait(ctx, "the ServiceAccount default of "+name, func() (bool, error) {
			_, err := c.Kube.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func setup(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	if err := Apply(ctx, c, l, l.Setup.Apply); err != nil {
		return err
	}
	errs := make([]error, len(l.Setup.Ready))
	var all sync.WaitGroup
	for i, ref := range l.Setup.Ready {
		if ref.Namespace == "" {
			ref.Namespace = l.Namespaces[0]
		}
		all.Go(func() { errs[i] = arrive(ctx, c, ref) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// arrive waits for a workload and keeps the last reason why it was not there.
func arrive(ctx context.Context, c *check.Cluster, ref lab.Ref) error {
	last := errors.New("it was not looked at")
	err := wait(ctx, ref.String(), func() (bool, error) {
		err := check.Rollout{Ref: ref}.Run(ctx, c)
		if err == nil {
			return true, nil
		}
		last = err
		if _, no := errors.AsType[*check.Failure](err); no {
			return false, nil
		}
		return false, err
	})
	if errors.Is(err, errWaited) {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

var errWaited = errors.New("waited in vain")

// wait polls until done. It gives up after patience, or at once on an error.
func wait(ctx context.Context, what string, done func() (bool, error)) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-deadline.C:
			return fmt.Errorf("waiting for %s: %w for %s", what, errWaited, patience)
		case <-time.After(poll):
		}
	}
}

func resourceOf(kind string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Resource: kind}
}
