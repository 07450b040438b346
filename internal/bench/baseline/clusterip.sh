#!/usr/bin/env bash
# services/clusterip graded with kubectl: each Service asked from the pods, and the pods that answered compared.
set -euo pipefail
pods() { kubectl -n bakery get pods -l "$1" -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
# answers NAMESPACE POD URL: the pods that answer in 12 tries.
answers() { kubectl -n "$1" exec "$2" -- sh -c "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do curl -fsS -m 2 $3 && echo; done" | sort -u; }

till=$(pods app=till)
[ "$(answers bakery "$till" http://bread/hostname)" = "$(pods app=oven,batch=fresh)" ]
kubectl -n street exec deploy/stall -- curl -fsS -m 2 http://bread.bakery/hostname | grep -qxF "$(pods app=oven,batch=fresh)"
[ "$(answers bakery "$till" http://cakes/hostname)" = "$(pods app=cakes)" ]
kubectl -n bakery rollout status deployment/oven --timeout=5s
kubectl -n bakery rollout status deployment/oven-trial --timeout=5s
