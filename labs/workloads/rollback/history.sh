# Two releases after March: May runs, June does not start.
set -euo pipefail

release() { # cause, edition, flags
  kubectl patch deployment/catalogue -p "
metadata: {annotations: {kubernetes.io/change-cause: $1}}
spec: {template: {spec: {containers: [{name: catalogue, env: [{name: EDITION, value: $2}, {name: FLAGS, value: \"$3\"}]}]}}}"
}
revision() { kubectl wait --timeout=60s --for=jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}'="$1" deployment/catalogue; }

revision 1
release "May edition" may ""
kubectl rollout status --timeout=60s deployment/catalogue
release "June edition" june --recommend
revision 3
