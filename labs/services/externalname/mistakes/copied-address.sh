#!/usr/bin/env bash
set -euo pipefail
address=$(kubectl -n couriers get service tracking -o jsonpath='{.spec.clusterIP}')
kubectl apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: tracking}
spec:
  ports: [{port: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: tracking, labels: {kubernetes.io/service-name: tracking}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: ["$address"]}]
---
apiVersion: v1
kind: Service
metadata: {name: stamps}
spec:
  type: ExternalName
  externalName: stamps.couriers.svc.cluster.local
---
apiVersion: v1
kind: Service
metadata: {name: scale}
spec:
  type: ClusterIP
  externalName: null
  selector: {app: scale}
  ports: [{port: 8080}]
EOF
