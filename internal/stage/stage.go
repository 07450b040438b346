// Package stage puts a lab on a cluster, brings it back to its beginning and takes it off again. It owns the lab's
// namespaces, marked with a label, and remembers the rest of the cluster as it was, in the namespace kindlab-system.
package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// Steps shows progress; internal/term implements it.
type Steps interface {
	Start(name string) (end func(err error, note string))
}

// Options say how a lab comes onto a cluster and off it.
type Options struct {
	// Params are the values drawn for this attempt. They are recorded before anything is applied.
	Params map[string]string
	// Own tells that kindlab made the cluster, and nobody else uses it: then what learners leave behind outside the
	// lab's namespaces is removed too, and nodes are restored.
	Own bool
	// NoWait lets Reset end when the setup is applied, while its workloads are still starting.
	NoWait bool
	Runner Runner // runs scripts; nil refuses labs that have one
	Steps  Steps  // nil shows nothing
}

// Start puts the lab's setup on the cluster, waits until it is ready and records the baseline. It may be called again
// on a lab that is there. A namespace that exists and is not this lab's is refused before anything is changed.
func Start(ctx context.Context, c *check.Cluster, l *lab.Lab, o Options) error {
	return step(o.Steps, "Setting up "+l.Name, func() (string, error) {
		c := asOwner(c)
		if err := owned(ctx, c, l); err != nil {
			return "", err
		}
		r, err := readRecord(ctx, c, l.Name)
		if err != nil && !errors.Is(err, ErrNotRecorded) {
			return "", err
		}
		all, err := discover(c)
		if err != nil {
			return "", err
		}
		// What was recorded when the lab first came is older, and so better, than what is there now.
		if r.Before == nil {
			if err := r.survey(ctx, c, l, all, o.Own); err != nil {
				return "", err
			}
		}
		if err := r.setUp(ctx, c, l, o); err != nil {
			return "", err
		}
		return "", r.settle(ctx, c, l, all)
	})
}

// Reset brings the lab back to what Start made. Its namespaces are wiped in place, which takes a second where deleting
// them takes ten; nodes, what the lab touches and, on a cluster of kindlab's own, what else was left behind are put
// back as they were; then the setup is applied, a new baseline taken, and its workloads are waited for: whoever
// interrupts that finds the lab as it was all the same. What had to be forced, and what was left alone, is told in the
// step's note.
func Reset(ctx context.Context, c *check.Cluster, l *lab.Lab, o Options) error {
	c = asOwner(c)
	var r record
	var all resources
	err := step(o.Steps, "Resetting "+l.Name, func() (string, error) {
		var err error
		if r, all, err = prepare(ctx, c, l); err != nil {
			return "", err
		}
		notes, err := r.restore(ctx, c, l, all, o.Own)
		if err != nil {
			return notes.String(), err
		}
		if r.Before == nil {
			notes.add("nothing was recorded at the start, so only the lab's namespaces were reset")
			if err := r.survey(ctx, c, l, all, o.Own); err != nil {
				return notes.String(), err
			}
		}
		if err := r.setUp(ctx, c, l, o); err != nil {
			return notes.String(), err
		}
		return notes.String(), r.baseline(ctx, c, l, all)
	})
	if err != nil || o.NoWait {
		return err
	}
	return step(o.Steps, "Waiting for its workloads", func() (string, error) { return "", r.settle(ctx, c, l, all) })
}

// Stop removes the lab and restores what Reset restores. Its namespaces are emptied at once and vanish a few seconds
// later by themselves.
func Stop(ctx context.Context, c *check.Cluster, l *lab.Lab, o Options) error {
	return step(o.Steps, "Stopping "+l.Name, func() (string, error) {
		c := asOwner(c)
		r, all, err := prepare(ctx, c, l)
		if err != nil {
			return "", err
		}
		notes, err := r.restore(ctx, c, l, all, o.Own)
		if err != nil {
			return notes.String(), err
		}
		for _, ns := range l.Namespaces {
			err := c.Kube.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return notes.String(), fmt.Errorf("deleting namespace %s: %w", ns, err)
			}
		}
		return notes.String(), forget(ctx, c, l.Name)
	})
}

// Started names the labs on the cluster, sorted. The cluster itself knows, so a
// cluster made anew cannot disagree with a file.
func Started(ctx context.Context, c *check.Cluster) ([]string, error) {
	list, err := c.Owner.Kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: labLabel})
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

// asOwner lets the helpers of this package change things: they use the cluster's first clients, and those may be a
// grader's, which can only look.
func asOwner(c *check.Cluster) *check.Cluster {
	owner := *c
	owner.Clients = c.Owner
	return &owner
}

// prepare reads all that Reset and Stop need before they change anything.
func prepare(ctx context.Context, c *check.Cluster, l *lab.Lab) (r record, all resources, err error) {
	if err := owned(ctx, c, l); err != nil {
		return record{}, resources{}, err
	}
	if r, err = readRecord(ctx, c, l.Name); err != nil && !errors.Is(err, ErrNotRecorded) {
		return record{}, resources{}, err
	}
	all, err = discover(c)
	return r, all, err
}

// setUp records the parameters and applies the setup. Until a baseline is recorded, the record says that the lab is not
// ready, so that an interrupted start or reset is not taken for a lab.
func (r *record) setUp(ctx context.Context, c *check.Cluster, l *lab.Lab, o Options) error {
	r.Params, r.After = o.Params, nil
	if err := r.write(ctx, c, l); err != nil {
		return err
	}
	if err := claim(ctx, c, l); err != nil {
		return err
	}
	return Perform(ctx, c, l, Step{Apply: l.Setup.Apply, Run: l.Setup.Run}, o.Runner)
}

// settle waits until the learner finds everything running, and records it so.
func (r *record) settle(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources) error {
	if err := ready(ctx, c, l); err != nil {
		return err
	}
	return r.baseline(ctx, c, l, all)
}

// baseline records the lab as it is now.
func (r *record) baseline(ctx context.Context, c *check.Cluster, l *lab.Lab, all resources) error {
	after, err := capture(ctx, c, l, all, r.Own)
	if err != nil {
		return fmt.Errorf("recording lab %s as the learner finds it: %w", l.Name, err)
	}
	r.After = after
	return r.write(ctx, c, l)
}

// ready waits for the workloads that the learner is to find running.
func ready(ctx context.Context, c *check.Cluster, l *lab.Lab) error {
	refs := slices.Clone(l.Setup.Ready)
	for i := range refs {
		if refs[i].Namespace == "" {
			refs[i].Namespace = l.Namespaces[0]
		}
	}
	return arrive(ctx, c, refs)
}

// arrive waits for workloads at once, and says of each that did not come why it was not there.
func arrive(ctx context.Context, c *check.Cluster, refs []lab.Ref) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watched []check.Dependency
	for _, ref := range refs {
		for _, d := range (check.Rollout{Ref: ref}).Objects() {
			d.Name = "" // one watch serves all of a namespace
			if !slices.Contains(watched, d) {
				watched = append(watched, d)
			}
		}
	}
	nudges := follow(watching, c, watched)
	pending := refs
	var missing []error
	err := wait{what: "the workloads", nudges: nudges}.until(ctx, func() (bool, error) {
		missing = make([]error, len(pending))
		var looks errgroup.Group
		for i, ref := range pending {
			looks.Go(func() error {
				missing[i] = check.Rollout{Ref: ref}.Run(ctx, c)
				if _, no := errors.AsType[*check.Failure](missing[i]); no {
					return nil
				}
				return missing[i]
			})
		}
		if err := looks.Wait(); err != nil {
			return false, err
		}
		var still []lab.Ref
		for i, ref := range pending {
			if missing[i] != nil {
				still = append(still, ref)
			}
		}
		pending = still
		return len(pending) == 0, nil
	})
	// Whoever set a limit of their own wants to know too what did not come.
	if errors.Is(err, errWaited) || ctx.Err() != nil && missing != nil {
		return fmt.Errorf("%w: %w", err, errors.Join(missing...))
	}
	return err
}

func step(s Steps, name string, do func() (note string, err error)) error {
	end := func(error, string) {}
	if s != nil {
		end = s.Start(name)
	}
	note, err := do()
	end(err, note)
	return err
}
