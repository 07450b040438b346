#!/usr/bin/env bash
# Lets the frontend in by the address that its pod has today.
set -euo pipefail
address=$(kubectl get pods -l app=frontend -o jsonpath='{.items[0].status.podIP}')
kubectl apply -f - <<POLICY
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
  - from: [{ipBlock: {cidr: $address/32}}]
    ports: [{port: 5432}]
  - from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: agency}}
      podSelector: {matchLabels: {app: monitor}}
    ports: [{port: 9187}]
POLICY
