#!/usr/bin/env bash
set -euo pipefail
kubectl -n studio set env deployment/monitor CUES="$(kubectl -n stage get pods -l app=cues -o jsonpath='{.items[0].status.podIP}'):8080"
kubectl -n foyer set env deployment/screen DOORS=doors.stage.svc.cluster.local
