#!/usr/bin/env bash
set -euo pipefail
kubectl -n studio set env deployment/monitor CUES=cue-list.stage.svc.cluster.local.
kubectl -n foyer set env deployment/screen DOORS=doors.stage.svc.cluster.local.
