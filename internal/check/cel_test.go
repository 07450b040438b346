package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// fixedObjects are what expressions of tests look at.
const fixedObjects = `
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop, generation: 2, labels: {app: web, tier: front}}
  spec:
    replicas: 2
    paused: false
    selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [front, back]}]}
    strategy: {type: Recreate}
    template:
      metadata: {labels: {app: web, tier: middle}}
      spec:
        initContainers: [{name: setup, image: busybox}]
        containers:
        - {name: web, image: "nginx:1.25", ports: [{containerPort: 80}, {containerPort: 8443}], resources: {limits: {memory: 1Gi}}}
        - {name: log, image: fluent-bit}
  status:
    observedGeneration: 2
    replicas: 2
    updatedReplicas: 2
    availableReplicas: 2
    conditions: [{type: Available, status: "True"}, {type: Progressing, status: "False"}]
- apiVersion: v1
  kind: Pod
  metadata: {name: web-1, labels: {app: web}, ownerReferences: [{kind: ReplicaSet, name: web-6d4}]}
  spec: {nodeName: n1, containers: [{name: web, image: nginx}], volumes: []}
  status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-2, labels: {app: web}}
  spec: {nodeName: n1, containers: [{name: web, image: nginx}], volumes: [{name: data, hostPath: {path: /}}]}
  status: {phase: Pending}
- apiVersion: batch/v1
  kind: CronJob
  metadata: {name: nightly}
  spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: run, image: busybox}]}}}}}
- apiVersion: v1
  kind: Service
  metadata: {name: front}
  spec: {type: ClusterIP, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 9000, targetPort: admin}]}
`

// vars are the variables of an expression about one of the fixed objects, by its name, and its kind's others.
func vars(tb testing.TB, name string) map[string]any {
	tb.Helper()
	raw, err := yaml.YAMLToJSON([]byte(fixedObjects))
	if err != nil {
		tb.Fatal(err)
	}
	var all []any
	// Whole numbers become int64, as in the dynamic client.
	if err := utiljson.Unmarshal(raw, &all); err != nil {
		tb.Fatal(err)
	}
	out := map[string]any{"objects": []any{}}
	for _, o := range all {
		m := o.(map[string]any)
		if m["metadata"].(map[string]any)["name"] == name {
			out["object"] = m
		}
	}
	for _, o := range all {
		if kind := o.(map[string]any)["kind"]; kind == out["object"].(map[string]any)["kind"] {
			out["objects"] = append(out["objects"].([]any), o)
		}
	}
	return out
}

func TestFailuresOfExpressions(t *testing.T) {
	t.Parallel()
	d := newDialect()
	tests := []struct{ object, text, is, want string }{
		// One field.
		{"web", "object.spec.replicas >= 3", "spec.replicas = 2", ">= 3"},
		{"web", "3 <= object.spec.replicas", "spec.replicas = 2", ">= 3"},
		{"web", "object.spec.replicas == 3", "spec.replicas = 2", "3"},
		{"web", "object.spec.replicas != 2", "spec.replicas = 2", "anything but 2"},
		{"web", "!(object.spec.replicas == 2)", "spec.replicas = 2", "anything but 2"},
		{"web", "!(object.spec.replicas < 3)", "spec.replicas = 2", ">= 3"},
		{"web", "object.spec.paused", "spec.paused = false", "true"},
		{"web", "object.spec.strategy.type in ['RollingUpdate', 'OnDelete']", "spec.strategy.type = Recreate", "one of RollingUpdate, OnDelete"},
		{"web", "!(object.spec.strategy.type in ['Recreate'])", "spec.strategy.type = Recreate", "none of Recreate"},
		{"web", "'team' in object.metadata.labels", "metadata.labels = {app: web, tier: front}", "team in it"},
		{"web", "!('app' in object.metadata.labels)", "metadata.labels = {app: web, tier: front}", "no app in it"},
		{"web", "object.metadata.name.startsWith('api')", "metadata.name = web", "one that starts with api"},
		{"web", "!object.metadata.name.matches('^w')", "metadata.name = web", "one that does not match ^w"},
		{"web", "object.metadata.labels.tier == object.spec.template.metadata.labels.tier", "metadata.labels.tier = front", "middle (spec.template.metadata.labels.tier)"},
		{"web", "object.metadata.labels['app'] == 'api'", "metadata.labels[app] = web", "api"},
		{"web", "object.spec.?minReadySeconds.orValue(0) > 0", "spec.minReadySeconds = 0", "> 0"},
		{"web", "object.spec.?suspended.orValue(false)", "spec.suspended = false", "true"},
		{"web", "object.spec['paused']", "spec[paused] = false", "true"},
		// Fields that are not there.
		{"web", "has(object.spec.template.spec.nodeSelector)", "spec.template.spec.nodeSelector is not set", ""},
		{"web", "!has(object.spec.strategy)", "spec.strategy = {type: Recreate}", "it not set"},
		{"web", "has(object.spec.nothing.here)", "spec.nothing is not set", ""},
		{"web", "object.spec.template.spec.priorityClassName == 'high'", "spec.template.spec.priorityClassName is not set", "high"},
		{"web", "object.spec.nothing.here.at.all == 1", "spec.nothing is not set", "1"},
		{"web", "object.spec.template.spec.containers[2].image == 'x'", "spec.template.spec.containers[2] is not set", "x"},
		{"web", "object.metadata.labels.app == object.spec.other", "metadata.labels.app = web", "the same as spec.other, which is not set"},
		{"web", "size(object.spec.volumes) > 0 && true", "spec.volumes is not set", "> 0"},
		// Several.
		{"web", "object.spec.replicas == 2 && object.spec.paused && object.spec.nothing", "spec.paused = false", "true"},
		{"web", "object.spec.paused || object.spec.replicas >= 3", "spec.paused = false, spec.replicas = 2", "spec.paused true or spec.replicas >= 3"},
		{"web", "object.spec.replicas == 3 || object.spec.replicas == 4", "spec.replicas = 2", "3 or 4"},
		{"web", "!(object.spec.replicas == 2 && object.metadata.name == 'web')", "spec.replicas = 2, metadata.name = web", "spec.replicas anything but 2 or metadata.name anything but web"},
		{"web", "object.spec.replicas > 5 ? true : object.spec.paused", "spec.paused = false", "true"},
		// Elements.
		{"web", "object.spec.template.spec.containers.all(c, c.image == 'nginx:1.27')", "spec.template.spec.containers[web].image = nginx:1.25, spec.template.spec.containers[log].image = fluent-bit", "nginx:1.27"},
		{"web", "object.spec.template.spec.containers.all(c, has(c.resources))", "spec.template.spec.containers[log].resources is not set", ""},
		{"web", "object.spec.template.spec.containers.exists(c, c.image.startsWith('envoy'))", "spec.template.spec.containers[web].image = nginx:1.25, spec.template.spec.containers[log].image = fluent-bit", `one with image.startsWith("envoy")`},
		{"web", "!object.spec.template.spec.containers.exists(c, c.name == 'log')", "spec.template.spec.containers[log].name = log", "anything but log"},
		{"web", "object.spec.template.spec.containers.exists_one(c, c.image != '')", `the number of spec.template.spec.containers with image != "" = 2`, "1"},
		{"web", "object.spec.template.spec.containers.all(c, has(c.ports) && c.ports.exists(p, p.containerPort == 80))", "spec.template.spec.containers[log].ports is not set", ""},
		{"web", "object.spec.template.spec.containers.exists(c, c.name == 'web' && c.ports.all(p, p.containerPort < 1024))", "spec.template.spec.containers[web].ports[1].containerPort = 8443, spec.template.spec.containers[log].name = log", `one with name == "web" && ports.all(p, p.containerPort < 1024)`},
		{"web-1", "object.spec.volumes.exists(v, has(v.persistentVolumeClaim))", "spec.volumes is empty", "one with has(persistentVolumeClaim)"},
		{"web", "object.spec.other.exists(v, v == 1)", "spec.other is not set", ""},
		{"web", "object.metadata.labels.all(k, k == 'app')", "the key tier of metadata.labels = tier", "app"},
		{"web-2", "objects.all(p, p.status.phase == 'Running')", "Pod web-2: status.phase = Pending", "Running"},
		{"web-2", "objects.all(p, ready(p))", "Pod web-2 is not ready", ""},
		{"web-2", "objects.filter(p, ready(p)).size() == 2", "the number of pods with ready = 1", "2"},
		{"web-2", "objects.size() == 3", "the number of pods = 2", "3"},
		{"web-2", "objects.all(p, p.spec.volumes.all(v, !has(v.hostPath)))", "Pod web-2: spec.volumes[data].hostPath = {path: /}", "it not set"},
		{"web-2", "objects.all(p, objects.all(o, o.metadata.name == p.metadata.name || o.spec.nodeName != p.spec.nodeName))", "Pod web-2: metadata.name = web-2, Pod web-2: spec.nodeName = n1, Pod web-1: metadata.name = web-1, Pod web-1: spec.nodeName = n1", ""},
		{"web", "cel.bind(c, container(object, 'web'), c.image == 'nginx:1.27')", "container web: image = nginx:1.25", "nginx:1.27"},
		// Functions.
		{"web", "container(object, 'web').image == 'nginx:1.27'", "container web: image = nginx:1.25", "nginx:1.27"},
		{"web", "container(object, 'nope').image == 'nginx:1.27'", "there is no container nope", "nginx:1.27"},
		{"web", "quantity(container(object, 'web').resources.limits.memory).isLessThan(quantity('512Mi'))", "container web: resources.limits.memory = 1Gi", ""},
		{"web", "condition(object, 'Progressing') == 'True'", "condition Progressing = False", "True"},
		{"web-2", "condition(object, 'Ready') == 'True'", `condition Ready = ""`, "True"},
		{"web-2", "owner(object, 'ReplicaSet') != ''", `owner ReplicaSet = ""`, `anything but ""`},
		{"web-2", "ready(object)", "it is not ready", ""},
		{"web", "!ready(object)", "it is ready", ""},
		{"web", "selects(object.spec.selector, object.spec.template.metadata.labels)", "spec.selector {matchExpressions: [{key: tier, operator: In, values: [front, back]}], matchLab… does not select spec.template.metadata.labels {app: web, tier: middle}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			p, err := d.compile(tt.text, cel.BoolType)
			if err != nil {
				t.Fatal(err)
			}
			ok, saw, err := p.eval(t.Context(), vars(t, tt.object))
			if ok || err != nil {
				t.Fatalf("got %t and %v, want a no", ok, err)
			}
			if saw.is != tt.is || tt.want != "" && saw.want != tt.want {
				t.Errorf("got  %s, want %s\nwant %s, want %s", saw.is, saw.want, tt.is, tt.want)
			}
		})
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	d := newDialect()
	tests := []struct {
		object, text string
		want         any // true, false, or a part of the error
	}{
		{"web", "selects({}, {'app': 'web'})", true},
		{"web", "selects({'app': 'web'}, object.metadata.labels)", true},
		{"web", "selects({'app': 'web', 'x': 'y'}, object.metadata.labels)", false},
		{"web", "selects(object.spec.selector, object.metadata.labels)", true},
		{"web", "selects({'matchExpressions': [{'key': 'app', 'operator': 'Exists'}]}, {'app': ''})", true},
		{"web", "selects({'matchExpressions': [{'key': 'app', 'operator': 'DoesNotExist'}]}, {'app': ''})", false},
		{"web", "selects({'matchExpressions': [{'key': 'app', 'operator': 'Sometimes'}]}, {'app': ''})", "expected a label selector"},
		{"web", "selects(object.spec.replicas, {})", "selects() expected an object, found 2"},
		{"web", "selects({}, object.spec.replicas)", "selects() expected labels, found 2"},
		{"web", "ready(object)", true},
		{"web-1", "ready(object)", true},
		{"web-2", "ready(object)", false},
		{"nightly", "ready(object)", "ready() knows a Pod"},
		{"web-1", "ready({'kind': 'Job', 'status': {'conditions': [{'type': 'Complete', 'status': 'True'}]}})", true},
		{"web-1", "ready({'kind': 'DaemonSet', 'status': {'desiredNumberScheduled': 2, 'updatedNumberScheduled': 2, 'numberAvailable': 1}})", false},
		{"web-1", "ready({'kind': 'Deployment', 'metadata': {'generation': 2}, 'status': {'observedGeneration': 1, 'updatedReplicas': 1, 'availableReplicas': 1}})", false},
		{"web-1", "ready({'kind': 'Pod', 'metadata': {'deletionTimestamp': 'now'}, 'status': {'conditions': [{'type': 'Ready', 'status': 'True'}]}})", false},
		{"web", "condition(object, 'Available') == 'True' && condition(object, 'Nope') == ''", true},
		{"web-1", "condition({'status': 'odd'}, 'Ready') == ''", true},
		{"web-1", "container(object, 'web').image == 'nginx'", true},
		{"web", "container(object, 'setup').image == 'busybox'", true},
		{"nightly", "container(object, 'run').image == 'busybox'", true},
		{"web-1", "owner(object, 'ReplicaSet') == 'web-6d4' && owner(object, 'Job') == ''", true},
		{"web-1", "ready(object.metadata.name)", "ready() expected an object, found web-1"},
		{"web-1", "quantity('1Gi').isGreaterThan(quantity('1Mi')) && ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.1.1')", true},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			p, err := d.compile(tt.text, cel.BoolType)
			if err != nil {
				t.Fatal(err)
			}
			ok, _, err := p.eval(t.Context(), vars(t, tt.object))
			switch want := tt.want.(type) {
			case bool:
				if ok != want || err != nil {
					t.Errorf("got %t and %v, want %t", ok, err, want)
				}
			case string:
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want the error %s", err, want)
				}
			}
		})
	}
}

// Whatever a lab's author writes, grading goes on.
func TestHostileExpressionsAreStopped(t *testing.T) {
	t.Parallel()
	const ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
	// Each level binds a list of the one before, twice: the last holds 2^40 numbers.
	grow := func(step, end string) string {
		text := "cel.bind(a0, [1, 1], "
		for i := range 40 {
			text += fmt.Sprintf("cel.bind(a%d, %s, ", i+1, strings.ReplaceAll(step, "$", fmt.Sprintf("a%d", i)))
		}
		return text + strings.ReplaceAll(end, "$", "a40") + strings.Repeat(")", 41)
	}
	chain := func(step, end string) string { return "[[1, 1]]" + strings.Repeat(step, 40) + end }
	tests := []struct{ name, text, want string }{
		{"loops in loops", strings.Repeat(ten+".all(x, ", 6) + "object.spec.replicas <= x + 2" + strings.Repeat(")", 6), "operation "}, // by its cost, or on a slow machine by its time
		{"loops of functions", strings.Repeat(ten+".all(x, ", 5) + "!ready(objects[0])" + strings.Repeat(")", 5), ""},
		{"lists of lists", grow("[$, $]", "$ == $"), "builds too much"},
		{"lists added", grow("$ + $", "$ == $"), "builds too much"},
		{"maps of maps", grow("{'a': $, 'b': $}", "$ == $"), "builds too much"},
		{"lists in a chain", chain(".map(a, [a, a])", " == []"), "builds too much"},
		{"texts added", strings.Replace(grow("$ + $", "$ == $"), "[1, 1]", "'aa'", 1), "builds too much"},
		{"a text replaced by itself", "object.metadata.name.replace('', 'a') == ''", "replace is not offered"},
		{"a text joined", "['a'].join('a') == ''", "join is not offered"},
		{"a text with a width", "'%.999999999f'.format([1.0]) == ''", "format is not offered"},
		{"a pattern that is computed", "object.metadata.name.matches(object.metadata.name + '*')", "as its pattern"},
		{"a pattern that is long", "object.metadata.name.matches('" + strings.Repeat("a", 201) + "')", "as its pattern"},
		{"a pattern that is bad", "object.metadata.name.matches('(')", "invalid matches argument"},
		{"brackets", strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), "recursion"},
		{"a long text", "'" + strings.Repeat("a", 5000) + "' == ''", "size exceeds limit"},
	}
	d := newDialect()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			p, err := d.compile(tt.text, cel.BoolType)
			if err == nil {
				_, _, err = p.eval(t.Context(), vars(t, "web"))
			}
			if took := time.Since(start); took > 5*maxTime {
				t.Errorf("took %s", took)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestExpressionsHaveALimitOfCost(t *testing.T) {
	t.Parallel()
	const ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
	p, err := newDialect().compile(strings.Repeat(ten+".all(x, ", 6)+"object.spec.replicas <= x + 2"+strings.Repeat(")", 6), cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	run, err := p.run()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = run.ContextEval(t.Context(), vars(t, "web")); err == nil || !strings.Contains(err.Error(), "cost limit exceeded") {
		t.Errorf("got %v for a million comparisons, want the limit", err)
	}
}

func TestExpressionsAreInterrupted(t *testing.T) {
	t.Parallel()
	p, err := newDialect().compile("objects.all(a, objects.all(b, objects.all(c, a.metadata.name != 'x' + b.metadata.name + c.metadata.name)))", cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the learner went away"))
	in := vars(t, "web-1")
	for range 5 {
		in["objects"] = append(in["objects"].([]any), in["objects"].([]any)...)
	}
	if _, _, err := p.eval(ctx, in); err == nil || !strings.Contains(err.Error(), "the learner went away") {
		t.Errorf("got %v, want the cause", err)
	}
}

// FuzzCEL looks for an expression that panics or hangs, on its way through compiling, running and explaining.
func FuzzCEL(f *testing.F) {
	for _, text := range []string{
		"object.spec.replicas >= 3 || has(object.spec.x)", "object.spec.template.spec.containers.all(c, c.ports.exists(p, p.containerPort == 81))",
		"selects(object.spec.selector, {'app': 'x'}) && ready(objects[0])", "cel.bind(a, [1], a.map(x, x + 1) == [3])",
		"container(object, 'web').image.matches('^a+$')", "object.?spec.?x.orValue({}) != {} ? owner(object, 'a') == '' : condition(object, 'b') in ['c']",
		"objects.exists_one(o, o.metadata.name[0] == 'a')", "quantity('1Gi').compareTo(quantity(object.spec.paused)) < 0", "duration('1s') < timestamp('2020-01-01T00:00:00Z') - timestamp('2020-01-01T00:00:00Z')",
	} {
		f.Add(text)
	}
	d, in := newDialect(), vars(f, "web")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := d.compile(text, cel.BoolType)
		if err != nil {
			return
		}
		start := time.Now()
		ok, saw, err := p.eval(t.Context(), in)
		if err == nil && !ok && saw.is == "" {
			t.Errorf("%q is false without a word", text)
		}
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Errorf("%q: %v", text, err)
		}
		if took := time.Since(start); took > 5*maxTime {
			t.Errorf("%q took %s", text, took)
		}
	})
}

// BenchmarkFiftyLabs is what loading the checks of fifty labs may cost in CEL: eight expressions each.
func BenchmarkFiftyLabs(b *testing.B) {
	for b.Loop() {
		d := newDialect()
		for i := range 400 {
			text := fmt.Sprintf("object.spec.replicas >= %d && object.spec.template.spec.containers.all(c, c.image.startsWith('nginx:') && has(c.resources.limits))", i)
			if _, err := d.compile(text, cel.BoolType); err != nil {
				b.Fatal(err)
			}
		}
	}
}
