#!/usr/bin/env bash
# Every test that needs a real cluster: first the labs, the kinds of checks, explanations, resets and faults, on one of
# three nodes made here (or the one that KINDLAB_E2E_CLUSTER names), then the tests that make and break clusters of
# their own with the same node image, and where that image was built here, the build. One after the other: few hosts
# have room for two clusters. With the word repeat, what labs should answer, KINDLAB_E2E_ROUNDS times, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
suite() { go test -tags e2e -count=1 -p 1 -timeout 40m "$@"; }

borrowed=${KINDLAB_E2E_CLUSTER:-}
export KINDLAB_E2E_CLUSTER=${borrowed:-kindlab-test}
down() { [ -n "$borrowed" ] || bin/kindlab down --name "$KINDLAB_E2E_CLUSTER"; }
trap down EXIT
down # what an interrupted run has left
[ -n "$borrowed" ] || bin/kindlab up --name "$KINDLAB_E2E_CLUSTER" --nodes 3
KINDLAB_E2E_IMAGE=$(bin/kindlab status --name "$KINDLAB_E2E_CLUSTER" --output json | sed -n 's/.*"image": "\(.*\)".*/\1/p')
KINDLAB_E2E_KUBECONFIG=$(bin/kindlab status --name "$KINDLAB_E2E_CLUSTER" --output json | sed -n 's/.*"kubeconfig": "\(.*\)".*/\1/p')
export KINDLAB_E2E_IMAGE KINDLAB_E2E_KUBECONFIG
if [ "${1:-}" = repeat ]; then
  suite -tags e2e,repeat -timeout 12h -v -run '^TestRepeats$' ./labs
  exit
fi
suite ./internal/check/... ./internal/explain/... ./internal/stage/... ./internal/grade/... ./internal/verify/...
suite -run '^TestCluster$' ./internal/cli/...
suite -run '^TestScripts' ./internal/cluster/...
suite -skip '^TestLabs$' ./labs/...
# The whole catalogue, side by side; TestLabs proves the same one by one, for a single lab or topic.
bin/kindlab verify --name "$KINDLAB_E2E_CLUSTER" --output human

down
trap - EXIT
suite -skip '^TestScripts' ./internal/engine/... ./internal/cluster/...
case $KINDLAB_E2E_IMAGE in
localhost/kindlab/*) suite ./internal/nodeimage/... ;;
*) echo "The node image comes from a registry: the tests of building one need a host without." ;;
esac
