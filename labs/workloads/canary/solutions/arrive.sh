#!/usr/bin/env bash
# Waits for the proxy.
set -euo pipefail
kubectl rollout status deployment/splitter --timeout=60s
