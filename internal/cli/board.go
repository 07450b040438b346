package cli

import (
	"strings"
	"sync"
	"time"

	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/report"
	"github.com/kindlab-dev/kindlab/internal/term"
)

// news is how long a change is pointed out.
const news = 5 * time.Second

// board is the report of a watched lab, drawn in place.
type board struct {
	io    *term.IO
	live  *term.Live
	now   func() time.Time
	begin time.Time
	stop  chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	report  report.Report
	changed map[string]time.Time // by task
	err     error
}

func newBoard(o *term.IO, l *lab.Lab, now func() time.Time) *board {
	b := &board{
		io: o, live: o.Live(), now: now, begin: now(), stop: make(chan struct{}),
		report: report.Report{Lab: l.Name, Title: l.Title}, changed: map[string]time.Time{},
	}
	b.draw()
	b.ended.Go(b.tick)
	return b
}

// tick draws the time that passes.
func (b *board) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-t.C:
			b.draw()
		}
	}
}

func (b *board) change(c report.Change) error {
	b.mu.Lock()
	first := len(b.report.Tasks) == 0
	b.report = c.Report
	for _, id := range c.Changed {
		if !first { // at first everything is new
			b.changed[id] = b.now()
		}
	}
	b.mu.Unlock()
	b.draw()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *board) draw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.live.Draw(b.frame()); b.err == nil {
		b.err = err
	}
}

// frame is the report, with what is new in it, and how long it is being watched.
func (b *board) frame() string {
	if len(b.report.Tasks) == 0 {
		return b.io.OutView.Paint(term.Bold, b.report.Lab) + "  " + b.report.Title + "\n\nlooking … (Ctrl-C ends)\n"
	}
	style := report.Style{Terminal: true, Color: b.io.OutView.Color, Notes: map[string]string{}}
	for id, at := range b.changed {
		if b.now().Sub(at) < news {
			style.Notes[id] = "just now"
		}
	}
	return b.text(style, ", watching for "+b.now().Sub(b.begin).Truncate(time.Second).String()+" (Ctrl-C ends)")
}

// text is the report with another end than the time that grading took.
func (b *board) text(style report.Style, end string) string {
	var text strings.Builder
	if err := report.Human.Write(&text, b.report, style); err != nil {
		return err.Error() // a Builder takes everything
	}
	body := strings.TrimRight(text.String(), "\n")
	return body[:strings.LastIndex(body, "\n")+1] + b.report.Summary() + end + "\n"
}

// close leaves the last report on the screen.
func (b *board) close() {
	close(b.stop)
	b.ended.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	end := ""
	if len(b.report.Tasks) > 0 {
		end = b.text(report.Style{Terminal: true, Color: b.io.OutView.Color}, ", in "+term.Elapsed(b.now().Sub(b.begin)))
	}
	_ = b.live.Close(end) // the last words; nobody is there to be told that they were not heard
}
