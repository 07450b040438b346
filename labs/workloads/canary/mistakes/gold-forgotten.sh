#!/usr/bin/env bash
set -euo pipefail
kubectl create service clusterip proof --tcp=80:8080
kubectl set selector service proof 'app=front,release=two'
kubectl scale deployment front-one --replicas=4
kubectl scale deployment front-two --replicas=1
kubectl set selector service front app=front
