package term

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// screen is as much of a terminal as Live uses: it folds lines, and its cursor stops at the top.
type screen struct {
	t       *testing.T
	columns int
	cells   [][]rune
	x, y    int
	writes  int
}

var sequence = regexp.MustCompile(`^\x1b\[(\?2026[hl]|[0-9;]*[A-Za-z])`)

func (s *screen) Write(p []byte) (int, error) {
	s.writes++
	for text := string(p); text != ""; {
		if seq := sequence.FindString(text); seq != "" {
			s.obey(seq)
			text = text[len(seq):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			s.x = 0
		case '\n':
			s.y++
		default:
			if s.x == s.columns {
				s.x, s.y = 0, s.y+1
			}
			s.row(s.y)
			for len(s.cells[s.y]) <= s.x {
				s.cells[s.y] = append(s.cells[s.y], ' ')
			}
			s.cells[s.y][s.x] = r
			s.x++
		}
	}
	return len(p), nil
}

func (s *screen) row(y int) {
	for len(s.cells) <= y {
		s.cells = append(s.cells, nil)
	}
}

func (s *screen) obey(seq string) {
	s.row(s.y)
	switch verb := seq[len(seq)-1]; {
	case strings.HasPrefix(seq, "\x1b[?2026"), verb == 'm':
	case verb == 'A':
		n, _ := strconv.Atoi(seq[2 : len(seq)-1])
		s.y = max(0, s.y-n)
	case verb == 'K':
		s.cells[s.y] = s.cells[s.y][:min(min(s.x, s.columns-1), len(s.cells[s.y]))]
	case verb == 'J':
		s.cells[s.y] = s.cells[s.y][:min(s.x, len(s.cells[s.y]))]
		s.cells = s.cells[:s.y+1]
	default:
		s.t.Errorf("the terminal does not know %q", seq)
	}
}

// narrow folds what stands there, as terminals do.
func (s *screen) narrow(columns int) {
	var cells [][]rune
	for i, row := range s.cells {
		for len(row) > columns {
			cells, row = append(cells, row[:columns]), row[columns:]
		}
		if i == s.y {
			s.y = len(cells)
		}
		cells = append(cells, row)
	}
	s.cells, s.columns = cells, columns
}

func (s *screen) String() string {
	var b strings.Builder
	for _, row := range s.cells {
		b.WriteString(string(row) + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func live(t *testing.T, columns, rows int) (*Live, *screen) {
	t.Helper()
	s := &screen{t: t, columns: columns}
	l := (&IO{Out: s, OutView: View{Terminal: true, Width: columns}}).Live()
	l.size = func() (int, int) { return s.columns, rows }
	return l, s
}

func draw(t *testing.T, l *Live, text string) {
	t.Helper()
	if err := l.Draw(text); err != nil {
		t.Fatal(err)
	}
}

func TestLiveDrawsInPlace(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{80, 40, 12} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			t.Parallel()
			l, s := live(t, columns, 0)
			_, _ = fmt.Fprint(s, "$ watch\r\n")
			draw(t, l, "one\n  two "+strings.Repeat("long words ", 12)+"\nthree\n")
			draw(t, l, "one\n  \x1b[32mtwo\x1b[0m\n  more\nthree and more\n")
			draw(t, l, "one\n  two\nthree\n")
			if err := l.Close("one\n  two\n  done\n"); err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprint(s, "$ ")
			if diff := cmp.Diff("$ watch\none\n  two\n  done\n$ ", s.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLiveFoldsUnderTheIndent(t *testing.T) {
	t.Parallel()
	l, s := live(t, 21, 0)
	draw(t, l, "      no pod with labels app=web is running\nend")
	want := "      no pod with\n        labels\n        app=web is\n        running\nend"
	if diff := cmp.Diff(want, s.String()); diff != "" {
		t.Error(diff)
	}
	for _, row := range s.cells {
		if len(row) >= 21 {
			t.Errorf("%q fills the row", string(row))
		}
	}
}

func TestLiveWritesOnlyNews(t *testing.T) {
	t.Parallel()
	l, s := live(t, 80, 0)
	for range 3 {
		draw(t, l, "one\ntwo\n")
	}
	if s.writes != 1 {
		t.Errorf("%d writes for the same frame, want one", s.writes)
	}
}

// What has scrolled out of a terminal cannot be drawn again, so a frame is never higher than the window.
func TestLiveFitsTheWindow(t *testing.T) {
	t.Parallel()
	l, s := live(t, 80, 5)
	draw(t, l, "1\n2\n3\n4\n5\n6\nlast")
	if diff := cmp.Diff("1\n2\n  … 4 more lines\nlast", s.String()); diff != "" {
		t.Error(diff)
	}
	if err := l.Close("1\n2\n3\n4\n5\n6\nlast"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("1\n2\n3\n4\n5\n6\nlast", s.String()); diff != "" {
		t.Error("in the end all is shown:", diff)
	}
}

func TestLiveSurvivesANarrowerWindow(t *testing.T) {
	t.Parallel()
	l, s := live(t, 80, 0)
	_, _ = fmt.Fprint(s, "above\r\n")
	draw(t, l, strings.Repeat("word ", 14)+"\nend")
	s.narrow(30)
	draw(t, l, "short\nend")
	if diff := cmp.Diff("above\nshort\nend", s.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLiveReturnsTheStreamsError(t *testing.T) {
	t.Parallel()
	o := &IO{Out: broken{}, OutView: View{Terminal: true, Width: 80}}
	if err := o.Live().Draw("one"); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
	var out bytes.Buffer // no terminal knows its size
	if err := (&IO{Out: &out, OutView: View{Terminal: true, Width: 10}}).Live().Draw("one two three"); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("got %q, %v; want two rows of at most 10 columns", out.String(), err)
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }
