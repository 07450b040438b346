#!/usr/bin/env bash
# Kubernetes' own end-to-end suite, built from the recipe's module, against a three-node cluster of the built node
# image. On demand: building takes about 3 minutes after `kindlab image build` (about 11 from nothing, on 2 cores),
# running about 15. What failed decides the exit code; conformance.md keeps the table of the last run.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
name=kindlab-conformance
cleanup() { bin/kindlab down --name "$name" >/dev/null 2>&1 || true; rm -rf "$work"; }
trap cleanup EXIT

bin/kindlab image build
cp -r manifests/node/_src "$work/src"
mv "$work/src/gomod" "$work/src/go.mod"
mv "$work/src/gosum" "$work/src/go.sum"
version=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$work/src/go.mod")
echo "Building the suite of Kubernetes $version …"
(cd "$work/src" && CGO_ENABLED=0 GOWORK=off GOFLAGS= go test -c -trimpath -o "$work/e2e.test" \
  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" k8s.io/kubernetes/test/e2e)

bin/kindlab up --name "$name" --nodes 3
kubeconfig=$(bin/kindlab status --name "$name" --output json | sed -n 's/.*"kubeconfig": "\(.*\)".*/\1/p')

failed=0
table="| specs | passed | failed | time |\n|---|---|---|---|"
# run TITLE FOCUS: runs the specs and adds a row.
run() {
  local started=$SECONDS passes fails
  "$work/e2e.test" --kubeconfig="$kubeconfig" --provider=local --ginkgo.no-color --ginkgo.skip='\[Slow\]|SCTP' \
    --ginkgo.focus="$2" > "$work/log" 2>&1 || failed=1
  passes=$(grep -oE '[0-9]+ Passed' "$work/log" | tail -n 1 | cut -d' ' -f1)
  fails=$(grep -oE '[0-9]+ Failed' "$work/log" | tail -n 1 | cut -d' ' -f1)
  [ "${fails:-1}" = 0 ] || grep -E '^ *\[FAIL\]' "$work/log" | sort -u || true
  table+="\n| $1 | ${passes:-?} | ${fails:-?} | $((SECONDS - started)) s |"
}
run 'sig-network Services, DNS, EndpointSlice (conformance)' '\[sig-network\] (Services|DNS|EndpointSlice).*\[Conformance\]'
run 'sig-apps StatefulSet (conformance)' '\[sig-apps\] StatefulSet.*\[Conformance\]'
run 'sig-network NetworkPolicy' 'Netpol NetworkPolicy between server and client should (support a .default-deny-(ingress|all). policy|support allow-all policy|allow ingress access on one named port|enforce policy to allow traffic only from a pod in a different namespace|allow egress access to server in CIDR block)'
echo -e "$table" | tee "$work/table"
{
  echo "# Conformance of the built node image"
  echo
  echo "Kubernetes $version, kube-router $(awk '/kube-router\/v2 v/ {print $2; exit}' "$work/src/go.mod"), kube-proxy in nftables mode, three nodes. Made by \`make conformance\`."
  echo
  cat "$work/table"
} > manifests/node/conformance.md
exit "$failed"
