#!/usr/bin/env bash
# kind alone, and the wait for its pod network: up.sh KIND CLUSTER IMAGE NODES KUBECONFIG
set -euo pipefail
kind=$1 cluster=$2 image=$3 nodes=$4 kubeconfig=$5
engine=${KIND_EXPERIMENTAL_PROVIDER:-docker}
{
  printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnetworking: {kubeProxyMode: nftables, dnsSearch: []}\n'
  printf 'kubeadmConfigPatches: ["{kind: KubeletConfiguration, failCgroupV1: false}"]\nnodes:\n- role: control-plane\n'
  for ((i = 1; i < nodes; i++)); do echo '- role: worker'; done
} | "$kind" create cluster --name "$cluster" --image "$image" --kubeconfig "$kubeconfig" --config - --quiet
kubectl --kubeconfig "$kubeconfig" wait --for=condition=Ready node --all --timeout=120s
for node in $("$engine" ps --format '{{.Names}}' | grep "^$cluster-"); do
  until [ "$("$engine" exec "$node" ip route | grep -c '^10\.244\..* via ')" -ge $((nodes - 1)) ]; do sleep 0.2; done
done
