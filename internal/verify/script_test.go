package verify

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/labs"
)

func TestScriptsThatChangeObjectsOnly(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"",
		"#!/usr/bin/env bash\nset -euo pipefail\n\n# note; it\nkubectl scale deployment web --replicas=4",
		"kubectl set selector service gold 'app=front,release=one'",
		"kubectl -n studio set env deployment/monitor CUES=cues.stage",
		"kubectl patch service front -p '{\"spec\":{\"type\":\"$x\"}}'",
		"kubectl patch deployment front --type json -p \\\n  '[{\"op\":\"remove\"}]'",
		"kubectl annotate --overwrite deployment/web kubernetes.io/change-cause=\"back; to March\"",
		"kubectl create service clusterip proof --tcp=80:8080",
		"kubectl delete service web",
	} {
		if !shown(script) {
			t.Errorf("%q is called opaque", script)
		}
	}
	for _, script := range []string{
		"kubectl exec deploy/web -- rm /data",
		"# note \\\nrm -r x",
		"kubectl scale deployment web \\\n# note\nrm -r x",
		"kubectl cp a web:/b",
		"kubectl run once --image=x",
		"kubectl create job once --image=x",
		"kubectl label pod -l app=web a=b",
		"kubectl annotate pods --all a=b",
		"kubectl delete service/web pod/web-1",
		"kubectl delete pod,service web",
		"kubectl scale statefulset db --replicas=0",
		"kubectl apply -f setup.yaml",
		"kubectl delete -f setup.yaml",
		"kubectl create --raw /api/v1/x",
		"kubectl patch deployment web --subresource=status -p x",
		"kubectl rollout undo deployment/web",
		"kubectl --namespace=shop scale deployment web",
		"kubectl",
		"kubectl set",
		"kubectl set env",
		"kubectl scale deployment web; rm -r x",
		"kubectl scale deployment web && x",
		"kubectl scale deployment $name",
		"kubectl scale deployment \"$(name)\"",
		"kubectl patch service x -p 'a' 'b",
		"kubectl patch service x -p '\n'; rm -r x",
		"kubectl scale deployment web # x\nrm -r x",
		"set -e; rm x",
		"set -euo pipefail\nset -- x",
		"curl -s http://web",
		"if kubectl scale deployment web; then x; fi",
		"release() {\nkubectl scale deployment web\n}",
	} {
		if shown(script) {
			t.Errorf("%q is called plain", script)
		}
	}
}

// The catalogue's own: those that reach into a pod, or change one, are known by name.
func TestTheCataloguesScripts(t *testing.T) {
	t.Parallel()
	opaque := map[string]bool{
		"dns/names/mistakes/address.sh": true, "network-policy/only-frontend/mistakes/address.sh": true,
		"services/externalname/mistakes/address.sh": true, "services/no-endpoints/mistakes/label-by-hand.sh": true,
		"workloads/rollback/history.sh": true, "workloads/rollback/mistakes/note-first.sh": true,
		"workloads/rollback/solutions/undo.sh": true, "workloads/rolling-update/mistakes/set-env.sh": true,
	}
	found := 0
	err := fs.WalkDir(labs.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".sh") {
			return err
		}
		found++
		text, err := fs.ReadFile(labs.FS(), path)
		if shown(string(text)) == opaque[path] {
			t.Errorf("%s: %t", path, !opaque[path])
		}
		return err
	})
	if err != nil || found < 15 {
		t.Errorf("%d scripts, %v", found, err)
	}
}
