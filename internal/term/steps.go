package term

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	frames    = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
	frameTime = 100 * time.Millisecond
	eraseLine = "\r\x1b[K"
	// worthSaying is the shortest time that tells a reader anything.
	worthSaying = 100 * time.Millisecond
)

// Steps shows the steps of something long as they start and end: with a spinner where a person watches, and as
// plain lines elsewhere. Steps may overlap. It is safe for concurrent use.
type Steps struct {
	w         io.Writer
	view      View
	traceless bool // an ended step leaves no line behind

	mu     sync.Mutex
	active []*step
	stop   chan struct{} // ends the spinner; nil while none runs
	frame  int
}

type step struct {
	name  string
	start time.Time
}

// Steps returns a view of progress on the error stream.
func (o *IO) Steps() *Steps {
	return &Steps{w: o.Err, view: o.ErrView}
}

// Waiting shows on a terminal what is waited for, until done is called; then nothing of it is left. Elsewhere it shows
// nothing.
func (o *IO) Waiting(name string) (done func()) {
	if !o.ErrView.Terminal {
		return func() {}
	}
	s := o.Steps()
	s.traceless = true
	end := s.Start(name)
	return func() { end(nil, "") }
}

// Start shows that a step has begun, and returns what ends it: with an error or nil, and a word on how it went
// ("cached"), which may be empty. The error itself is not shown; whoever returns it is.
func (s *Steps) Start(name string) (end func(err error, note string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := &step{name: name, start: time.Now()}
	s.active = append(s.active, begun)
	if !s.view.Terminal {
		s.printf("  • %s …\n", name)
	} else {
		if s.stop == nil {
			s.stop = make(chan struct{})
			go s.spin(s.stop)
		}
		s.draw()
	}
	var once sync.Once
	return func(err error, note string) { once.Do(func() { s.end(begun, err, note) }) }
}

func (s *Steps) end(ended *step, err error, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = slices.DeleteFunc(s.active, func(x *step) bool { return x == ended })
	if s.view.Terminal {
		s.printf(eraseLine)
	}
	if !s.traceless {
		s.printf("  %s %s%s\n", s.mark(err), ended.name, s.view.Paint(Faint, details(time.Since(ended.start), note)))
	}
	switch {
	case s.stop == nil:
	case len(s.active) == 0:
		close(s.stop)
		s.stop = nil
	default:
		s.draw()
	}
}

func (s *Steps) mark(err error) string {
	switch {
	case err == nil:
		return s.view.Paint(Green, "✓")
	case errors.Is(err, context.Canceled):
		return s.view.Paint(Yellow, "-")
	default:
		return s.view.Paint(Red, "✗")
	}
}

func details(elapsed time.Duration, note string) string {
	var s string
	if elapsed >= worthSaying {
		s = "  " + Elapsed(elapsed)
	}
	if note != "" {
		s += "  (" + note + ")"
	}
	return s
}

// Elapsed writes a duration as people say it: tenths below a minute, then minutes and seconds.
func Elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
}

func (s *Steps) spin(stop <-chan struct{}) {
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.mu.Lock()
			if len(s.active) > 0 {
				s.frame++
				s.draw()
			}
			s.mu.Unlock()
		}
	}
}

// draw shows the step that began last; a line longer than the terminal would wrap and could not be erased.
func (s *Steps) draw() {
	last := s.active[len(s.active)-1]
	all := []rune(frames)
	line := []rune(fmt.Sprintf("%s  %s", last.name, Elapsed(time.Since(last.start))))
	if room := s.view.Width - 5; room > 0 && len(line) > room {
		line = append(line[:room-1], '…')
	}
	s.printf("%s  %s %s", eraseLine, s.view.Paint(Cyan, string(all[s.frame%len(all)])), string(line))
}

// printf shows progress; that it cannot be shown is no reason to stop the work.
func (s *Steps) printf(format string, a ...any) {
	_, _ = fmt.Fprintf(s.w, format, a...)
}
