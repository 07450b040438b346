package check

import (
	"net/http"
	"sync"
	"time"
)

// Clock is the API server's clock, as its answers tell it: each has a Date header (RFC 9110, 6.6.1), in whole seconds.
// The objects' timestamps are that clock's, so their age is never taken from this machine's alone: the two may be
// minutes apart on a cluster of others. A nil Clock, and one that has heard no answer, agrees with this machine.
// It is safe for concurrent use.
type Clock struct {
	mu        sync.Mutex
	heard     bool
	low, high time.Duration // what the server's clock is ahead of this machine's, at least and at most
}

// listen has the clock learn from the answers that come through next.
func (k *Clock) listen(next http.RoundTripper) http.RoundTripper { return &listener{k, next} }

type listener struct {
	clock *Clock
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		l.clock.learn(date, asked, time.Now())
	}
	return resp, nil
}

// learn narrows the difference down: at some moment between asking and the answer the server's clock showed date, cut
// to a second. What contradicts all that was known means that one of the clocks was set, and counts alone.
func (k *Clock) learn(date, asked, answered time.Time) {
	low, high := date.Sub(answered.Round(0)), date.Add(time.Second).Sub(asked.Round(0))
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.heard && low <= k.high && high >= k.low {
		low, high = max(low, k.low), min(high, k.high)
	}
	k.heard, k.low, k.high = true, low, high
}

// ahead is what the server's clock is ahead of this machine's; zero where they may be the same.
func (k *Clock) ahead() time.Duration {
	if k == nil {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.heard || k.low <= 0 && k.high >= 0 {
		return 0
	}
	return k.low + (k.high-k.low)/2
}

// Now is the time by the server's clock.
func (k *Clock) Now() time.Time { return time.Now().Add(k.ahead()) }

// Since is how long ago the server's timestamp t was.
func (k *Clock) Since(t time.Time) time.Duration { return time.Since(k.Here(t)) }

// Here is the server's timestamp t by this machine's clock. No time stays no time.
func (k *Clock) Here(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-k.ahead())
}
