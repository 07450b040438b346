#!/usr/bin/env bash
# The demo again and again, with the cluster removed in between: what a newcomer meets in the first minute must never
# fail. ROUNDS says how often (30). Prints a line a round, the output of a round that failed, and how many passed.
set -euo pipefail
rounds=${ROUNDS:-30}
passed=0
out=$(mktemp)
trap 'rm -f "$out"; bin/kindlab down >/dev/null' EXIT
bin/kindlab down >/dev/null # what an earlier demo has left
for ((round = 1; round <= rounds; round++)); do
  began=$SECONDS
  if bash internal/cli/demo.sh >"$out" 2>&1; then
    passed=$((passed + 1)) word=passed
  else
    word=FAILED
    cat "$out"
  fi
  echo "round $round: $word, $((SECONDS - began)) s"
  bin/kindlab down >/dev/null
done
echo "$passed of $rounds rounds passed"
[ "$passed" = "$rounds" ]
