package lab

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// mark begins the place of a parameter, which is ${params.NAME}.
const mark = "${params."

var place = regexp.MustCompile(`\$\{params\.([^\s{}"'$]*)(\}?)`)

// A filler puts values in the places of their parameters.
type filler struct{ values Values }

// fault is a place that nothing can be put in.
type fault struct {
	offset       int    // in the text, in bytes
	written, why string // the place as it is written, and what is wrong with it
}

// fill returns the text with the values in it, and the places that are no parameter's.
func (f filler) fill(text string) (string, []fault) {
	if !strings.Contains(text, mark) {
		return text, nil
	}
	var out strings.Builder
	var faults []fault
	end := 0
	for _, at := range place.FindAllStringSubmatchIndex(text, -1) {
		written, name, closed := text[at[0]:at[1]], text[at[2]:at[3]], at[4] < at[5]
		value, known := f.values[name]
		switch {
		case !closed || !dnsLabel.MatchString(name):
			faults = append(faults, fault{at[0], written, fmt.Sprintf("expected ${params.NAME}, found %q", short(written))})
		case !known:
			faults = append(faults, fault{at[0], written, f.unknown(name)})
		default:
			out.WriteString(text[end:at[0]] + value)
			end = at[1]
		}
	}
	return out.String() + text[end:], faults
}

func (f filler) unknown(name string) string {
	if len(f.values) == 0 {
		return fmt.Sprintf("unknown parameter %q: the lab has no spec.params", short(name))
	}
	return fmt.Sprintf("unknown parameter %q, expected one of %s", short(name), strings.Join(slices.Sorted(maps.Keys(f.values)), ", "))
}

// short cuts what is quoted in a problem to what can be read.
func short(written string) string {
	const most = 40
	if utf8.RuneCountInString(written) <= most {
		return written
	}
	return string([]rune(written)[:most]) + "…"
}

// fillText fills in a whole file.
func (f filler) fillText(file, text string) (string, Problems) {
	filled, faults := f.fill(text)
	if faults == nil {
		return filled, nil
	}
	source := newSource(file, text)
	var problems Problems
	for _, one := range faults {
		problems = append(problems, source.problem(one.offset, one.why))
	}
	return filled, problems
}

// fillYAML fills in the scalars of a tree that was read from source. The source is where a fault's exact place is
// looked up: a scalar knows only where it begins.
func (f filler) fillYAML(n Node, s *source) Problems {
	var problems Problems
	if n.yaml.Kind == yaml.ScalarNode && strings.Contains(n.yaml.Value, mark) {
		filled, faults := f.fill(n.yaml.Value)
		// An escape in quotes is up to ten times as long as what it stands for.
		from := s.offset(n.yaml.Line, n.yaml.Column)
		to := min(len(s.text), from+10*len(n.yaml.Value)+1000)
		for _, one := range faults {
			p := n.Problem("%s", one.why)
			if i := strings.Index(s.text[from:to], one.written); i >= 0 {
				p = s.problem(from+i, one.why)
				from += i + len(one.written)
			}
			problems = append(problems, p)
		}
		n.yaml.Value, n.yaml.Tag = filled, filledTag
	}
	for _, child := range n.yaml.Content {
		problems = append(problems, f.fillYAML(Node{n.File, child}, s)...)
	}
	return problems
}

// A source is the text of a file, whose places have numbers.
type source struct {
	file, text string
	lines      []int // where each begins
}

func newSource(file, text string) *source {
	s := &source{file: file, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// problem is a problem at an offset, in bytes.
func (s *source) problem(offset int, why string) Problem {
	line, exact := slices.BinarySearch(s.lines, offset)
	if !exact {
		line-- // the offset is within the line before
	}
	column := utf8.RuneCountInString(s.text[s.lines[line]:offset])
	return Problem{File: s.file, Line: line + 1, Column: column + 1, Text: why}
}

// offset is the offset of a line and a column, both from 1, and the text's end when there is no such line.
func (s *source) offset(line, column int) int {
	if line < 1 || line > len(s.lines) {
		return len(s.text)
	}
	offset := s.lines[line-1]
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(s.text[offset:])
		offset += size
	}
	return offset
}
