package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kindlab-dev/kindlab/internal/nearest"
)

// longest is how many characters of somebody else's message are repeated.
const longest = 200

// short makes one printable line of a message that the cluster or a container wrote.
func short(message string) string {
	line := []rune(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.TrimSpace(message)))
	if len(line) > longest {
		line = append(line[:longest-1], '…')
	}
	return strings.TrimSpace(strings.TrimSuffix(string(line), "."))
}

// and joins "a", "a and b", "a, b and c". Of many, the first are named and the rest are counted.
func and(names ...string) string {
	const most = 4
	if n := len(names); n > most {
		names = append(slices.Clone(names[:most-1]), fmt.Sprintf("%d more", n-most+1))
	}
	if len(names) == 0 {
		return "none"
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// many is "Pod a" or "Pods a and b".
func many(kind string, names ...string) string {
	if len(names) > 1 {
		kind = plural(kind)
	}
	return kind + " " + and(names...)
}

func plural(kind string) string {
	switch {
	case strings.HasSuffix(kind, "y"):
		return strings.TrimSuffix(kind, "y") + "ies"
	case strings.HasSuffix(kind, "s"):
		return kind + "es"
	}
	return kind + "s"
}

// count is "1 node" or "3 nodes".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %s", n, plural(noun))
}

// verb is its form for one subject, or for more.
func verb(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

func names[T any, P interface {
	*T
	GetName() string
}](objects []T) []string {
	all := make([]string, len(objects))
	for i := range objects {
		all[i] = P(&objects[i]).GetName()
	}
	slices.Sort(all)
	return all
}

// named returns the object of that name, or nil.
func named[T any, P interface {
	*T
	GetName() string
}](objects []T, name string) *T {
	for i := range objects {
		if P(&objects[i]).GetName() == name {
			return &objects[i]
		}
	}
	return nil
}

// podsIn names pods that all stand in one namespace.
func podsIn(list []corev1.Pod) string { return many("Pod", names(list)...) }

// instead says what is there when the wanted name is not: the one that looks most like it, or the few that are.
func instead(want string, have []string) string {
	if near := nearest.Of(want, have); near != "" {
		return "; there is " + near
	}
	switch n := len(have); {
	case n == 0:
		return "; there is none"
	case n <= 4:
		return "; there " + verb(n, "is ", "are ") + and(have...)
	}
	return ""
}

// selector writes labels as kubectl takes them with -l.
func selector(set map[string]string) string { return labels.FormatLabels(set) }

// unlike returns the labels that pods have where the selector wants others: those of the pods that come nearest.
func unlike(want map[string]string, pods []corev1.Pod) []string {
	var closest []string
	least := -1
	for i := range pods {
		cost, found := 0, []string(nil)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			c, label := differs(key, want[key], pods[i].Labels)
			cost += c
			if label != "" {
				found = append(found, label)
			}
		}
		switch {
		case len(found) == 0:
		case least < 0 || cost < least:
			closest, least = found, cost
		case cost == least:
			closest = append(closest, found...)
		}
	}
	slices.Sort(closest)
	return slices.Compact(closest)
}

// differs returns how far the labels are from having the wanted one, and the label that stands in its place.
func differs(key, value string, have map[string]string) (cost int, label string) {
	const none = 12
	switch v, ok := have[key]; {
	case ok && v == value:
		return 0, ""
	case ok:
		return min(nearest.Distance(v, value), none-1), key + "=" + v
	}
	near := ""
	for other, v := range have {
		if v == value && (near == "" || cmp.Less(other, near)) {
			near = other
		}
	}
	if near != "" {
		return 3, near + "=" + value
	}
	if near = nearest.Of(key, slices.Collect(maps.Keys(have))); near != "" {
		return none - 1, near + "=" + have[near]
	}
	return none, ""
}
