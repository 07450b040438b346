package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	// installs are commands that fetch by themselves.
	installs = regexp.MustCompile(`\b(?:(?:apt|apt-get|apk|yum|dnf|microdnf|zypper) (?:-\S+ )*(?:install|add|update|upgrade)` +
		`|pip3? (?:-\S+ )*(?:install|download)|npm (?:install|ci)|go (?:install|get)|gem install|cargo install|git clone` +
		`|helm (?:repo add|pull)|(?:docker|podman|ctr|crictl) (?:image |images )?pull)\b`)
	// fetches are commands that take a URL.
	fetches = regexp.MustCompile(`\b(?:curl|wget|kubectl)\b.*?\bhttps?://([^\s/:'"|;)]+)`)
	// fetchesBare are those whose URL may have no scheme.
	fetchesBare = regexp.MustCompile(`\b(?:curl|wget) (?:-\S+ )*([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:[/\s'"]|$)`)
	// outside is a name that the Internet's DNS might know. Names inside a cluster end in a Service or a namespace.
	outside = regexp.MustCompile(`\.(?:com|org|net|io|dev|sh|app|cloud|gov|edu|me|co|ai|info|xyz|de|uk|eu|us)$`)
)

// fetched is what a line of a shell would fetch from the outside, or "".
func fetched(line string) string {
	line, _, _ = strings.Cut(line, " #")
	line = strings.Join(strings.Fields(line), " ")
	if strings.HasPrefix(line, "#") {
		return ""
	}
	if command := installs.FindString(line); command != "" {
		return command
	}
	for _, pattern := range []*regexp.Regexp{fetches, fetchesBare} {
		for _, m := range pattern.FindAllStringSubmatch(line, -1) {
			if outside.MatchString(m[1]) {
				return m[1]
			}
		}
	}
	return ""
}

// downloads looks into scripts and into all that containers run.
func downloads(s *scene) []Finding {
	var found []Finding
	seen := map[string]bool{} // scripts that several answers run
	for _, p := range s.parts() {
		if !seen[p.path] {
			for i, line := range strings.Split(p.script, "\n") {
				if what := fetched(line); what != "" {
					found = append(found, Finding{File: p.path, Line: i + 1, Column: 1, Text: "a download: " + what})
				}
			}
		}
		seen[p.path] = true
		for _, o := range p.objects {
			o.walk(func(_ string, n node) { found = append(found, downloadsIn(n)...) })
		}
	}
	return slices.CompactFunc(found, func(a, b Finding) bool { return a == b })
}

// downloadsIn looks at a text of several lines, or at a command and its arguments.
func downloadsIn(n node) []Finding {
	if n.scalar() {
		var found []Finding
		for i, line := range strings.Split(n.text(), "\n") {
			if what := fetched(line); what != "" {
				f := n.says(fmt.Sprintf("a download: %s", what))
				f.Line, f.Column = n.line(i)
				found = append(found, f)
			}
		}
		return found
	}
	texts := n.texts()
	if slices.ContainsFunc(texts, func(t string) bool { return fetched(t) != "" || strings.Contains(t, "\n") }) {
		return nil // found in the text itself
	}
	if what := fetched(strings.Join(texts, " ")); what != "" {
		return []Finding{n.says("a download: " + what)}
	}
	return nil
}
