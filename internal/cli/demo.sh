#!/usr/bin/env bash
# The whole of kindlab once: a cluster, a lab, a red grade, a solution, a green grade.
set -euo pipefail
kindlab=bin/kindlab
lab=network-policy/default-deny
cluster=${DEMO_CLUSTER:-kindlab}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }

say "1. A real cluster: kindlab up --nodes 3"
$kindlab up --name "$cluster" --nodes 3

say "2. A lab on it: kindlab start $lab"
$kindlab start "$lab"

say "3. Nothing is done yet: kindlab check"
code=0
$kindlab check || code=$?
[ "$code" = 1 ] || { echo "error: an untouched lab must be graded and not pass (exit code 1), this was $code" >&2; exit 3; }

say "4. One right answer: kindlab solution --apply"
$kindlab solution --apply

say "5. Graded again, by real packets: kindlab check"
$kindlab check

say "Your turn"
cat <<TEXT
  $kindlab reset                 put the lab back and solve it yourself
  $kindlab hint                  a nudge, when you want one
  $kindlab list                  the other labs
  $kindlab down                  remove the cluster when you are done
TEXT
