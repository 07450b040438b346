package check

import (
	"fmt"
	"strings"
	"text/tabwriter"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// phrase is the action in words.
func phrase(a authorizationv1.ResourceAttributes) string {
	text := a.Verb + " " + a.Resource
	if a.Subresource != "" {
		text += "/" + a.Subresource
	}
	if a.Name != "" {
		text += " " + a.Name
	}
	if a.Namespace != "" {
		text += " in namespace " + a.Namespace
	}
	return text
}

// canI is the command that asks the same.
func canI(who subject, a authorizationv1.ResourceAttributes) string {
	resource := a.Resource
	if a.Group != "" {
		resource += "." + a.Group
	}
	if a.Name != "" {
		resource += "/" + a.Name
	}
	cmd := fmt.Sprintf("auth can-i %s %s --as=%s", quoted(a.Verb), quoted(resource), who.User)
	if a.Subresource != "" {
		cmd += " --subresource=" + a.Subresource
	}
	if who.account == "" {
		cmd += " --as-group=" + strings.Join(who.Groups, " --as-group=")
	}
	if a.Namespace == "" {
		return "kubectl " + cmd + " -A"
	}
	return "kubectl -n " + a.Namespace + " " + cmd
}

// quoted keeps a shell from expanding a star.
func quoted(word string) string {
	if strings.Contains(word, "*") {
		return "'" + word + "'"
	}
	return word
}

// draw lays the table out with what was found; wrong cells say what was wanted.
func (c can) draw(found map[[2]string]bool) []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	word := map[bool]string{true: "allow", false: "deny"}
	_, _ = fmt.Fprintln(w, "\t"+strings.Join(c.table.columns, "\t"))
	for _, row := range c.table.rows {
		cells := []string{row}
		for _, column := range c.table.columns {
			key := [2]string{row, column}
			want, asked := c.table.allow[key]
			switch {
			case !asked:
				cells = append(cells, "-")
			case found[key] != want:
				cells = append(cells, word[found[key]]+", want "+word[want])
			default:
				cells = append(cells, word[want])
			}
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}
