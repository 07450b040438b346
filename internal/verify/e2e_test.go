//go:build e2e

package verify_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/site/sitetest"
	"github.com/kindlab-dev/kindlab/internal/stage"
	"github.com/kindlab-dev/kindlab/internal/verify"
)

// ledger is a lab without pods: one ConfigMap is the answer.
const ledger = `apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: NAME, topic: proof}
spec:
  title: The ledger
  level: beginner
  minutes: 5
  namespaces: [proof-NAME]
  setup: {apply: setup.yaml READY}
  tasks:
  - name: page
    title: There is a page
    checks: [{object: {kind: ConfigMap, name: page, expect: ["object.data.text == 'right'"]}}]
  safeguards:
  - object: {kind: ConfigMap, name: cover}
  solutions:
  - {title: by hand, apply: right.yaml}
  - {title: by script, run: right.sh}
  mistakes:
  - {title: wrong text, apply: wrong.yaml, fails: [page], says: data.text = wrong}
  - {title: torn, delete: [configmap/cover], fails: [page, safeguards], says: cover}
  - {title: half, apply: other.yaml, fails: [page], says: page}
`

func proofLab(t *testing.T, name, script string, setup ...string) *lab.Lab {
	t.Helper()
	ready := ""
	if len(setup) > 0 {
		ready = ", ready: [deployment/web]"
	}
	fsys := fstest.MapFS{}
	put := func(file, text string) { fsys["proof/"+name+"/"+file] = &fstest.MapFile{Data: []byte(text)} }
	put("lab.yaml", strings.NewReplacer("NAME", name, " READY", ready).Replace(ledger))
	put("README.md", "A story.")
	put("debrief.md", "A debrief.")
	put("hints/page.md", "a\n---\nb\n---\nc\n")
	put("setup.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: cover}, data: {text: ledger}}\n---\n"+strings.Join(setup, ""))
	put("right.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: page}, data: {text: right}}")
	put("wrong.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: page}, data: {text: wrong}}")
	put("other.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: leaf}, data: {text: right}}")
	put("right.sh", script)
	l, err := lab.Load(fsys, "proof/"+name, check.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// demolisher stands for a script that gets a namespace deleted, whatever its rights.
type demolisher struct {
	delete func(ctx context.Context) error
}

func (d demolisher) Run(ctx context.Context, _ lab.File, _ []byte, _ map[string]string, _ io.Writer) error {
	return d.delete(ctx)
}

//nolint:tparallel // the site sets the environment of the engine, which a parallel test may not
func TestBadLabsGetOneFindingEachAndTheRestIsProved(t *testing.T) {
	s, _ := sitetest.Open(t)
	const script = "kubectl create configmap page --from-literal=text=right"
	const web = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {
  metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "nowhere.invalid/none:1", imagePullPolicy: Always}]}}}}`
	for _, test := range []struct {
		name   string
		lab    *lab.Lab
		runner stage.Runner
		phase  verify.Phase
		step   string
		words  []string
	}{
		{name: "right", lab: proofLab(t, "right", script)},
		{
			name: "hangs", lab: proofLab(t, "hangs", "echo begun; sleep 600"),
			phase: verify.Perform, step: "solution: by script", words: []string{"right.sh", "did not end within 20s"},
		},
		{
			name: "ends with an error", lab: proofLab(t, "fails", "echo no ink >&2; exit 7"),
			phase: verify.Perform, step: "solution: by script", words: []string{"exit code 7", "no ink"},
		},
		{
			name: "may not delete the namespace", lab: proofLab(t, "forbidden", "kubectl delete namespace $NAMESPACE"),
			phase: verify.Perform, step: "solution: by script", words: []string{"exit code", "cannot delete resource"},
		},
		{name: "deletes the namespace", lab: proofLab(t, "deleted", script), runner: demolisher{func(ctx context.Context) error {
			return s.Owner.Kube.CoreV1().Namespaces().Delete(ctx, "proof-deleted", metav1.DeleteOptions{})
		}}, phase: verify.Grade, step: "solution: by script", words: []string{"namespace proof-deleted was deleted: page is failed, want passed"}},
		{
			name: "an image that nobody has", lab: proofLab(t, "image", script, web),
			phase: verify.Setup, step: "start", words: []string{"container web of pod web-", "Pull"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ground := verify.Ground{Cluster: s.Cluster, Kinds: check.Builtin(), Runner: s.Home.Scripts(), Own: s.Own}
			if test.runner != nil {
				ground.Runner = test.runner
			}
			v := verify.Verifier{Kinds: check.Builtin(), Scene: ground.Scene, Repeat: 1, Generate: -1, Parallel: 1, Limit: 20 * time.Second, Now: time.Now}
			r, err := v.Run(t.Context(), []*lab.Lab{test.lab}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Labs[0]
			t.Logf("%.1f s, phases %v, generated %s", got.Seconds, got.Phases, got.Generated)
			if test.phase == "" {
				if !got.Proved || got.Listed.Percent() != 100 || got.Generated.Tried == 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got.Findings) != 1 {
				t.Fatalf("%d findings, want one: %v", len(got.Findings), got.Findings)
			}
			f := got.Findings[0]
			if f.Phase != test.phase || f.Step != test.step || f.Unclear {
				t.Errorf("finding %+v", f)
			}
			for _, words := range test.words {
				if !strings.Contains(f.Is, words) {
					t.Errorf("%q is not in %q", words, f.Is)
				}
			}
			if test.phase != verify.Setup && got.Listed.Caught != 3 {
				t.Errorf("the mistakes were not tried: %s", got.Listed)
			}
			if there, err := stage.Started(t.Context(), s.Cluster); err != nil || len(there) > 0 && strings.Contains(strings.Join(there, " "), test.lab.Name) {
				t.Errorf("the lab is on the cluster still: %v, %v", there, err)
			}
		})
	}
}

//nolint:paralleltest // the site sets the environment of the engine, which a parallel test may not
func TestAMendedLabIsProvedWhereItWasMended(t *testing.T) {
	s, _ := sitetest.Open(t)
	ground := verify.Ground{Cluster: s.Cluster, Kinds: check.Builtin(), Runner: s.Home.Scripts(), Own: s.Own}
	cache := &verify.Cache{Dir: t.TempDir(), Key: "grader"}
	prove := func(script string) verify.Lab {
		v := verify.Verifier{
			Kinds: check.Builtin(), Scene: ground.Scene, Cache: cache, Repeat: 1, Generate: -1, Parallel: 1, Limit: 20 * time.Second, Now: time.Now,
		}
		r, err := v.Run(t.Context(), []*lab.Lab{proofLab(t, "mended", script)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.Labs[0]
	}
	broken := prove("exit 7")
	mended := prove("kubectl create configmap page --from-literal=text=right")
	t.Logf("%.1f s, and %.1f s once it was mended, with %d states known", broken.Seconds, mended.Seconds, mended.Known)
	if len(broken.Findings) != 1 || !mended.Proved || mended.Listed != broken.Listed || mended.Generated != broken.Generated {
		t.Errorf("at first %+v, then %+v", broken, mended)
	}
	var steps []string
	for _, step := range mended.Steps {
		steps = append(steps, step.Name)
	}
	if diff := cmp.Diff([]string{"start", "solution: by script", "stop"}, steps); diff != "" {
		t.Error(diff)
	}
}
