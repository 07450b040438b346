#!/usr/bin/env bash
# A table of 4 × 3 graded with kubectl run: a pod with the client's labels for each attempt, as most labs do it.
set -uo pipefail
attempt=0
address() { kubectl -n bench-policy get pods -l "app=$1" -o jsonpath='{.items[0].status.podIP}'; }
connect() {
  attempt=$((attempt + 1))
  kubectl -n bench-policy run "try-$attempt" --labels="app=$1" --image=registry.k8s.io/e2e-test-images/agnhost:2.66.1 \
    --image-pull-policy=IfNotPresent --restart=Never --rm --attach --quiet --command -- \
    /agnhost connect "$2:8080" --timeout=3s >/dev/null 2>&1
}
# A new pod is refused until the network knows it.
allowed() { connect "$@" || connect "$@" || connect "$@" || { echo "denied: $*" >&2; exit 1; }; }
denied() { ! connect "$@" && ! connect "$@" || { echo "allowed: $*" >&2; exit 1; }; }

db=$(address db) cache=$(address cache) queue=$(address queue)
denied web "$db"; allowed web "$cache"; denied web "$queue"
allowed api "$db"; allowed api "$cache"; allowed api "$queue"
allowed job "$db"; denied job "$cache"; allowed job "$queue"
denied guest "$db"; denied guest "$cache"; denied guest "$queue"
