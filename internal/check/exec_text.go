package check

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// words is what a text must be like, as lab.yaml writes it.
type words struct {
	Contains string `yaml:"contains" doc:"these words, anywhere"`
	Equals   string `yaml:"equals" doc:"exactly these words; blanks around them do not count"`
	Matches  string `yaml:"matches" doc:"a regular expression (RE2) that is found anywhere; (?m) lets ^ and $ match at lines"`
}

func (t words) compile(n lab.Node) (*matcher, lab.Problems) {
	given := 0
	for _, s := range []string{t.Contains, t.Equals, t.Matches} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		return nil, lab.Problems{n.Problem("expected one of contains, equals and matches")}
	}
	m := &matcher{words: t}
	if t.Matches != "" {
		re, problems := pattern(t.Matches, n.Field("matches"))
		if problems != nil {
			return nil, problems
		}
		m.re = re
	}
	return m, nil
}

func pattern(expr string, n lab.Node) (*regexp.Regexp, lab.Problems) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, lab.Problems{n.Problem("expected a regular expression: %v", err)}
	}
	return re, nil
}

// matcher is words that can be compared with.
type matcher struct {
	words
	re *regexp.Regexp
}

func (m *matcher) matches(s string) bool {
	switch {
	case m.re != nil:
		return m.re.MatchString(s)
	case m.Equals != "":
		return strings.TrimSpace(s) == strings.TrimSpace(m.Equals)
	default:
		return strings.Contains(s, m.Contains)
	}
}

// String continues "a body that".
func (m *matcher) String() string {
	switch {
	case m.re != nil:
		return fmt.Sprintf("matches %s", m.Matches)
	case m.Equals != "":
		return fmt.Sprintf("is %q", m.Equals)
	default:
		return fmt.Sprintf("contains %q", m.Contains)
	}
}

// printable is text that cannot drive the learner's terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
}

// brief is the beginning of a text, in one line.
func brief(s string) string {
	const most = 100
	s = strings.Join(strings.Fields(printable(s)), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

// lastLines are what is shown of a long output.
func lastLines(s string) []string {
	const most = 8
	s = strings.TrimSpace(printable(s))
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	for i, l := range lines {
		if r := []rune(l); len(r) > 160 {
			lines[i] = string(r[:160]) + "…"
		}
	}
	return lines
}
