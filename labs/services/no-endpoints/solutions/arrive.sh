#!/usr/bin/env bash
# Waits until the new pods have taken over.
set -euo pipefail
kubectl rollout status deployment/passes --timeout=60s
kubectl rollout status deployment/wind --timeout=60s
kubectl rollout status deployment/lift --timeout=60s
