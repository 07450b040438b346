#!/usr/bin/env bash
# A table of 4 × 3 graded with kubectl exec into standing pods, pair by pair. A denial has to come twice, as in
# kindlab's own grade.
set -uo pipefail
address() { kubectl -n bench-policy get pods -l "app=$1" -o jsonpath='{.items[0].status.podIP}'; }
connect() { kubectl -n bench-policy exec "deploy/$1" -- /agnhost connect "$2:8080" --timeout=1s >/dev/null 2>&1; }
allowed() { connect "$@" || { echo "denied: $*" >&2; exit 1; }; }
denied() { ! connect "$@" && ! connect "$@" || { echo "allowed: $*" >&2; exit 1; }; }

db=$(address db) cache=$(address cache) queue=$(address queue)
denied web "$db"; allowed web "$cache"; denied web "$queue"
allowed api "$db"; allowed api "$cache"; allowed api "$queue"
allowed job "$db"; denied job "$cache"; allowed job "$queue"
denied guest "$db"; denied guest "$cache"; denied guest "$queue"
