#!/usr/bin/env bash
set -euo pipefail
kubectl -n studio set env deployment/monitor CUES=cues.stage
kubectl -n foyer set env deployment/screen DOORS=doors.stage.svc
