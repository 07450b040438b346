#!/usr/bin/env bash
# Waits until what was applied has arrived.
set -euo pipefail
for workload in $(kubectl get deployments,statefulsets -o name); do
  kubectl rollout status "$workload" --timeout=120s
done
