#!/usr/bin/env bash
# A lab brought back by deleting its namespace and applying its setup again, and waited for if told: reset.sh SETUP-FOLDER [ready]
set -euo pipefail
kubectl create namespace bench-reset-baseline >/dev/null 2>&1 || true
k() { kubectl -n bench-reset-baseline "$@"; }
ready() {
  k rollout status deployment/a deployment/b deployment/c --timeout=120s
  k rollout status statefulset/s --timeout=120s
}
kubectl delete namespace bench-reset-baseline --wait=true
kubectl create namespace bench-reset-baseline
until k get serviceaccount default >/dev/null 2>&1; do sleep 0.05; done
k apply -f "$1"
[ "${2:-}" != ready ] || ready
