package check

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

const refusedPod = "admit: {object: {apiVersion: v1, kind: Pod, metadata: {name: x}}, admitted: false, reason: violates PodSecurity}"

func TestAdmit(t *testing.T) {
	t.Parallel()
	pod := schema.GroupResource{Resource: "pods"}
	security := apierrors.NewForbidden(pod, "x", errors.New(`violates PodSecurity "restricted:latest": privileged`))
	quota := apierrors.NewForbidden(pod, "x", errors.New("exceeded quota: small"))
	webhook := apierrors.NewBadRequest(`admission webhook "a.b.c" denied the request: not on Fridays`)
	down := apierrors.NewInternalError(errors.New(`failed calling webhook "a.b.c": connection refused`))
	terminating := apierrors.NewForbidden(pod, "x", errors.New("the namespace goes"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	noRight := apierrors.NewForbidden(pod, "", errors.New(`User "kindlab" cannot create resource "pods" in API group "" in the namespace "shop"`))
	const admitted = "admit: {object: {apiVersion: v1, kind: Pod, metadata: {name: x}}, admitted: true}"
	friday := strings.Replace(refusedPod, "violates PodSecurity", "not on Fridays", 1)
	tests := []struct {
		name, text string
		answer     error
		want       verdict
	}{
		{"admitted", admitted, nil, verdict{}},
		{"refused, and not to be", admitted, security, verdict{failure: `the API server refuses Pod x: pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged, want it admitted`, settling: true}},
		{"refused", refusedPod, security, verdict{}},
		{"refused by a webhook", friday, webhook, verdict{}},
		{"refused for another reason", refusedPod, quota, verdict{failure: "for another reason: pods \"x\" is forbidden: exceeded quota: small, want a refusal that says violates PodSecurity", settling: true}},
		{"admitted, and not to be", refusedPod, nil, verdict{failure: "the API server admits Pod x, want it refused", settling: true}},
		{"from a file", "admit: {fixture: fixtures/pod.yaml, admitted: true}", nil, verdict{}},
		{"a webhook is down", refusedPod, down, verdict{unknown: "failed calling webhook"}},
		{"a webhook is down, nothing refused", admitted, down, verdict{unknown: "failed calling webhook"}},
		{"the namespace goes", refusedPod, terminating, verdict{unknown: "the namespace goes"}},
		{"we have no right", refusedPod, noRight, verdict{unknown: "cannot create resource"}},
		{"a bad object", refusedPod, apierrors.NewBadRequest("strict decoding error"), verdict{unknown: "strict decoding error"}},
		{"too slow", refusedPod, apierrors.NewTimeoutError("slow", 1), verdict{unknown: "slow"}},
		{"no such namespace", refusedPod, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), verdict{unknown: `namespaces "shop" not found`}},
		{"no such kind", "admit: {object: {apiVersion: a/v1, kind: B}, admitted: true}", nil, verdict{unknown: "finding kind B on the cluster"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, dyn := clusterOf()
			c.Quick = true
			dyn.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
				create := a.(clienttesting.CreateActionImpl)
				if len(create.CreateOptions.DryRun) != 1 || create.GetNamespace() != "shop" {
					t.Errorf("created for real, or elsewhere: %+v", create)
				}
				return true, create.GetObject(), tt.answer
			})
			check, problems := compileWith(t, tt.text)
			if problems != nil {
				t.Fatal(problems)
			}
			tt.want.check(t, check.Run(t.Context(), c))
		})
	}
}

func TestAdmitWhenTheNameIsTaken(t *testing.T) {
	t.Parallel()
	c, _, dyn := clusterOf()
	var names []string
	dyn.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		o := a.(clienttesting.CreateAction).GetObject()
		names = append(names, o.(metav1.Object).GetName())
		if len(names) == 1 {
			return true, nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "pods"}, "x")
		}
		return true, o, nil
	})
	check := mustCompile(t, "admit: {object: {apiVersion: v1, kind: Pod, metadata: {name: x}}, admitted: true}")
	verdict{}.check(t, check.Run(t.Context(), c))
	if len(names) != 2 || !strings.HasPrefix(names[1], "x-") {
		t.Errorf("tried %q, want x and another name", names)
	}
}

// A policy that was made a moment ago is not heard of everywhere yet.
func TestAdmitAsksAgain(t *testing.T) {
	t.Parallel()
	c, _, dyn := clusterOf()
	tries := 0
	dyn.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if tries++; tries < 3 {
			return true, a.(clienttesting.CreateAction).GetObject(), nil
		}
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("violates PodSecurity"))
	})
	verdict{}.check(t, mustCompile(t, refusedPod).Run(t.Context(), c))
}

func TestProblemsOfAdmit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"{object: {apiVersion: v1, kind: Pod}}":                            `missing key "admitted"`,
		"{object: {apiVersion: v1, kind: Pod}, admitted: false}":           "expected a reason too",
		"{object: {apiVersion: v1, kind: Pod}, admitted: true, reason: x}": "expected no reason",
		"{admitted: true}": "expected either object or fixture",
		"{object: {apiVersion: v1, kind: Pod}, fixture: a.yaml, admitted: true}": "expected either object or fixture",
		"{object: {kind: Pod}, admitted: true}":                                  "expected a manifest with apiVersion and kind",
		"{object: [Pod], admitted: true}":                                        "expected a manifest with apiVersion and kind",
		"{fixture: fixtures/nope.yaml, admitted: true}":                          "nope.yaml",
		"{fixture: fixtures/empty.yaml, admitted: true}":                         "expected a manifest with apiVersion and kind",
		"{fixture: fixtures/bad.yaml, admitted: true}":                           "expected one manifest in it",
		"{fixture: fixtures, admitted: true}":                                    "found a folder",
		"{fixture: ../one/fixtures/pod.yaml, admitted: true}":                    "expected a path inside the lab's folder",
		"{object: {apiVersion: v1, kind: Pod}, admitted: true, as: {}}":          "expected either user or serviceAccount",
	} {
		if _, problems := compileWith(t, "admit: "+text); len(problems) != 1 || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, problems, want)
		}
	}
}

func TestPlainYAML(t *testing.T) {
	t.Parallel()
	check, problems := compileWith(t, `admit: {admitted: true, object: {apiVersion: v1, kind: Pod, a: 1, b: true, c: "1", d: [x, {y: 0.5}], e: null}}`)
	if problems != nil {
		t.Fatal(problems)
	}
	if got, want := inline(check.(admit).object, 0), "{a: 1, apiVersion: v1, b: true, c: 1, d: [x, {y: 0.5}], e: nothing, kind: Pod}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, number := check.(admit).object["a"].(int64); !number {
		t.Errorf("a is a %T, want an int64 as clients have it", check.(admit).object["a"])
	}
}
