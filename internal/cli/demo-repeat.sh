#!/usr/bin/env bash
# The demo again and again, with the cluster removed in between: what a newcomer meets in the first minute must never
# fail. ROUNDS says how often (30). Prints a line a round, the output of a round that failed, and how many passed. The
# cluster and the journal are its own: nobody's work is touched.
set -euo pipefail
rounds=${ROUNDS:-30}
export DEMO_CLUSTER=kindlab-demo XDG_STATE_HOME=$PWD/bin/demo-state
passed=0
out=$(mktemp)
down() { bin/kindlab down --name "$DEMO_CLUSTER" >"$out" 2>&1 || { cat "$out"; return 1; }; }
trap 'down; rm -f "$out"' EXIT
down # what an interrupted run has left
for ((round = 1; round <= rounds; round++)); do
  began=$SECONDS
  if bash internal/cli/demo.sh >"$out" 2>&1; then
    passed=$((passed + 1)) word=passed
  else
    word=FAILED
    cat "$out"
  fi
  echo "round $round: $word, $((SECONDS - began)) s"
  down
done
echo "$passed of $rounds rounds passed"
[ "$passed" = "$rounds" ]
