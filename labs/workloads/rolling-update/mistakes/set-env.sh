kubectl set env deployment/board TIMETABLE=summer
kubectl rollout status deployment/board --timeout=30s
