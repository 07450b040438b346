//go:build e2e

package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kinds "github.com/kindlab-dev/kindlab/internal/check"
	"github.com/kindlab-dev/kindlab/internal/engine"
	"github.com/kindlab-dev/kindlab/internal/lab"
	"github.com/kindlab-dev/kindlab/internal/stage"
)

// running opens the cluster that KINDLAB_E2E_KUBECONFIG belongs to: kindlab keeps it at
// <state>/clusters/<name>/kubeconfig.
func running(t *testing.T) *Cluster {
	t.Helper()
	file := os.Getenv("KINDLAB_E2E_KUBECONFIG")
	if file == "" {
		t.Fatal("KINDLAB_E2E_KUBECONFIG names no cluster: run make e2e, or kindlab up and set it")
	}
	folder := filepath.Dir(file)
	state := filepath.Dir(filepath.Dir(folder))
	e, err := engine.Find(t.Context(), engine.Options{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Activate(func(k, v string) error { t.Setenv(k, v); return nil }); err != nil {
		t.Fatal(err)
	}
	c, err := NewManager(e, state, nil, time.Now).Open(t.Context(), filepath.Base(folder))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scripted is a lab with these scripts, in a namespace that goes with the test.
func scripted(t *testing.T, c *kinds.Cluster, scripts map[string]string) *lab.Lab {
	t.Helper()
	fsys := fstest.MapFS{"stage/script/lab.yaml": {Data: []byte(`apiVersion: kindlab.dev/v1
kind: Lab
metadata: {name: script, topic: stage}
spec: {title: Scripts, level: beginner, minutes: 5, namespaces: [stage-script], setup: {apply: setup},
  tasks: [{name: a, title: A, checks: [look: {}]}], solutions: [], mistakes: []}
`)}}
	fsys["stage/script/setup/a.yaml"] = &fstest.MapFile{Data: []byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: menu}}")}
	for name, text := range scripts {
		fsys["stage/script/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	labs, err := lab.Catalogue(fsys)
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "stage-script"}}
	if _, err := c.Owner.Kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Owner.Kube.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return labs[0]
}

func TestScriptsAreKeptInTheirPlace(t *testing.T) {
	own := running(t)
	cfg, err := own.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := kinds.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := scripted(t, c, map[string]string{
		"make.sh": `kubectl create configmap made --from-literal=by=script -n "$NAMESPACE" && kubectl get configmap made`,
		"fail.sh": "echo one; echo two >&2; exit 7",
		"stop.sh": "false\necho went on",
		"hang.sh": "echo waiting; sleep 600",
		"other.sh": `for what in "get secrets -n kube-system" "get secrets -n kindlab-system" "get nodes" "create namespace stage-x"; do
			if kubectl $what; then echo "could $what"; exit 9; fi
		done`,
		"host.sh": `if cat ` + secret + ` 2>/dev/null; then exit 3; fi
			if cat /proc/1/environ | tr '\0' '\n' | grep -i token; then exit 4; fi
			[ "$(id -u)" = 65534 ] || exit 5
			if touch /etc/x 2>/dev/null; then exit 6; fi
			grep -q '^CapEff:.0000000000000000$' /proc/self/status || exit 7
			if ls /var/lib/kubelet/pki 2>/dev/null | grep -q .; then exit 8; fi`,
	})
	scripts := own.Scripts()
	for _, tt := range []struct{ script, want string }{
		{"make.sh", ""},
		{"host.sh", ""},
		{"other.sh", ""},
		{"fail.sh", "script fail.sh ended with exit code 7; its last words:\none\ntwo"},
		{"stop.sh", "script stop.sh ended with exit code 1, and it wrote nothing"},
	} {
		began := time.Now()
		err := stage.Perform(t.Context(), c, l, stage.Step{Run: tt.script}, scripts)
		t.Logf("%s took %s", tt.script, time.Since(began))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.script, err, tt.want)
		}
	}
	made, err := c.Owner.Kube.CoreV1().ConfigMaps("stage-script").Get(t.Context(), "made", metav1.GetOptions{})
	if err != nil || made.Data["by"] != "script" {
		t.Errorf("the script's ConfigMap is %v (%v)", made, err)
	}
	for _, limit := range []time.Duration{time.Millisecond, 8 * time.Second} { // before its container is there, and after
		scripts.limit = limit
		began := time.Now()
		err = stage.Perform(t.Context(), c, l, stage.Step{Run: "hang.sh"}, scripts)
		if err == nil || !strings.Contains(err.Error(), "script hang.sh did not end within "+limit.String()) {
			t.Errorf("a script that hangs: %v", err)
		}
		t.Logf("limit %s: ended after %s: %v", limit, time.Since(began), err)
	}
	scripts.limit = scriptLimit
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := stage.Perform(ctx, c, l, stage.Step{Run: "hang.sh"}, scripts); err == nil || ctx.Err() == nil {
		t.Errorf("interrupted: %v", err)
	}
	out, err := own.manager.engine.Run(t.Context(), "ps", "--all", "--quiet", "--filter", "name=kindlab-script-")
	if err != nil || out != "" {
		t.Errorf("containers left: %q, %v", out, err)
	}
	list, err := c.Owner.Kube.RbacV1().RoleBindings("stage-script").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) > 0 {
		t.Errorf("bindings left: %v, %v", list.Items, err)
	}
}
