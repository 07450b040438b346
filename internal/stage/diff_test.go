package stage

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// objectOf is a stored object in YAML.
func objectOf(t *testing.T, resource, text string) stored {
	t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return stored{schema.GroupVersionResource{Version: "v1", Resource: resource}, "shop", name, o}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, resource, was, is string
		want                    []string
	}{
		{
			"what servers write", "configmaps",
			"{metadata: {name: a, uid: x, resourceVersion: '1', creationTimestamp: then, generation: 1}, status: {a: 1}}",
			"{metadata: {name: a, uid: y, resourceVersion: '2', creationTimestamp: now, generation: 7, annotations: {}}, status: {a: 2}}", nil,
		},
		{
			"a field", "deployments", "{metadata: {name: a}, spec: {replicas: 2, x: {y: 1}}}", "{metadata: {name: a}, spec: {replicas: 0, x: {y: 1}}}",
			[]string{"deployments/a in namespace shop: spec.replicas was 2, is 0"},
		},
		{
			"labels, annotations and finalizers", "configmaps", "{metadata: {name: a, labels: {l: x}}}",
			"{metadata: {name: a, annotations: {k: v}, finalizers: [f]}}",
			[]string{
				`configmaps/a in namespace shop: metadata.annotations was not there, is {"k":"v"}`,
				`configmaps/a in namespace shop: metadata.finalizers was not there, is ["f"]`,
				`configmaps/a in namespace shop: metadata.labels was {"l":"x"}, is not there`,
			},
		},
		{
			"lists", "deployments", "{metadata: {name: a}, spec: {c: [{i: 1}, {i: 2}], d: [1]}}", "{metadata: {name: a}, spec: {c: [{i: 1}, {i: 3}], d: [1, 2]}}",
			[]string{"deployments/a in namespace shop: spec.c[1].i was 2, is 3", "deployments/a in namespace shop: spec.d was [1], is [1,2]"},
		},
		{
			"a secret keeps it", "secrets", "{metadata: {name: a}, data: {k: aGk=}}", "{metadata: {name: a}, data: {k: aG8=}}",
			[]string{"secrets/a in namespace shop: data.k was a value, is another"},
		},
		{
			"drawn addresses and ports", "services",
			"{metadata: {name: a}, spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{port: 80, nodePort: 31000}]}}",
			"{metadata: {name: a}, spec: {clusterIP: 10.0.0.2, clusterIPs: [10.0.0.2], ports: [{port: 80, nodePort: 31001}]}}", nil,
		},
		{
			"a headless service and a chosen port", "services",
			`{metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"nodePort":31000}'}}, spec: {clusterIP: None, ports: [{nodePort: 31000}]}}`,
			`{metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"nodePort":31000}'}}, spec: {clusterIP: 10.0.0.1, ports: [{nodePort: 31001}]}}`,
			[]string{
				`services/a in namespace shop: spec.clusterIP was "None", is not there`,
				"services/a in namespace shop: spec.ports[0].nodePort was 31000, is not there",
			},
		},
		{
			"a pod's place and token", "pods",
			"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n1, volumes: [{name: kube-api-access-abcde}]}}",
			"{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: n2, volumes: [{name: kube-api-access-fghij}]}}", nil,
		},
		{"a claim's volume", "persistentvolumeclaims", "{metadata: {name: a}, spec: {volumeName: v1}}", "{metadata: {name: a}, spec: {volumeName: v2}}", nil},
		{
			"a claim that its provisioner has seen", "persistentvolumeclaims", "{metadata: {name: a}}",
			"{metadata: {name: a, annotations: {volume.kubernetes.io/storage-provisioner: p, volume.beta.kubernetes.io/storage-provisioner: p, volume.kubernetes.io/selected-node: n}}}", nil,
		},
		{"gone", "configmaps", "{metadata: {name: a}}", "", []string{"configmaps/a in namespace shop was there, is not there"}},
		{"new", "configmaps", "", "{metadata: {name: a}}", []string{"configmaps/a in namespace shop was not there, is there"}},
		{"never", "configmaps", "", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range compare(objectOf(t, tt.resource, tt.was), objectOf(t, tt.resource, tt.is)) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A baseline may be taken before Kubernetes has made what it makes by itself. A claim of one more replica is somebody's.
func TestWhatKubernetesMakesMayComeLater(t *testing.T) {
	t.Parallel()
	const set = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 2, volumeClaimTemplates: [{metadata: {name: data}}]}}"
	was := &snapshot{Objects: []stored{objectOf(t, "statefulsets", set)}}
	was.Objects[0].Resource.Group = "apps"
	shop := objectOf(t, "namespaces", "{metadata: {name: shop}}")
	shop.Namespace = ""
	was.Objects = append(was.Objects, shop)
	now := &snapshot{Objects: append(slices.Clone(was.Objects),
		objectOf(t, "configmaps", "{metadata: {name: kube-root-ca.crt}}"), objectOf(t, "serviceaccounts", "{metadata: {name: default}}"))}
	for _, name := range []string{"data-db-0", "data-db-1", "data-db-2"} {
		now.Objects = append(now.Objects, objectOf(t, "persistentvolumeclaims", "{metadata: {name: "+name+"}}"))
	}
	b, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	read := &snapshot{}
	if err := utiljson.Unmarshal(b, read); err != nil {
		t.Fatal(err)
	}
	for _, before := range []*snapshot{was, read} {
		found := before.differences(now)
		if len(found) != 1 || found[0].String() != "persistentvolumeclaims/data-db-2 in namespace shop was not there, is there" {
			t.Errorf("found %v", found)
		}
	}
}

func TestNodesDiffer(t *testing.T) {
	t.Parallel()
	was := nodeOf(&corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "node.kubernetes.io/not-ready", Effect: "NoExecute"}}}})
	was.Labels = map[string]string{"a": "1", "b": ""}
	is := node{
		Labels: map[string]string{"a": "2", "c": "3"}, Unschedulable: true,
		Taints: []corev1.Taint{{Key: "mine", Value: "x", Effect: "NoSchedule"}},
	}
	var got []string
	for _, d := range was.differences("n", is) {
		got = append(got, d.String())
	}
	want := []string{
		"nodes/n: spec.unschedulable was false, is true",
		`nodes/n: spec.taints was null, is ["mine=x:NoSchedule"]`,
		`nodes/n: metadata.labels.a was "1", is "2"`,
		`nodes/n: metadata.labels.b was "", is not there`,
		`nodes/n: metadata.labels.c was not there, is "3"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d := was.differences("n", was); d != nil {
		t.Errorf("a node differs from itself: %v", d)
	}
	now := &corev1.Node{Spec: corev1.NodeSpec{Taints: append(is.Taints, corev1.Taint{Key: "node.kubernetes.io/unschedulable"})}}
	now.Labels = is.Labels
	patch := was.patch(now)
	spec, _ := patch["spec"].(map[string]any)
	if taints, _ := spec["taints"].([]corev1.Taint); len(taints) != 1 || taints[0].Key != "node.kubernetes.io/unschedulable" {
		t.Errorf("the patch has the taints %v, want the one that Kubernetes set", taints)
	}
	meta, _ := patch["metadata"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"a": "1", "b": "", "c": nil}, meta["labels"]); diff != "" {
		t.Error(diff)
	}
}

func TestShownIsShort(t *testing.T) {
	t.Parallel()
	if got := []rune(shown(strings.Repeat("ä", 300))); len(got) != 101 {
		t.Errorf("%d characters", len(got))
	}
}
