package stage

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func TestUndoIsForWhatIsSimple(t *testing.T) {
	t.Parallel()
	service := objectOf(t, "services", "{metadata: {name: tea, uid: a}, spec: {type: ClusterIP}}")
	other := objectOf(t, "services", "{metadata: {name: tea, uid: a}, spec: {type: NodePort}}")
	anew := objectOf(t, "services", "{metadata: {name: tea, uid: b}, spec: {type: NodePort}}")
	policy := objectOf(t, "networkpolicies", "{metadata: {name: shut, uid: c}}")
	web := objectOf(t, "deployments", "{metadata: {name: web, uid: d}, spec: {replicas: 2}}")
	scaled := objectOf(t, "deployments", "{metadata: {name: web, uid: d}, spec: {replicas: 0}}")
	webAnew := objectOf(t, "deployments", "{metadata: {name: web, uid: f}, spec: {replicas: 2}}")
	scaledAndMore := objectOf(t, "deployments", "{metadata: {name: web, uid: d}, spec: {replicas: 0, paused: true}}")
	second := objectOf(t, "deployments", "{metadata: {name: web, uid: d, annotations: {deployment.kubernetes.io/revision: '2'}}, spec: {replicas: 3}}")
	secondScaled := objectOf(t, "deployments", "{metadata: {name: web, uid: d, annotations: {deployment.kubernetes.io/revision: '2'}}, spec: {replicas: 1}}")
	third := objectOf(t, "deployments", "{metadata: {name: web, uid: d, annotations: {deployment.kubernetes.io/revision: '3'}}, spec: {replicas: 2}}")
	ledger := objectOf(t, "statefulsets", "{metadata: {name: ledger, uid: g}, spec: {replicas: 2, volumeClaimTemplates: [{metadata: {name: data}}]}}")
	ledgerScaled := objectOf(t, "statefulsets", "{metadata: {name: ledger, uid: g}, spec: {replicas: 1, volumeClaimTemplates: [{metadata: {name: data}}]}}")
	pod := objectOf(t, "pods", "{metadata: {name: stray, uid: e}}")
	podLabelled := objectOf(t, "pods", "{metadata: {name: stray, uid: e, labels: {a: b}}}")
	recipe := objectOf(t, "configmaps", "{metadata: {name: recipe, uid: h}, data: {a: b}}")
	recipeRead := objectOf(t, "configmaps", "{metadata: {name: recipe, uid: h}, data: {a: c}}")
	job := objectOf(t, "jobs", "{metadata: {name: job, uid: i}}")
	for _, test := range []struct {
		name     string
		was, now []stored
		want     []string
		doomed   []types.UID
		possible bool
	}{
		{"nothing", []stored{service, web}, []stored{web, service}, nil, nil, true},
		{"a rule that is other", []stored{service, web}, []stored{other, web}, []string{"services/tea in namespace shop"}, nil, true},
		{"a rule that is new", []stored{web}, []stored{web, policy}, []string{"networkpolicies/shut in namespace shop"}, nil, true},
		{"a rule that is gone", []stored{service, web}, []stored{web}, []string{"services/tea in namespace shop"}, nil, true},
		{"a rule that was made anew", []stored{service}, []stored{anew}, []string{"services/tea in namespace shop"}, nil, true},
		{"a Deployment that is scaled", []stored{service, web}, []stored{service, scaled}, []string{"deployments/web in namespace shop"}, nil, true},
		{"a Deployment with a past that is scaled", []stored{second}, []stored{secondScaled}, []string{"deployments/web in namespace shop"}, nil, true},
		{"a workload that is other", []stored{service, web}, []stored{other, scaledAndMore}, []string{"services/tea in namespace shop", "deployments/web in namespace shop"}, []types.UID{"d"}, true},
		{"a workload that is new", []stored{service}, []stored{service, web}, []string{"deployments/web in namespace shop"}, []types.UID{"d"}, true},
		{"a workload that is gone", []stored{web}, nil, []string{"deployments/web in namespace shop"}, nil, true},
		{"a workload that was made anew", []stored{web}, []stored{webAnew}, []string{"deployments/web in namespace shop"}, []types.UID{"f"}, true},
		{"a workload with a past", []stored{second}, []stored{web}, nil, nil, false},
		{"a workload that was changed and changed back", []stored{web}, []stored{third}, []string{"deployments/web in namespace shop"}, []types.UID{"d"}, true},
		{"a workload with claims", []stored{ledger}, []stored{ledgerScaled}, nil, nil, false},
		{"a pod that is new", []stored{web}, []stored{web, pod}, []string{"pods/stray in namespace shop"}, []types.UID{"e"}, true},
		{"a pod that is other", []stored{web, pod}, []stored{web, podLabelled}, nil, nil, false},
		{"a ConfigMap that is new", []stored{web}, []stored{web, recipe}, []string{"configmaps/recipe in namespace shop"}, nil, true},
		{"a ConfigMap that is other", []stored{recipe}, []stored{recipeRead}, nil, nil, false},
		{"a Job that is new", nil, []stored{job}, nil, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changed, possible := (&snapshot{Objects: test.was}).simplyChanged(&snapshot{Objects: test.now})
			var got []string
			for _, o := range slices.Concat(changed.rules, changed.workloads) {
				got = append(got, o.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" || possible != test.possible {
				t.Errorf("possible %t, %s", possible, diff)
			}
			if diff := cmp.Diff(test.doomed, slices.Collect(maps.Keys(changed.doomed))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a lab touches outside its namespaces is restored whatever it is; a node takes a reset.
func TestUndoAlsoPutsBackWhatIsTouched(t *testing.T) {
	t.Parallel()
	dns := objectOf(t, "configmaps", "{metadata: {name: coredns, uid: a}, data: {Corefile: right}}")
	other := objectOf(t, "configmaps", "{metadata: {name: coredns, uid: a}, data: {Corefile: wrong}}")
	anew := objectOf(t, "configmaps", "{metadata: {name: coredns, uid: b}, data: {Corefile: right}}")
	absent := stored{Resource: dns.Resource, Namespace: dns.Namespace, Name: dns.Name}
	tainted := map[string]node{"worker": {Unschedulable: true}}
	for _, test := range []struct {
		name                       string
		was, now                   stored
		nodes                      map[string]node
		touched, successor, simple bool
	}{
		{"as it was", dns, dns, map[string]node{"worker": {}}, false, false, true},
		{"other", dns, other, map[string]node{"worker": {}}, true, false, true},
		{"gone", dns, absent, map[string]node{"worker": {}}, true, true, true},
		{"made anew", dns, anew, map[string]node{"worker": {}}, false, true, true},
		{"new", absent, dns, map[string]node{"worker": {}}, true, false, true},
		{"still absent", absent, absent, map[string]node{"worker": {}}, false, false, true},
		{"a node is other", dns, dns, tainted, false, false, false},
		{"a node is gone", dns, dns, nil, false, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			was := snapshot{Touched: []stored{test.was}, Nodes: map[string]node{"worker": {}}}
			changed, possible := was.simplyChanged(&snapshot{Touched: []stored{test.now}, Nodes: test.nodes})
			if possible != test.simple || changed.touched != test.touched || (len(changed.successors) == 1) != test.successor {
				t.Errorf("possible %t, touched %t, %d successors", possible, changed.touched, len(changed.successors))
			}
		})
	}
}

// A workload that asks for no pods would be waited for in vain.
func TestIdleWorkloads(t *testing.T) {
	t.Parallel()
	for spec, idle := range map[string]bool{"{replicas: 0}": true, "{replicas: 1}": false, "{}": false} {
		if o := objectOf(t, "deployments", "{metadata: {name: coredns}, spec: "+spec+"}"); o.idle() != idle {
			t.Errorf("with %s idle is %t", spec, o.idle())
		}
	}
}

// After something was put back, only what that concerns is looked at again.
func TestUndoLooksAgainAtWhatItPutBack(t *testing.T) {
	t.Parallel()
	gvr := func(name string) schema.GroupVersionResource {
		return objectOf(t, name, "{metadata: {name: any}}").Resource
	}
	all := resources{namespaced: []schema.GroupVersionResource{gvr("configmaps"), gvr("services"), gvr("secrets"), gvr("pods")}}
	service, other := objectOf(t, "services", "{metadata: {name: tea}, spec: {a: b}}"), objectOf(t, "services", "{metadata: {name: tea}, spec: {a: c}}")
	menu := objectOf(t, "configmaps", "{metadata: {name: menu}}")
	stray := objectOf(t, "pods", "{metadata: {name: stray}}")

	some := simple{rules: []stored{service}}.among(all)
	if diff := cmp.Diff([]schema.GroupVersionResource{gvr("services"), gvr("pods")}, some.namespaced); diff != "" {
		t.Error(diff)
	}
	got := (&snapshot{Objects: []stored{menu, other}}).with(&snapshot{Objects: []stored{service, stray}}, some)
	if diff := cmp.Diff([]stored{menu, stray, service}, got.Objects); diff != "" {
		t.Error(diff)
	}
}
