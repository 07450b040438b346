#!/usr/bin/env bash
# A table of 4 × 3 graded with kubectl run: a pod with the client's labels for each attempt, as most labs do it. The
# network learns of a new pod a moment late, so a pod that should get through tries for a while.
set -uo pipefail
attempt=0
address() { kubectl -n bench-policy get pods -l "app=$1" -o jsonpath='{.items[0].status.podIP}'; }
# connect TRIES CLIENT ADDRESS
connect() {
  attempt=$((attempt + 1))
  kubectl -n bench-policy run "try-$attempt" --labels="app=$2" --image=registry.k8s.io/e2e-test-images/agnhost:2.66.1 \
    --image-pull-policy=IfNotPresent --restart=Never --rm --attach --quiet --command -- \
    sh -c "for i in \$(seq $1); do /agnhost connect $3:8080 --timeout=1s && exit 0; sleep 0.5; done; exit 1" >/dev/null 2>&1
}
allowed() { connect 20 "$@" || { echo "denied: $*" >&2; exit 1; }; }
denied() { ! connect 2 "$@" || { echo "allowed: $*" >&2; exit 1; }; }

db=$(address db) cache=$(address cache) queue=$(address queue)
denied web "$db"; allowed web "$cache"; denied web "$queue"
allowed api "$db"; allowed api "$cache"; allowed api "$queue"
allowed job "$db"; denied job "$cache"; allowed job "$queue"
denied guest "$db"; denied guest "$cache"; denied guest "$queue"
