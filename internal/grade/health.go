package grade

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How the API server is asked whether it answers. Twice in vain is an outage, so one is known within
// healthEvery + healthPause + 2 × healthTimeout.
const (
	healthEvery   = 2 * time.Second
	healthPause   = 300 * time.Millisecond // after a vain one
	healthTimeout = 3 * time.Second
	healthVain    = 2
)

// feel reads from the API server again and again: an informer that lost it says nothing, and tries more and more seldom.
func (w *watch) feel(ctx context.Context) {
	for {
		err := w.reading(ctx)
		w.post(ctx, func() { w.health(ctx, err) })
		pause := healthEvery
		if err != nil {
			pause = healthPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		case <-w.poke:
		}
	}
}

// askHealth has the API server read at once.
func (w *watch) askHealth() {
	select {
	case w.poke <- struct{}{}:
	default: // it is about to be
	}
}

// reading reads what every cluster has, through to its store.
func (w *watch) reading(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, healthTimeout, fmt.Errorf("no answer within %s", healthTimeout))
	defer cancel()
	_, err := w.cluster.Kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	switch {
	case err == nil || apierrors.IsNotFound(err):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// health takes a reading. In an outage every task is unknown; after it informers and runs begin anew, because the old
// ones would come back in their own time.
func (w *watch) health(ctx context.Context, err error) {
	switch {
	case err == nil && w.outage != "":
		w.outage, w.misses = "", 0
		w.connect(ctx)
	case err == nil:
		w.misses = 0
	case w.outage != "":
	default:
		if w.misses++; w.misses >= healthVain {
			w.outage = fmt.Sprintf("the API server cannot be asked: %v", err)
			w.hangUp()
			w.epoch++
		}
	}
}
