#!/usr/bin/env bash
set -euo pipefail
kubectl create service externalname tracking --external-name tracking.couriers.svc.cluster.local
kubectl patch service stamps --type merge -p '{"spec":{"externalName":"stamps.couriers.svc.cluster.local"}}'
# Headless: the name leads to the pod itself, and no port is translated.
kubectl delete service scale
kubectl create service clusterip scale --clusterip=None --tcp=8080
