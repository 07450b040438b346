package lab

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const good = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: one, topic: basics}
spec:
  title: One
  level: beginner
  minutes: 5
  namespaces: [shop]
  setup: {apply: setup, ready: [deployment/web, shop/pod/db]}
  tasks:
  - name: first
    title: The first
    points: 2
    checks:
    - look: {at: web}
  - name: second
    title: The second
    after: [first]
    checks:
    - look: {at: db}
  solutions:
  - {title: A, apply: solutions/a.yaml}
  - {title: B, apply: solutions/b.yaml, delete: [service/web]}
  mistakes:
  - {title: C, apply: mistakes/c.yaml, fails: [first], says: no}
  - {title: D, apply: mistakes/c.yaml, fails: [first, second], says: no}
  - {title: E, apply: mistakes/c.yaml, fails: [second], says: no}
`

const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"

const hints = "a\n---\nb\n---\nc\n"

// folder is a lab's folder with changes: an empty content removes the file.
func folder(changes map[string]string) fstest.MapFS {
	files := map[string]string{
		"lab.yaml": good, "README.md": "Story", "debrief.md": "Debrief",
		"hints/first.md": hints, "hints/second.md": hints,
		"setup/web.yaml": object, "setup/notes.txt": "not a manifest",
		"solutions/a.yaml": object, "solutions/b.yaml": object, "mistakes/c.yaml": object,
	}
	maps.Copy(files, changes)
	fsys := fstest.MapFS{}
	for name, text := range files {
		if text != "" {
			fsys["basics/one/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return fsys
}

func TestALabMayTellWhatItAnswers(t *testing.T) {
	t.Parallel()
	told := strings.Replace(good, "  level:", "  answers: [\"Who is one?\"]\n  level:", 1)
	l, err := Load(folder(map[string]string{"lab.yaml": told}), "basics/one")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Who is one?"}, l.Answers); diff != "" {
		t.Error(diff)
	}
}

func TestLoadReadsAGoodLab(t *testing.T) {
	t.Parallel()
	l, err := Load(folder(nil), "basics/one")
	if err != nil {
		t.Fatal(err)
	}
	if l.Name != "basics/one" || l.MaxPoints() != 3 || len(l.Solutions) != 2 || len(l.Mistakes) != 3 {
		t.Errorf("read %+v", l)
	}
	if diff := cmp.Diff([]Ref{{"", "deployment", "web"}, {"shop", "pod", "db"}}, l.Setup.Ready); diff != "" {
		t.Error(diff)
	}
	got, err := l.Hints("first")
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	files, err := l.Files("setup")
	if diff := cmp.Diff([]File{{"setup/web.yaml", object}}, files); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if second, ok := l.Task("second"); !ok || second.Points != 1 {
		t.Errorf("task second is %+v, want one point as its default", second)
	}
}

func TestLoadReportsProblemsAtTheirPlace(t *testing.T) {
	t.Parallel()
	edit := func(old, text string) map[string]string {
		return map[string]string{"lab.yaml": strings.Replace(good, old, text, 1)}
	}
	with := func(name, text string, changes map[string]string) map[string]string {
		changes[name] = text
		return changes
	}
	tests := []struct {
		name    string
		changes map[string]string
		want    string
	}{
		{"no lab.yaml", map[string]string{"lab.yaml": ""}, "lab.yaml: no such file: a lab is a folder with a lab.yaml"},
		{"empty", map[string]string{"lab.yaml": "# nothing\n"}, "lab.yaml:1:1: empty: expected apiVersion: kindlab.dev/v1"},
		{"no YAML", edit("title: One", "title: [One"), "lab.yaml:5:1: did not find expected ',' or ']'"},
		{"two documents", map[string]string{"lab.yaml": good + "---\na: b\n"}, "lab.yaml:28:1: expected one YAML document, found more"},
		{"another version", edit("dev/v1", "dev/v2"), `lab.yaml:1:13: expected kindlab.dev/v1, found "kindlab.dev/v2"`},
		{"another kind", edit("kind: Lab", "kind: Exam"), `lab.yaml:2:7: expected Lab, found "Exam"`},
		{"another folder's name", edit("name: one", "name: two"), `lab.yaml:3:18: expected "one" as the folder is called, found "two"`},
		{"unknown key", edit("  minutes: 5", "  minutes: 5\n  hours: 1"), `lab.yaml:8:3: unknown key "hours", expected one of answers, exceptions, level, minutes, mistakes, namespaces, needs, params, ` +
			"safeguards, setup, solutions, tasks, title, touches"},
		{"key twice", edit("  minutes: 5", "  minutes: 5\n  minutes: 6"), `lab.yaml:8:3: key "minutes" is given twice`},
		{"missing key", edit("  minutes: 5\n", ""), `lab.yaml:5:3: missing key "minutes"`},
		{"string for number", edit("minutes: 5", "minutes: five"), `lab.yaml:7:12: expected a whole number, found "five"`},
		{"number for string", edit("title: One", "title: 1"), `lab.yaml:5:10: expected a string, found "1"`},
		{"null", edit("title: One", "title:"), `lab.yaml:5:9: expected a string, found nothing`},
		{"string for list", edit("[shop]", "shop"), `lab.yaml:8:15: expected a list, found "shop"`},
		{"list for map", edit("setup: {apply: setup, ready: [deployment/web, shop/pod/db]}", "setup: [setup]"), `lab.yaml:9:10: expected a map with apply, ready, run, found a list`},
		{"an alias", edit("namespaces: [shop]", "namespaces: [&a shop, *a]"), "lab.yaml:8:16: expected a plain value: anchors and aliases are not used in labs\n" +
			"lab.yaml:8:25: expected a plain value: anchors and aliases are not used in labs"},
		{"too long", edit("minutes: 5", "minutes: 500"), "lab.yaml:7:12: expected minutes from 1 to 120, found 500"},
		{"unknown level", edit("level: beginner", "level: easy"), `lab.yaml:6:10: expected one of beginner, intermediate, advanced, found "easy"`},
		{"foreign namespace", edit("[shop]", "[shop, kube-system]"), "lab.yaml:8:22: a lab cannot own the namespace kube-system"},
		{"foreign namespace of the storage", edit("[shop]", "[shop, local-path-storage]"), "lab.yaml:8:22: a lab cannot own the namespace local-path-storage"},
		{"foreign namespace of kindlab", edit("[shop]", "[shop, kindlab]"), "lab.yaml:8:22: a lab cannot own the namespace kindlab"},
		{"bad object", edit("deployment/web", "web"), `lab.yaml:9:33: expected an object such as deployment/web or shop/deployment/web, found "web"`},
		{"check with two kinds", edit("look: {at: web}", "{look: {}, see: {}}"), "lab.yaml:15:7: expected a map with one key, the kind of the check"},
		{"task twice", edit("name: second", "name: first"), "lab.yaml:16:11: task \"first\" is there twice\n" +
			`lab.yaml:26:55: expected a task of this lab or the word safeguards, found "second"` + "\n" +
			`lab.yaml:27:48: expected a task of this lab or the word safeguards, found "second"`},
		{"after a later task", edit("after: [first]", "after: [third]"), `lab.yaml:18:13: expected an earlier task, found "third"`},
		{"mistake of no task", edit("fails: [first],", "fails: [third],"), `lab.yaml:25:48: expected a task of this lab or the word safeguards, found "third"`},
		{"one solution", edit("  - {title: A, apply: solutions/a.yaml}\n", ""), "lab.yaml:22:3: expected at least 2 solutions, found 1"},
		{"missing manifest", edit("solutions/a.yaml", "solutions/z.yaml"), "lab.yaml:22:23: no such file or folder: solutions/z.yaml"},
		{"path out", edit("solutions/a.yaml", "../two/a.yaml"), `lab.yaml:22:23: expected a path inside the lab's folder, found "../two/a.yaml"`},
		{"absolute path", edit("solutions/a.yaml", "/etc/passwd"), `lab.yaml:22:23: expected a path inside the lab's folder, found "/etc/passwd"`},
		{"an anchor on a list that is checked later", edit("tasks:", "tasks: &a"), "lab.yaml:10:10: expected a plain value: anchors and aliases are not used in labs"},
		{"a list without end", edit("  minutes: 5", "  minutes: 5\n  needs: [a"+strings.Repeat(",a", 200_000)+"]"), "lab.yaml:8:10: expected at most 1000 entries"},
		{"a map without end", edit("{at: web}", "{at: web"+strings.Repeat(", a: 1", 1000)+"}"), "lab.yaml:15:13: expected at most 1000 entries"},
		{"a key that is a list", edit("  minutes: 5", "  minutes: 5\n  [a]: 1"), "lab.yaml:8:3: expected a word as the key"},
		{"another way to write a number", edit("minutes: 5", "minutes: 0x5"), `lab.yaml:7:12: expected a whole number, found "0x5"`},
		{"an octal number", edit("minutes: 5", "minutes: 010"), `lab.yaml:7:12: expected a whole number, found "010"`},
		{"another topic's folder", edit("topic: basics", "topic: extras"), `lab.yaml:3:30: expected "basics" as the folder is called, found "extras"`},
		{"a title without words", edit("title: The first", `title: " "`), "lab.yaml:12:12: expected some text for title, found nothing"},
		{"a name with a gap", edit("name: second", "name: the second"), "lab.yaml:16:11: expected lower case letters, digits and dashes, found \"the second\"\n" +
			`lab.yaml:26:55: expected a task of this lab or the word safeguards, found "second"` + "\n" +
			`lab.yaml:27:48: expected a task of this lab or the word safeguards, found "second"`},
		{"no points", edit("points: 2", "points: 0"), "lab.yaml:13:13: expected points from 1 to 100, found 0"},
		{"no namespace", edit("namespaces: [shop]", "namespaces: []"), "lab.yaml:8:15: expected namespaces to hold at least one, found none\n" +
			"lab.yaml:9:49: namespace shop is not one of the lab's"},
		{"a namespace twice", edit("[shop]", "[shop, shop]"), "lab.yaml:8:22: namespace shop is there twice"},
		{"no check", edit("    checks:\n    - look: {at: web}", "    checks: []"), "lab.yaml:14:13: expected checks to hold at least one, found none"},
		{"a mistake that fails nothing", edit("fails: [second],", "fails: [],"), "lab.yaml:27:47: expected fails to hold at least one, found none"},
		{"a mistake without safeguards", edit("fails: [second],", "fails: [safeguards],"), "lab.yaml:27:48: the lab has no safeguards that could fail"},
		{"a task called safeguards", edit("name: first", "name: safeguards"), "hints/safeguards.md: no such file, expected text for the learner\n" +
			"lab.yaml:11:11: no task can be called safeguards: mistakes mean the lab's safeguards by it\n" +
			`lab.yaml:18:13: expected an earlier task, found "first"` + "\n" +
			`lab.yaml:25:48: expected a task of this lab or the word safeguards, found "first"` + "\n" +
			`lab.yaml:26:48: expected a task of this lab or the word safeguards, found "first"`},
		{"a solution that does nothing", edit("{title: A, apply: solutions/a.yaml}", "{title: A}"), "lab.yaml:22:5: expected apply, run or delete: it does nothing"},
		{"a mistake that does nothing", edit("{title: C, apply: mistakes/c.yaml, ", "{title: C, "), "lab.yaml:25:5: expected apply, run or delete: it does nothing"},
		{"an object in capitals", edit("deployment/web", "Deployment/web"), `lab.yaml:9:33: expected an object such as deployment/web or shop/deployment/web, found "Deployment/web"`},
		{
			"excused twice and for nothing", edit("  tasks:", "  exceptions: [{from: a, because: b}, {from: a, because: b}, {from: c}]\n  tasks:"),
			"lab.yaml:10:46: \"a\" is excused twice\nlab.yaml:10:62: missing key \"because\"",
		},
		{"nothing that gets ready", edit("deployment/web", "service/web"), "lab.yaml:9:33: expected a workload to wait for, one of daemonset, deployment, pod, statefulset, found service"},
		{"ready elsewhere", edit("shop/pod/db", "bank/pod/db"), "lab.yaml:9:49: namespace bank is not one of the lab's"},
		{"deleted elsewhere", edit("[service/web]", "[bank/service/web]"), "lab.yaml:23:50: namespace bank is not one of the lab's; what else it changes stands in spec.touches: bank/service/web"},
		{"every node deleted", edit("[service/web]", "[node/*]"), "lab.yaml:23:50: expected one object, found node/*"},
		{
			"its own touched", edit("  tasks:", "  touches: [shop/configmap/x, configmap/y]\n  tasks:"),
			"lab.yaml:10:13: namespace shop is the lab's own: a reset brings back all that is in it\n" +
				"lab.yaml:10:31: expected a namespace, as in kube-system/configmap/y, or a kind that has none: " + strings.Join(clusterScoped(), ", "),
		},
		{
			"every configmap touched", edit("  tasks:", "  touches: [kube-system/configmap/*]\n  tasks:"),
			`lab.yaml:10:13: expected an object such as deployment/web or shop/deployment/web, found "kube-system/configmap/*"`,
		},
		{
			"a script that is none", edit("{title: A, apply: solutions/a.yaml}", "{title: A, run: solutions/a.yaml}"),
			`lab.yaml:22:21: expected a shell script whose name ends in .sh, found "solutions/a.yaml"`,
		},
		{
			"a script elsewhere", edit("{title: A, apply: solutions/a.yaml}", "{title: A, run: ../a.sh}"),
			`lab.yaml:22:21: expected a path inside the lab's folder, found "../a.sh"`,
		},
		{"no script", edit("{title: A, apply: solutions/a.yaml}", "{title: A, run: a.sh}"), "lab.yaml:22:21: no such file or folder: a.sh"},
		{"an empty script", with("a.sh", "\n", edit("{title: A, apply: solutions/a.yaml}", "{title: A, run: a.sh}")), "lab.yaml:22:21: a.sh is empty"},
		{
			"a folder as a script", with("a.sh/b", "\n", edit("{title: A, apply: solutions/a.yaml}", "{title: A, run: a.sh}")),
			"lab.yaml:22:21: a.sh is not a plain file: a lab holds its own files",
		},
		{"no manifest in the folder", with("empty/notes.txt", "x", edit("apply: setup,", "apply: empty,")), "lab.yaml:9:18: expected manifests (*.yaml) in empty"},
		{"the whole lab as manifests", edit("apply: setup,", "apply: .,"), `lab.yaml:9:18: expected a path inside the lab's folder, found "."`},
		{"a file that is too large", map[string]string{"setup/web.yaml": strings.Repeat("#", maxSize+1)}, "lab.yaml:9:18: setup/web.yaml larger than 1 MiB"},
		{"a manifest that is no YAML", map[string]string{"setup/web.yaml": object + "---\na: [\n"}, "setup/web.yaml:6:1: did not find expected node content"},
		{"a manifest without an object", map[string]string{"setup/web.yaml": "# nothing\n"}, "setup/web.yaml:1:1: empty: expected an object with apiVersion, kind and metadata.name"},
		{"a manifest that is a list", map[string]string{"setup/web.yaml": "- a\n"}, "setup/web.yaml:1:1: expected an object with apiVersion, kind and metadata.name, found a list"},
		{
			"an object without kind or name",
			map[string]string{"mistakes/c.yaml": object + "---\napiVersion: v1\nmetadata: {name: }\n"},
			"mistakes/c.yaml:5:1: missing key \"kind\"\nmistakes/c.yaml:6:18: expected a string as name, found nothing",
		},
		{"an object without metadata", map[string]string{"mistakes/c.yaml": "apiVersion: v1\nkind: Pod\n"}, "mistakes/c.yaml:1:1: expected metadata with a name"},
		{"a key twice in a manifest", map[string]string{"mistakes/c.yaml": object + "data: {a: x, b: y, a: z}\n"}, `mistakes/c.yaml:4:20: key "a" is given twice`},
		{
			"an object elsewhere",
			map[string]string{"mistakes/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: coredns, namespace: kube-system}\n"},
			"mistakes/c.yaml:3:38: namespace kube-system is not one of the lab's; what else it changes stands in spec.touches: kube-system/configmap/coredns",
		},
		{"no story", map[string]string{"README.md": ""}, "README.md: no such file, expected text for the learner"},
		{"empty debrief", map[string]string{"debrief.md": "\n"}, "debrief.md: empty, expected text for the learner"},
		{"no hints", map[string]string{"hints/second.md": ""}, "hints/second.md: no such file, expected text for the learner"},
		{"two hints", map[string]string{"hints/first.md": "a\n---\nb\n"}, "hints/first.md: expected three hints, weakest first, with a line of --- between them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(folder(tt.changes), "basics/one")
			if diff := cmp.Diff(tt.want, problemsOf(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// problemsOf writes an error's problems without the folder they are all in.
func problemsOf(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "basics/one/", "")
}

// What is unusual and right is taken without a word.
func TestLoadTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(
		"  tasks:", "  touches: [kube-system/configmap/coredns, storageclass/standard, node/*]\n  tasks:",
		"{title: A, apply: solutions/a.yaml}", "{title: A, run: solutions/a.sh}",
		"{title: B, apply: solutions/b.yaml, delete: [service/web]}", "{title: B, delete: [service/web, kube-system/configmap/coredns]}",
		"  mistakes:", "  safeguards: [look: {}]\n  mistakes:",
		"fails: [second]", "fails: [safeguards]",
		"mistakes/c.yaml", "mistakes/").Replace(good)
	l, err := Load(folder(map[string]string{
		"lab.yaml": text, "solutions/a.sh": "echo",
		"mistakes/c.yaml": "# first\n---\n" + object + "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: coredns, namespace: kube-system}}\n",
	}), "basics/one")
	if err != nil {
		t.Fatal(err)
	}
	want := []Ref{{"kube-system", "configmap", "coredns"}, {"", "storageclass", "standard"}, {"", "node", "*"}}
	if diff := cmp.Diff(want, l.Touches); diff != "" {
		t.Error(diff)
	}
	script, err := l.File(l.Solutions[0].Run)
	if diff := cmp.Diff(File{"solutions/a.sh", "echo"}, script); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if files, err := l.Files(l.Solutions[1].Apply); files != nil || err != nil {
		t.Errorf("a solution without apply has files %v, error %v", files, err)
	}
}

// An author mends a lab in one go, so all faults come at once and in order.
func TestLoadReportsAllProblems(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("level: beginner", "level: easy", "minutes: 5", "minutes: x", "after: [first]", "after: [none]").Replace(good)
	_, err := Load(folder(map[string]string{"lab.yaml": text, "README.md": ""}), "basics/one")
	var at []string
	for line := range strings.Lines(err.Error()) {
		at = append(at, strings.SplitN(line, ": ", 2)[0])
	}
	want := []string{"basics/one/README.md", "basics/one/lab.yaml:6:10", "basics/one/lab.yaml:7:12", "basics/one/lab.yaml:18:13"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Error(diff)
	}
}

type refuse struct{}

func (refuse) Validate(_ *Lab, c Check) Problems {
	return Problems{c.Params.Field("at").Problem("no %s today", c.Kind)}
}

func TestLoadAsksTheValidatorAboutEachCheck(t *testing.T) {
	t.Parallel()
	_, err := Load(folder(nil), "basics/one", refuse{})
	want := "basics/one/lab.yaml:15:18: no look today\nbasics/one/lab.yaml:20:18: no look today"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestCatalogueIsSorted(t *testing.T) {
	t.Parallel()
	fsys := folder(nil)
	fsys["alpha/zed/lab.yaml"] = &fstest.MapFile{Data: []byte(strings.NewReplacer("name: one", "name: zed", "topic: basics", "topic: alpha").Replace(good))}
	fsys["README.md"] = &fstest.MapFile{Data: []byte("not a lab")}
	all, err := Catalogue(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Name != "alpha/zed" || all[1].Name != "basics/one" {
		t.Errorf("got %v", all)
	}
}
