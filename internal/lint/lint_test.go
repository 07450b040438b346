package lint

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/nodeimage"
	"github.com/kindlab-dev/kindlab/labs"
	"github.com/kindlab-dev/kindlab/manifests"
)

const goodLab = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: bread, topic: services}
spec:
  title: The bread queue
  answers: ["How does a Service find its pods?"]
  level: beginner
  minutes: 15
  namespaces: [bakery]
  params: {port: {range: [31000, 31999]}}
  setup: {apply: setup/, ready: [deployment/oven]}
  tasks:
  - name: bread
    title: The till gets bread at http://bread
    checks:
    - http: {from: {pods: app=till}, url: "http://bread/hostname"}
  - name: shape
    title: The Service has the port ${params.port}
    checks:
    - http: {from: {pods: app=till}, url: "http://bread:${params.port}/hostname"}
    - object: {kind: Service, name: bread, expect: ["object.spec.ports.exists(p, p.port == 80)"]}
  solutions:
  - {title: One, apply: solutions/one.yaml}
  - {title: Two, apply: solutions/two.yaml, delete: [service/bread]}
  mistakes:
  - {title: A, apply: mistakes/a.yaml, fails: [bread], says: a crumb, tell: Look again.}
  - {title: B, apply: mistakes/b.yaml, fails: [shape], says: flat, tell: Look again.}
  - {title: C, run: mistakes/c.sh, fails: [bread], says: other port, tell: Look again.}
  - {title: D, delete: [service/bread], fails: [bread], says: is gone, tell: Look again.}
`

const goodPod = `apiVersion: apps/v1
kind: Deployment
metadata: {name: oven}
spec:
  selector: {matchLabels: {app: till}}
  template:
    metadata: {labels: {app: till}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: oven
        image: registry.k8s.io/e2e-test-images/agnhost:2.66.1
        args: [netexec, --http-port=8080]
`

func service(labels string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: bread}\nspec: {selector: {app: " + labels + "}}\n"
}

func goodFiles() map[string]string {
	const hints = "a\n---\nb\n---\nc\n"
	return map[string]string{
		"lab.yaml":  goodLab,
		"README.md": "Bread for the bakery.\n\n1. **bread**: sell it.\n2. **shape**: its port.\n",
		"debrief.md": "**The mental model.** A.\n\n**Under the hood.** B.\n\n**How it fails in production.** C.\n\n" +
			"**The interview question.** D.\n",
		"hints/bread.md": hints, "hints/shape.md": hints,
		"setup/bakery.yaml":  goodPod,
		"solutions/one.yaml": service("till"), "solutions/two.yaml": service("till, batch: fresh"),
		"mistakes/a.yaml": service("oven"), "mistakes/b.yaml": service("tills"), "mistakes/c.sh": "kubectl -n bakery delete pod --all\n",
	}
}

// A change makes a bad lab of the good one: in a file, the text old becomes new. Without old, the file becomes new.
type change struct{ file, old, new string }

func changed(t *testing.T, changes ...change) fstest.MapFS {
	t.Helper()
	files := goodFiles()
	for _, c := range changes {
		if c.old != "" && !strings.Contains(files[c.file], c.old) {
			t.Fatalf("no %q in %s", c.old, c.file)
		}
		if c.old == "" {
			files[c.file] = c.new
			continue
		}
		files[c.file] = strings.Replace(files[c.file], c.old, c.new, 1)
	}
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["services/bread/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func source(fsys fstest.MapFS, dir string) Source {
	return Source{Files: fsys, Dir: dir, Shown: "labs/" + dir}
}

func linter() Linter {
	return Linter{Kinds: check.Builtin(), Images: []string{"registry.k8s.io/e2e-test-images/agnhost:2.66.1"}}
}

func TestEachRuleFindsItsFault(t *testing.T) {
	t.Parallel()
	for _, tt := range badLabs() {
		t.Run(tt.rule+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range linter().Lint([]Source{source(changed(t, tt.changes...), "services/bread")}, nil) {
				if f.Rule == "unused-file" && tt.rule == "tasks" {
					continue // the hints of the task that is gone
				}
				if f.Rule != tt.rule {
					t.Errorf("another rule speaks up: %+v", f)
				}
				if f.Remedy == "" || f.Lab != "services/bread" || f.Level != Error && f.Level != Advice {
					t.Errorf("not all is said: %+v", f)
				}
				got = append(got, strings.TrimPrefix(f.place(), "labs/services/bread/")+" "+f.Text)
			}
			alike := func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
			if len(got) != len(tt.want) || !slices.EqualFunc(got, tt.want, alike) {
				t.Error(cmp.Diff(tt.want, got))
			}
		})
	}
}

// A rule that never fires is a promise that nobody keeps.
func TestEveryRuleHasABadLab(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, bad := range badLabs() {
		shown[bad.rule] = true
	}
	for _, r := range rules() {
		if !shown[r.name] {
			t.Errorf("nothing shows that the rule %s finds its fault", r.name)
		}
		if r.remedy == "" {
			t.Errorf("the rule %s has no remedy", r.name)
		}
	}
}

// What looks like a fault and is none.
func TestGoodLabsHaveNoFindings(t *testing.T) {
	t.Parallel()
	object := func(expect string) change {
		return change{"lab.yaml", `"object.spec.ports.exists(p, p.port == 80)"`, expect}
	}
	for name, changes := range map[string][]change{
		"as it is":                       nil,
		"all with a size":                {object(`"size(object.spec.ports) > 0 && object.spec.ports.all(p, p.port == 80)"`)},
		"all with a size beside it":      {object(`"object.spec.ports.size() == 1", "object.spec.ports.all(p, p.port == 80)"`)},
		"all of the check's objects":     {object(`"objects.all(o, o.spec.ports.exists(p, p.port == 80))"`)},
		"a key is no index":              {object(`"object.metadata.labels['app'] == 'till'"`)},
		"an index in a text":             {object(`"object.metadata.name != 'Bread[0]'"`)},
		"an optional field is no name":   {object(`"object.spec.?loadBalancerClass.hasValue() || 'externalname' in object.spec"`)},
		"a name that the story tells":    {{"README.md", "Bread for", "The flour on port 8081 for"}, object(`"object.metadata.name == 'flour'"`), {"lab.yaml", "http://bread/hostname", "http://bread:8081/hostname"}},
		"a pod of a StatefulSet":         {{"lab.yaml", "http://bread/hostname", "http://oven-0.bread/hostname"}},
		"a literal with a reason":        {{"lab.yaml", "    - http: {from: {pods: app=till}, url: \"http://bread/hostname\"}", "    # Nobody needs to know this port: it is shut.\n    - http: {from: {pods: app=till}, url: \"http://bread:9153/hostname\"}"}},
		"what a learner is to find out":  {{"lab.yaml", "    - object:", "    - answer: {equals: sourdough}\n    - object:"}},
		"an image with a digest":         {{"setup/bakery.yaml", ":2.66.1", "@sha256:0 # built for this lab alone"}},
		"an odd image, and why":          {{"setup/bakery.yaml", "        image: registry.k8s.io/e2e-test-images/agnhost:2.66.1", "        # This version never existed: that is the fault to find.\n        image: nginx:0.0.1"}},
		"an image of a mistake":          {{"mistakes/a.yaml", "", strings.ReplaceAll(goodPod, "agnhost:2.66.1", "agnhost")}},
		"a host's path, and why":         {{"setup/bakery.yaml", "      containers:", "      volumes:\n      - name: log\n        hostPath: {path: /var/log} # the lesson is about the node's logs\n      containers:"}},
		"a privileged mistake, and why":  {{"mistakes/a.yaml", "", strings.Replace(goodPod, "        args:", "        securityContext: {privileged: true} # what admission must refuse\n        args:", 1)}},
		"a capability that is harmless":  {{"setup/bakery.yaml", "        args:", "        securityContext: {privileged: false, capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}}\n        args:"}},
		"a program inside the cluster":   {{"mistakes/c.sh", "", "curl http://bread.bakery.svc.cluster.local/x; curl http://oven-0.bread; curl http://10.96.0.1\n"}},
		"a comment about a download":     {{"mistakes/c.sh", "", "# never: curl https://example.com\nkubectl get pods # not: apt-get install jq\n"}},
		"a folder that is named":         {{"solutions/three/a.yaml", "", service("till, oven: first")}, {"lab.yaml", "apply: solutions/two.yaml", "apply: solutions/three"}, {"solutions/two.yaml", "", service("two")}},
		"notes of the author":            {{"notes.md", "", "kubectl get endpoints was here"}},
		"a mistake that undoes solution": {{"lab.yaml", "{title: D, delete: [service/bread]", "{title: D, apply: solutions/one.yaml, delete: [service/bread]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range linter().Lint([]Source{source(changed(t, changes...), "services/bread")}, nil) {
				if name == "a folder that is named" && f.File == "labs/services/bread/solutions/two.yaml" ||
					name == "notes of the author" && f.File == "labs/services/bread/notes.md" {
					continue
				}
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestLabsAreComparedWithEachOther(t *testing.T) {
	t.Parallel()
	as := func(name, topic, space string) fstest.MapFS {
		renamed := fstest.MapFS{}
		for path, file := range changed(t, change{"lab.yaml", "name: bread, topic: services", "name: " + name + ", topic: " + topic},
			change{"lab.yaml", "[bakery]", "[" + space + "]"}) {
			renamed[strings.Replace(path, "services/bread", topic+"/"+name, 1)] = file
		}
		return renamed
	}
	mine := source(as("bread", "services", "bakery"), "services/bread")
	for _, tt := range []struct {
		name              string
		beside, neighbour *Source
		want              []string // rule: text
	}{
		{"alone", nil, nil, nil},
		{"a stranger", new(source(as("cake", "dns", "shop"), "dns/cake")), nil, nil},
		{"one namespace", new(source(as("cake", "dns", "bakery"), "dns/cake")), nil, []string{
			"namespace: namespace bakery is lab services/bread's too", "namespace: namespace bakery is lab dns/cake's too",
		}},
		{"a neighbour's namespace", nil, new(source(as("cake", "dns", "bakery"), "dns/cake")), []string{"namespace: namespace bakery is lab dns/cake's too"}},
		{"one short name", nil, new(source(as("bread", "dns", "shop"), "dns/bread")), []string{"short-name: lab dns/bread has the same short name"}},
		{"itself in the catalogue", nil, new(source(as("bread", "services", "bakery"), "services/bread")), nil},
		{"two of one name", &Source{Files: as("bread", "services", "bakery"), Dir: "services/bread", Shown: "mine"}, nil, []string{
			"same-name: another lab is called services/bread too", "same-name: another lab is called services/bread too",
		}},
		{"a neighbour that is broken", nil, &Source{Files: fstest.MapFS{"a/b/lab.yaml": {Data: []byte("x")}}, Dir: "a/b"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			labs := []Source{mine}
			if tt.beside != nil {
				labs = append(labs, *tt.beside)
			}
			var neighbours []Source
			if tt.neighbour != nil {
				neighbours = []Source{*tt.neighbour}
			}
			var got []string
			for _, f := range linter().Lint(labs, neighbours) {
				if f.Rule != "structure" && f.Rule != "literal" {
					got = append(got, f.Rule+": "+f.Text)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Everything is said at once: of all labs, also of those that cannot be loaded.
func TestABrokenLabHidesNoOther(t *testing.T) {
	t.Parallel()
	files := changed(t, change{"debrief.md", "production", "life"})
	files["dns/torn/lab.yaml"] = &fstest.MapFile{Data: []byte("kind: [")}
	files["dns/empty/lab.yaml"] = &fstest.MapFile{Data: []byte("kind: Lob\n")}
	rules := map[string]string{}
	for _, f := range linter().Lint([]Source{source(files, "dns/torn"), source(files, "dns/empty"), source(files, "services/bread")}, nil) {
		rules[f.File] = f.Rule
	}
	want := map[string]string{
		"labs/dns/torn/lab.yaml": loaderRule, "labs/dns/empty/lab.yaml": loaderRule, "labs/services/bread/debrief.md": "debrief",
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}
}

// The catalogue has no lab that lint would keep out of it.
func TestTheCatalogueIsCleanOfErrors(t *testing.T) {
	t.Parallel()
	files, err := manifests.Node()
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := nodeimage.LoadRecipe(files)
	if err != nil {
		t.Fatal(err)
	}
	all, err := lab.Catalogue(labs.FS())
	if err != nil {
		t.Fatal(err)
	}
	var sources []Source
	for _, l := range all {
		sources = append(sources, Source{Files: labs.FS(), Dir: l.Name, Shown: "labs/" + l.Name})
	}
	for _, f := range (Linter{Kinds: check.Builtin(), Images: recipe.Workloads}).Lint(sources, nil) {
		if f.Level == Error {
			t.Errorf("%s: %s", f.place(), f.message())
		}
	}
}

func TestFormatsOfFindings(t *testing.T) {
	t.Parallel()
	findings := []Finding{
		{"a/b", "labs/a/b/lab.yaml", 3, 4, Error, "tell", "what\x1b[31m is\nhere", "do this"},
		{"a/b", "labs/a/b/debrief.md", 0, 0, Advice, "debrief", "100%, no section", ""},
	}
	plain := func(_ Level, text string) string { return text }
	want := map[Format]string{
		Human: "labs/a/b/lab.yaml:3:4: error: what[31m is here; do this (tell)\nlabs/a/b/debrief.md: advice: 100%, no section (debrief)\n",
		GitHub: "::error title=a/b tell,file=labs/a/b/lab.yaml,line=3,col=4::what[31m is%0Ahere; do this (tell)\n" +
			"::warning title=a/b debrief,file=labs/a/b/debrief.md::100%25, no section (debrief)\n",
	}
	for format, text := range want {
		var b strings.Builder
		if err := format.Write(&b, findings, plain); err != nil || b.String() != text {
			t.Errorf("%s: %v\n%s", format, err, cmp.Diff(text, b.String()))
		}
	}
	var b strings.Builder
	if err := JSON.Write(&b, nil, plain); err != nil || b.String() != "[]\n" {
		t.Errorf("no findings in JSON: %q, %v", b.String(), err)
	}
	b.Reset()
	if err := JSON.Write(&b, findings, plain); err != nil || !strings.Contains(b.String(), `"rule": "tell"`) {
		t.Errorf("JSON: %q, %v", b.String(), err)
	}
	if got := slices.Sorted(maps.Keys(want)); len(Formats()) != len(got)+1 {
		t.Errorf("a format is not tested: %v", Formats())
	}
}
