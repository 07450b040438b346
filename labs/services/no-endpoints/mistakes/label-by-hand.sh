#!/usr/bin/env bash
set -euo pipefail
kubectl label pod -l app=passes season=winter-26 --overwrite
kubectl patch service wind -p '{"spec":{"ports":[{"port":80,"targetPort":8080}]}}'
kubectl patch deployment lift --type json -p \
  '[{"op":"replace","path":"/spec/template/spec/containers/0/readinessProbe/httpGet/port","value":8080}]'
kubectl rollout status deployment/lift --timeout=120s
