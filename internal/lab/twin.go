package lab

import (
	"fmt"
	"regexp"
	"slices"
)

// moved is how the words of a twin differ from its lab's.
type moved struct {
	namespaces []string
	suffix     string
}

// word is what a namespace's name may be a part of, or be.
var word = regexp.MustCompile(`[A-Za-z0-9_-]+`)

func (m moved) text(text string) string {
	if m.suffix == "" {
		return text
	}
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if slices.Contains(m.namespaces, w) {
			return w + m.suffix
		}
		return w
	})
}

// Twin is the same lab in namespaces of its own, so that a cluster can hold both: in its name, and in every word of its
// files that is one of its namespaces, shop becomes shop-twin-2 when n is 2. What an author called like a namespace is
// renamed too, so that a twin is as good as its lab has to be shown. A lab that changes what lies outside of its
// namespaces has no twin.
func (l *Lab) Twin(n int, validators ...Validator) (*Lab, error) {
	if len(l.Touches) > 0 {
		return nil, fmt.Errorf("lab %s has no twin: it changes %s, which is there once", l.Name, l.Touches[0].long())
	}
	twin := &Lab{fsys: l.fsys, dir: l.dir, moved: moved{l.Namespaces, fmt.Sprintf("-twin-%d", n)}}
	if err := twin.load(l.Values, validators); err != nil {
		return nil, fmt.Errorf("making a twin of lab %s: %w", l.Name, err)
	}
	twin.Name, twin.ID, twin.Folder = l.Name+twin.moved.suffix, l.ID+twin.moved.suffix, l.Folder
	return twin, nil
}

// Moved is a text of the lab as its twin has it. For a lab that is no twin it is the text itself.
func (l *Lab) Moved(text string) string { return l.moved.text(text) }
