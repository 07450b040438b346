# Pods that start now read the new Corefile; the rollout tells when they answer.
kubectl -n kube-system rollout status deployment/coredns --timeout=60s
