package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

func names(mutants []verify.Mutant) []string {
	var all []string
	for _, m := range mutants {
		all = append(all, m.Name)
	}
	slices.Sort(all)
	return all
}

// mutants of the tea room with another solution, other checks or other namespaces.
func mutants(t *testing.T, solution string, limit int, replace ...string) []verify.Mutant {
	t.Helper()
	fsys := files([]string{"room"}, replace...)
	if solution != "" {
		fsys["tea/room/right.yaml"] = &fstest.MapFile{Data: []byte(solution)}
	}
	all, err := verify.Mutants(load(t, fsys, "room"), check.Builtin(), true, limit)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestMutantsAreThoseThatTheChecksLookAt(t *testing.T) {
	t.Parallel()
	// Both workloads are looked at: kettle by name, guest by the label of its pods.
	want := []string{
		"delete deployment/guest", "delete deployment/kettle", "deny-all", "leave-out service/tea",
		"line right.yaml:5 app", "line right.yaml:7 port", "line right.yaml:8 targetPort",
		"rename service/tea", "scale-to-zero deployment/guest", "scale-to-zero deployment/kettle",
	}
	if diff := cmp.Diff(want, names(mutants(t, "", -1))); diff != "" {
		t.Error(diff)
	}
}

func TestMutantsDependOnWhatIsAsked(t *testing.T) {
	t.Parallel()
	reach := func(verdict string) []string {
		return []string{
			`{http: {from: {pods: app=guest}, url: "http://tea/"}}`,
			`{reach: {clients: {guest: {pods: app=guest}}, targets: {tea: {pods: app=kettle, port: 80}}, expect: "from tea\nguest ` + verdict + `\n"}}`,
		}
	}
	can := []string{
		`{http: {from: {pods: app=guest}, url: "http://tea/"}}`,
		`{can: {subjects: {ann: {user: ann}}, actions: {pour: {verb: delete, resource: pods}}, expect: "from pour\nann deny\n"}}`,
	}
	for _, test := range []struct {
		name    string
		replace []string
		want    string
		not     []string
	}{
		{"a denial", reach("deny"), "allow-all", []string{"deny-all", "rename service/tea"}},
		{"an allowance", reach("allow"), "deny-all", []string{"allow-all"}},
		{"rights", can, "cluster-admin", []string{"allow-all", "deny-all"}},
		{"two namespaces", []string{"namespaces: [room]", "namespaces: [room, garden]"}, "other-namespace service/tea", []string{"leave-out service/tea"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := names(mutants(t, "", -1, test.replace...))
			if !slices.Contains(got, test.want) {
				t.Errorf("no %s in %v", test.want, got)
			}
			for _, not := range test.not {
				if slices.Contains(got, not) {
					t.Errorf("%s in %v", not, got)
				}
			}
		})
	}
}

// What a line is made of, and nothing else of the file.
func TestLinesChangeOneThing(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: v1\nkind: %s\nmetadata: {name: tea, labels: {app: x}, annotations: {port: \"80\"}}\nspec:\n"
	for _, test := range []struct {
		name, kind, spec string
		want             map[string]string // name: a part of the manifest that it applies
	}{
		{"ports and selectors", "Service", "  selector: {app: kettle}\n  ports:\n  - {name: http, port: 80}\n", map[string]string{
			"line right.yaml:5 app": "app: kettle-x", "line right.yaml:7 port": "port: 81",
		}},
		{"a headless Service, whose ports nobody passes", "Service", "  clusterIP: None\n  ports:\n  - {name: http, port: 80}\n", map[string]string{
			"line right.yaml:5 clusterIP": "clusterIP: null",
		}},
		{"a type", "Service", "  type: NodePort\n  ports:\n  - nodePort: 32080\n    targetPort: web\n", map[string]string{
			"line right.yaml:5 type": "type: ClusterIP", "line right.yaml:7 nodePort": "nodePort: 32081",
			"line right.yaml:8 targetPort": "targetPort: web-x",
		}},
		{"rules", "NetworkPolicy", "  policyTypes:\n  - Ingress\n  - Egress\n  ingress:\n  - from:\n    - podSelector: {matchLabels: {app: a}}\n", map[string]string{
			"line right.yaml:6 policyTypes": "policyTypes: - Egress", "line right.yaml:7 policyTypes": "policyTypes: - Ingress ingress",
			"line right.yaml:9 ingress": "ingress: []", "line right.yaml:10 from": "from: []", "line right.yaml:10 podSelector": "- {}",
			"line right.yaml:10 app": "app: a-x",
		}},
		{"rights", "Role", "  - none\nrules:\n- {apiGroups: [\"\"], resources: [pods], verbs: [get]}\n", map[string]string{
			"line right.yaml:7 rules": "rules: []", "line right.yaml:7 resources": "resources: []", "line right.yaml:7 verbs": "verbs: []",
		}},
		{"what is hardly ever read", "Deployment", "  replicas: 1\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: a}}\n" +
			"    spec:\n      terminationGracePeriodSeconds: 1\n      containers:\n      - {name: a, image: b, command: [c], ports: [{containerPort: 80}], resources: {limits: {cpu: 1}}}\n", nil},
		{"a workload", "Deployment", "  replicas: 3\n  template:\n    spec:\n      containers:\n      - name: a\n        readinessProbe: {httpGet: {port: 80}}\n" +
			"        volumeMounts: [{mountPath: /data}]\n", map[string]string{
			"line right.yaml:5 replicas": "replicas: 1", "line right.yaml:10 port": "port: 81",
			"line right.yaml:11 mountPath": "mountPath: /data-x",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			all := mutants(t, fmt.Sprintf(head, test.kind)+test.spec, -1)
			got := map[string]bool{}
			for _, m := range all {
				if !strings.HasPrefix(m.Name, "line ") {
					continue
				}
				got[m.Name] = true
				part, known := test.want[m.Name]
				if text := strings.Join(strings.Fields(m.Steps[0].Manifests[0].Content), " "); !known || !strings.Contains(text, part) {
					t.Errorf("%s (%s) applies\n%s", m.Name, m.Change, text)
				}
			}
			for name := range test.want {
				if !got[name] {
					t.Errorf("no mutant %q", name)
				}
			}
		})
	}
}

// A probe is the answer where the solution puts it into what the setup has without one.
func TestAProbeIsTakenOutWhereItIsTheAnswer(t *testing.T) {
	t.Parallel()
	const probe = "        readinessProbe: {httpGet: {port: 80}}\n"
	kettle := func(name, more string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n  selector: {matchLabels: {app: " + name +
			"}}\n  template:\n    metadata: {labels: {app: " + name + "}}\n    spec:\n      containers:\n      - name: a\n" + more
	}
	for _, test := range []struct {
		name, setup, solution string
		want                  bool
	}{
		{"added", kettle("kettle", ""), kettle("kettle", probe), true},
		{"there before", kettle("kettle", probe), kettle("kettle", probe+"        ports: [{name: x}]\n"), false},
		{"in a new object", kettle("kettle", ""), kettle("pot", probe), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fsys := files([]string{"room"})
			fsys["tea/room/right.yaml"] = &fstest.MapFile{Data: []byte(test.solution)}
			fsys["tea/room/setup.yaml"] = &fstest.MapFile{Data: []byte(test.setup)}
			all, err := verify.Mutants(load(t, fsys, "room"), check.Builtin(), true, -1)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.ContainsFunc(names(all), func(name string) bool { return strings.HasSuffix(name, " readinessProbe") })
			if got != test.want {
				t.Errorf("%v, want %v: %v", got, test.want, names(all))
			}
		})
	}
}

func TestAFewMutantsAreVariedAndAlwaysTheSame(t *testing.T) {
	t.Parallel()
	first := mutants(t, "", 6)
	// delete, deny-all, leave-out, line, rename, and a second delete or scale-to-zero
	if diff := cmp.Diff(names(first), names(mutants(t, "", 6))); diff != "" || len(first) != 6 {
		t.Errorf("%d mutants, %s", len(first), diff)
	}
	families := map[string]bool{}
	for _, m := range first {
		families[strings.Fields(m.Name)[0]] = true
	}
	if len(families) != 5 {
		t.Errorf("six mutants are of %d kinds, want five: %v", len(families), names(first))
	}
	// A line more above does not change what is tried.
	moved := mutants(t, "# a remark\n"+rightYAML, 6)
	for i := range moved {
		if moved[i].Change != first[i].Change {
			t.Errorf("%q in place of %q", moved[i].Change, first[i].Change)
		}
	}
}

// On top of a solution the same has to come out: what is there is changed in place where it has an address, and what the
// setup has too, or what pods have read or written, is not simply taken away.
func TestMutantsThatCanBeMadeOnTopOfTheSolution(t *testing.T) {
	t.Parallel()
	const workload = "\n---\napiVersion: apps/v1\nkind: %s\nmetadata: {name: tea}\nspec:\n  selector: {matchLabels: {app: tea}}\n" +
		"  template: {metadata: {labels: {app: tea}}, spec: {containers: [{name: tea}]}}\n"
	for _, tt := range []struct {
		name, setup, solution string
		mutant                string
		deletes, possible     bool
	}{
		{"after it", "", rightYAML, "deny-all", false, true},
		{"a Service of its own, changed", "", rightYAML, "line right.yaml:8 targetPort", false, true},
		{"a Service of its own, renamed", "", rightYAML, "rename service/tea", true, true},
		{"a Service of its own, left out", "", rightYAML, "leave-out service/tea", true, true},
		{"a Service of the setup, changed", strings.ReplaceAll(rightYAML, "kettle", "pot"), rightYAML, "line right.yaml:8 targetPort", false, true},
		{"a Service of the setup, renamed", strings.ReplaceAll(rightYAML, "kettle", "pot"), rightYAML, "rename service/tea", false, false},
		{"a Service of the setup, left out", strings.ReplaceAll(rightYAML, "kettle", "pot"), rightYAML, "leave-out service/tea", false, false},
		{"a Deployment of its own", "", rightYAML + fmt.Sprintf(workload, "Deployment"), "leave-out deployment/tea", true, true},
		{"a StatefulSet of its own", "", rightYAML + fmt.Sprintf(workload, "StatefulSet"), "leave-out statefulset/tea", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fsys := files([]string{"room"})
			fsys["tea/room/right.yaml"] = &fstest.MapFile{Data: []byte(tt.solution)}
			fsys["tea/room/setup.yaml"] = &fstest.MapFile{Data: append(fsys["tea/room/setup.yaml"].Data, "\n---\n"+tt.setup...)}
			all, err := verify.Mutants(load(t, fsys, "room"), check.Builtin(), true, -1)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(all, func(m verify.Mutant) bool { return m.Name == tt.mutant })
			if at < 0 {
				t.Fatalf("no %s in %v", tt.mutant, names(all))
			}
			steps := all[at].OnTop
			if possible := steps != nil; possible != tt.possible || possible && len(steps[0].Delete) > 0 != tt.deletes {
				t.Errorf("steps %+v", steps)
			}
		})
	}
}
