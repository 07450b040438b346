package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
)

const (
	// firstPause doubles with every look up to lastPause, and grows on where a wait is long: a tenth of what has passed is
	// soon enough, and looks take from the processors what the cluster needs to get there.
	firstPause, lastPause = 20 * time.Millisecond, 100 * time.Millisecond
	// unnudged is the pause where events call for the next look: only a broken watch needs it.
	unnudged = 500 * time.Millisecond
	// patience bounds each wait that names no other limit: images are on the nodes, so a workload
	// that needs longer will not arrive.
	patience = 2 * time.Minute
)

var errWaited = errors.New("waited in vain")

// wait is how to wait for something.
type wait struct {
	what   string
	limit  time.Duration   // 0: patience
	nudges <-chan struct{} // nil: by the clock alone
}

// until looks until done says so. It gives up at the limit, or at once on an error.
func (w wait) until(ctx context.Context, done func() (bool, error)) error {
	limit := w.limit
	if limit == 0 {
		limit = patience
	}
	began, deadline := time.Now(), time.NewTimer(limit)
	defer deadline.Stop()
	rest := func(nudges <-chan struct{}, enough <-chan time.Time) error {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", w.what, context.Cause(ctx))
		case <-deadline.C:
			return fmt.Errorf("waiting for %s: %w for %s", w.what, errWaited, limit)
		case <-nudges:
		case <-enough:
		}
		return nil
	}
	for pause := firstPause; ; pause = min(2*pause, max(lastPause, time.Since(began)/10)) {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", w.what, err)
		}
		if ok {
			return nil
		}
		// Events come in flocks: a look for each would be too many.
		apart := time.After(pause)
		if w.nudges != nil {
			if err := rest(w.nudges, time.After(unnudged)); err != nil {
				return err
			}
		}
		if err := rest(nil, apart); err != nil {
			return err
		}
	}
}

// follow returns a channel that has something in it whenever one of the objects has changed, until ctx ends. A watch
// that fails is only missed: whoever waits looks by the clock too.
func follow(ctx context.Context, c *check.Cluster, objects []check.Dependency) <-chan struct{} {
	nudges := make(chan struct{}, 1)
	for _, o := range objects {
		go func() {
			w, err := c.Dynamic.Resource(o.Resource).Namespace(o.Namespace).Watch(ctx, metav1.ListOptions{})
			if err != nil {
				return
			}
			defer w.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case _, open := <-w.ResultChan():
					if !open {
						return
					}
				}
				select {
				case nudges <- struct{}{}:
				default: // one is enough
				}
			}
		}()
	}
	return nudges
}
