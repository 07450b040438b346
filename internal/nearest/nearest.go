// Package nearest finds the word that was meant by one that is not there.
package nearest

import (
	"slices"
	"strings"
)

// Of returns the one of have that a typing error, or a part that was left out or put on, could have made of want. It is ""
// when none looks like it. Of several that are equally near, the first in the alphabet is taken.
func Of(want string, have []string) string {
	best, least, exact := "", 2+len(want)/4, 0
	for _, name := range slices.Sorted(slices.Values(have)) {
		d := Distance(want, name)
		cost := d
		// A part that was left out or put on is one mistake, however long it is.
		if min(len(name), len(want)) > 2 && (strings.Contains(name, want) || strings.Contains(want, name)) {
			cost = min(d, 1)
		}
		if cost < least || cost == least && best != "" && d < exact {
			best, least, exact = name, cost, d
		}
	}
	return best
}

// Distance is how many bytes must be changed, added, removed or swapped with their neighbour to make b of a.
func Distance(a, b string) int {
	var before, last []int // the rows above, for a without its last two bytes and without its last one
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
