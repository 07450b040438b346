#!/usr/bin/env bash
# Every test that needs a real cluster. The tests of clusters themselves make their own; the labs share one of three
# nodes, made here, or the one that KINDLAB_E2E_CLUSTER names.
set -euo pipefail
cd "$(dirname "$0")/.."
image=$(bin/kindlab image build --quiet)
export KINDLAB_E2E_IMAGE=$image
go test -tags e2e -count=1 -p 1 -timeout 40m ./internal/engine/... ./internal/nodeimage/... ./internal/cluster/...

if [ -z "${KINDLAB_E2E_CLUSTER:-}" ]; then
  export KINDLAB_E2E_CLUSTER=kindlab-test
  trap 'bin/kindlab down --name "$KINDLAB_E2E_CLUSTER"' EXIT
  bin/kindlab up --name "$KINDLAB_E2E_CLUSTER" --nodes 3 --image "$image"
fi
go test -tags e2e -count=1 -p 1 -timeout 40m ./labs/... ./internal/cli/...
