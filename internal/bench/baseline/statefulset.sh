#!/usr/bin/env bash
# storage/statefulset graded with kubectl: names, claims, and a file that outlives its pod.
set -euo pipefail
k() { kubectl -n cafe "$@"; }
k rollout status statefulset/ledger --timeout=30s
for i in 0 1; do
  [ "$(k exec deploy/counter -- curl -fsS -m 2 "http://ledger-$i.ledger:8080/hostname")" = "ledger-$i" ]
done
claims=$(k get pods ledger-0 ledger-1 -o jsonpath='{range .items[*]}{.spec.volumes[*].persistentVolumeClaim.claimName}{"\n"}{end}')
[ "$(sort -u <<<"$claims" | grep -c .)" = 2 ]
k exec ledger-0 -- sh -c "echo $$ > /data/bench"
k delete pod ledger-0 --wait=true
k rollout status statefulset/ledger --timeout=60s
k wait --for=condition=Ready pod/ledger-0 --timeout=60s
[ "$(k exec ledger-0 -- cat /data/bench)" = "$$" ]
k rollout status deployment/counter --timeout=5s
