package verify

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/kindlab-dev/kindlab/labs"
)

func TestScriptsThatChangeObjectsOnly(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]bool{
		"": true,
		"#!/usr/bin/env bash\nset -euo pipefail\n\n# note; it\nkubectl scale deployment web --replicas=4": true,
		"kubectl set selector service gold 'app=front,release=one'":                                       true,
		"kubectl -n studio set env deployment/monitor CUES=cues.stage":                                    true,
		"kubectl patch service front -p '{\"spec\":{\"type\":\"$x\"}}'":                                   true,
		"kubectl patch deployment front --type json -p \\\n  '[{\"op\":\"remove\"}]'":                     true,
		"kubectl annotate --overwrite deployment/web kubernetes.io/change-cause=\"back; to March\"":       true,
		"kubectl create service clusterip proof --tcp=80:8080":                                            true,
		"kubectl delete service web": true,

		"kubectl exec deploy/web -- rm /data":                    false,
		"kubectl cp a web:/b":                                    false,
		"kubectl run once --image=x":                             false,
		"kubectl create job once --image=x":                      false,
		"kubectl label pod -l app=web a=b":                       false,
		"kubectl annotate pods --all a=b":                        false,
		"kubectl delete service/web pod/web-1":                   false,
		"kubectl delete pod,service web":                         false,
		"kubectl scale statefulset db --replicas=0":              false,
		"kubectl apply -f setup.yaml":                            false,
		"kubectl delete -f setup.yaml":                           false,
		"kubectl create --raw /api/v1/x":                         false,
		"kubectl patch deployment web --subresource=status -p x": false,
		"kubectl rollout undo deployment/web":                    false,
		"kubectl --namespace=shop scale deployment web":          false,
		"kubectl":                                      false,
		"kubectl set":                                  false,
		"kubectl set env":                              false,
		"kubectl scale deployment web; rm -r x":        false,
		"kubectl scale deployment web && x":            false,
		"kubectl scale deployment $name":               false,
		"kubectl scale deployment \"$(name)\"":         false,
		"kubectl patch service x -p 'a' 'b":            false,
		"kubectl patch service x -p '\n'; rm -r x":     false,
		"kubectl scale deployment web # x\nrm -r x":    false,
		"set -e; rm x":                                 false,
		"set -euo pipefail\nset -- x":                  false,
		"curl -s http://web":                           false,
		"if kubectl scale deployment web; then x; fi":  false,
		"release() {\nkubectl scale deployment web\n}": false,
	} {
		if got := shown(script); got != want {
			t.Errorf("%q: %t", script, got)
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
