#!/usr/bin/env bash
set -euo pipefail
kubectl set selector service gold 'app=front,release=one'
kubectl create service clusterip proof --tcp=80:8080
kubectl set selector service proof 'app=front,release=two'
kubectl set selector service front app=front
