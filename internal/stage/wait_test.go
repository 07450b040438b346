package stage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// However many events call for a look, what takes long is looked at a tenth of that apart, and not much later either.
func TestLooksGetRarerWhileWaiting(t *testing.T) {
	t.Parallel()
	crowd := func() <-chan struct{} {
		c := make(chan struct{})
		close(c)
		return c
	}
	for _, tt := range []struct {
		name   string
		nudges func() <-chan struct{}
		least  time.Duration // between two looks, where nothing is heard
	}{
		{"by the clock", func() <-chan struct{} { return nil }, firstPause},
		{"events without end", crowd, firstPause},
		{"no event", func() <-chan struct{} { return make(chan struct{}) }, unnudged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began, last, looks := time.Now(), time.Duration(0), 0
				err := wait{what: "rain", limit: time.Minute, nudges: tt.nudges()}.until(t.Context(), func() (bool, error) {
					looks++
					now := time.Since(began)
					if gap := now - last; looks > 1 && (gap < tt.least || gap > max(tt.least, lastPause, last/10)) {
						t.Errorf("a look %s after the one at %s", gap, last)
					}
					last = now
					return false, nil
				})
				if !errors.Is(err, errWaited) || looks > 80 {
					t.Errorf("%d looks, error %v", looks, err)
				}
			})
		})
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := wait{what: "rain", nudges: make(chan struct{})}.until(ctx, func() (bool, error) { return false, nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}
