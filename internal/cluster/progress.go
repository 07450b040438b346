package cluster

import (
	"fmt"
	"strings"
	"sync"

	kindlog "sigs.k8s.io/kind/pkg/log"
)

// progress turns kind's log lines into steps: kind shows a step as " • name ..." and its end as " ✓ name" or " ✗ name".
// Its warnings are dropped, since doctor says the same things with a remedy, and its errors come back from Create.
type progress struct {
	steps Steps
	mu    sync.Mutex
	end   func(err error, note string)
}

func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	mark, name, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch mark {
	case "•":
		p.finish(nil)
		p.end = p.steps.Start(plain(name))
	case "✓":
		p.finish(nil)
	case "✗":
		p.finish(fmt.Errorf("%s failed", plain(name)))
	}
}

func (p *progress) finish(err error) {
	if p.end != nil {
		p.end(err, "")
		p.end = nil
	}
}

// plain drops kind's dots and pictures.
func plain(name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r > 126 {
			return -1
		}
		return r
	}, name)
	return strings.TrimRight(ascii, " .")
}

func (p *progress) Warn(string)           {}
func (p *progress) Warnf(string, ...any)  {}
func (p *progress) Error(string)          {}
func (p *progress) Errorf(string, ...any) {}

func (p *progress) V(level kindlog.Level) kindlog.InfoLogger {
	if level > 0 {
		return kindlog.NoopInfoLogger{}
	}
	return steplog{p}
}

type steplog struct{ *progress }

func (l steplog) Info(message string)           { l.line(message) }
func (l steplog) Infof(format string, a ...any) { l.line(fmt.Sprintf(format, a...)) }
func (l steplog) Enabled() bool                 { return true }
