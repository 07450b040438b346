package lab

import (
	"fmt"
	"slices"
	"strings"
)

// A Problem is one fault of a lab, where its author finds it.
type Problem struct {
	File         string // relative to the root of the catalogue
	Line, Column int    // from 1; 0 when the file as a whole is meant
	Text         string // what is wrong, and what was expected
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Problems is every fault found, in the order of the files. It is an error: a
// bad lab is wrong use, never a grade.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// err sorts the problems by position and returns nil when there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return p
}
