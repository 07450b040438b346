#!/usr/bin/env bash
set -euo pipefail
kubectl -n foyer set env deployment/screen DOORS=doors.stage.svc.cluster.local
