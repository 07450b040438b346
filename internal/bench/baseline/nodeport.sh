#!/usr/bin/env bash
# services/nodeport graded with kubectl and curl: every node asked from outside, the pods that answered compared.
set -euo pipefail
pods() { kubectl -n game get pods -l "$1" -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
season=$(pods app=lobby,season=two)
for node in $(kubectl get nodes -o jsonpath='{.items[*].status.addresses[?(@.type=="InternalIP")].address}'); do
  answered=$(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -fsS -m 2 "http://$node:32080/hostname" && echo; done | sort -u)
  [ "$answered" = "$season" ]
done
bot=$(pods app=bot | head -n 1)
answered=$(kubectl -n game exec "$bot" -- sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -fsS -m 2 http://lobby/hostname && echo; done' | sort -u)
[ "$answered" = "$season" ]
kubectl -n game rollout status deployment/lobby --timeout=5s
kubectl -n game rollout status deployment/lobby-old --timeout=5s
