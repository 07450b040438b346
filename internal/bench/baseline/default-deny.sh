#!/usr/bin/env bash
# network-policy/default-deny graded with kubectl exec, pair by pair: 6 pods, 3 + 6 + 3 denials, 3 lookups that must
# fail and 2 controls. A denial has to come twice, as in kindlab's own grade.
set -uo pipefail
address() { kubectl -n "$1" get pods -l "$2" -o jsonpath='{.items[0].status.podIP}'; }
connect() { kubectl -n "$1" exec "deploy/$2" -- /agnhost connect "$3:8080" --timeout=1s >/dev/null 2>&1; }
look_up() { kubectl -n "$1" exec "deploy/$2" -- timeout 1 dig +short +tries=1 +time=1 kubernetes.default.svc.cluster.local 2>/dev/null | grep -q '^[0-9]'; }
denied() { ! "$@" && ! "$@" || { echo "allowed: $*" >&2; exit 1; }; }

records=$(address clinic app=records) desk=$(address clinic app=desk) locum=$(address clinic shift=night)
visitor=$(address lobby app=visitor) vending=$(address lobby app=vending)
for target in "$records" "$desk" "$locum"; do denied connect lobby visitor "$target"; done
denied connect clinic records "$desk"; denied connect clinic records "$locum"
denied connect clinic desk "$records"; denied connect clinic desk "$locum"
denied connect clinic locum "$records"; denied connect clinic locum "$desk"
for pod in records desk locum; do denied connect clinic "$pod" "$visitor"; denied look_up clinic "$pod"; done
connect lobby visitor "$vending" && look_up lobby visitor
