package stage

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
)

// Undo puts objects back in place where that is all that a reset would do, and tells whether it was: what has changed
// since the baseline must be rules only, such as Services and network policies, which hold no state and run nothing. It
// takes a fraction of a second; where it returns false, nothing was changed. It does not wait until what follows rules
// has followed.
func (a Attempt) Undo(ctx context.Context, c *check.Cluster, l *lab.Lab) (bool, error) {
	c = asOwner(c)
	r := a.record
	if r.After == nil || r.Own {
		return false, nil // what lies outside the namespaces is for a reset
	}
	all, err := discover(c)
	if err != nil {
		return false, err
	}
	now, err := capture(ctx, c, l, all, false)
	if err != nil {
		return false, err
	}
	changed, possible := r.After.rulesChanged(now)
	if !possible {
		return false, nil
	}
	group, restoring := errgroup.WithContext(ctx)
	for _, o := range changed {
		group.Go(func() error {
			_, err := o.restore(restoring, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return false, err
	}
	if now, err = capture(ctx, c, l, all, false); err != nil {
		return false, err
	}
	return len(r.After.differences(now)) == 0, nil
}

// rulesChanged are the objects to put back, without their content where they are new. It is not possible where anything
// else has changed, or where an object is gone: one that is made anew is another one.
func (s *snapshot) rulesChanged(now *snapshot) (changed []stored, possible bool) {
	was, is := byName(s.Objects), byName(now.Objects)
	for name, o := range was {
		found, there := is[name]
		switch {
		case there && len(compare(o, found)) == 0:
		case there && rule(o) && o.unstructured().GetUID() == found.unstructured().GetUID():
			changed = append(changed, o)
		default:
			return nil, false
		}
	}
	for name, o := range is {
		if _, known := was[name]; known {
			continue
		}
		if !rule(o) {
			return nil, false
		}
		changed = append(changed, stored{Resource: o.Resource, Namespace: o.Namespace, Name: o.Name})
	}
	return changed, true
}

func rule(o stored) bool {
	return slices.Contains([]string{"services", "networkpolicies", "roles", "rolebindings", "poddisruptionbudgets"}, o.Resource.Resource)
}
