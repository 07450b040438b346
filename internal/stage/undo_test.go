package stage

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUndoIsForRulesOnly(t *testing.T) {
	t.Parallel()
	service := objectOf(t, "services", "{metadata: {name: tea, uid: a}, spec: {type: ClusterIP}}")
	other := objectOf(t, "services", "{metadata: {name: tea, uid: a}, spec: {type: NodePort}}")
	anew := objectOf(t, "services", "{metadata: {name: tea, uid: b}, spec: {type: NodePort}}")
	policy := objectOf(t, "networkpolicies", "{metadata: {name: shut, uid: c}}")
	web := objectOf(t, "deployments", "{metadata: {name: web, uid: d}, spec: {replicas: 2}}")
	scaled := objectOf(t, "deployments", "{metadata: {name: web, uid: d}, spec: {replicas: 0}}")
	pod := objectOf(t, "pods", "{metadata: {name: stray, uid: e}}")
	for _, test := range []struct {
		name     string
		was, now []stored
		want     []string
		possible bool
	}{
		{"nothing", []stored{service, web}, []stored{web, service}, nil, true},
		{"a rule that is other", []stored{service, web}, []stored{other, web}, []string{"services/tea in namespace shop"}, true},
		{"a rule that is new", []stored{web}, []stored{web, policy}, []string{"networkpolicies/shut in namespace shop"}, true},
		{"a rule that is gone", []stored{service, web}, []stored{web}, nil, false},
		{"a rule that was made anew", []stored{service}, []stored{anew}, nil, false},
		{"a workload that is other", []stored{service, web}, []stored{other, scaled}, nil, false},
		{"a pod that is new", []stored{web}, []stored{web, pod}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			changed, possible := (&snapshot{Objects: test.was}).rulesChanged(&snapshot{Objects: test.now})
			var got []string
			for _, o := range changed {
				got = append(got, o.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" || possible != test.possible {
				t.Errorf("possible %t, %s", possible, diff)
			}
		})
	}
}
