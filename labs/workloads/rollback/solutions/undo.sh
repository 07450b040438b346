set -e
kubectl rollout undo deployment/catalogue --to-revision=1
kubectl annotate --overwrite deployment/catalogue kubernetes.io/change-cause="back to March: May lost half the shelves, June does not start"
