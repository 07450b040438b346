package cli

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/lab"
)

// An answer to a task that asks nothing would be kept for nobody.
func TestWhichTasksAsk(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: kindlab.dev/v1\nkind: Lab\nmetadata: {name: one, topic: basics}\nspec:\n  title: One\n  level: beginner\n" +
		"  minutes: 5\n  namespaces: [shop]\n  setup: {apply: setup/}\n  tasks:\n"
	tasks := []string{
		"{name: plain, title: a, checks: [{answer: {equals: a}}]}",
		"{name: looks, title: b, checks: [{object: {kind: Service, name: web}}]}",
		"{name: nested, title: c, checks: [{object: {kind: Pod, any: true}}, {any: [{object: {kind: Pod, any: true}}, {answer: {equals: a}}]}]}",
		"{name: deep, title: d, checks: [{all: {says: x, checks: [{any: [{answer: {equals: a}}]}]}}]}",
	}
	text := head + "  - " + strings.Join(tasks, "\n  - ") + "\n  solutions: [{title: a, apply: a.yaml}]\n  mistakes: [{title: b, apply: b.yaml, fails: [plain], says: b, tell: b}]\n"
	labs, err := lab.Catalogue(fstest.MapFS{"basics/one/lab.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"plain", "nested", "deep"}, askingTasks(labs[0])); diff != "" {
		t.Error(diff)
	}
}
