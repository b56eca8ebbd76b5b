#!/usr/bin/env bash
# Runs every suite against programs that we did not write. Needs Debian's packages awscli, rclone,
# python3-swift and memcached.
#
#   run.sh [port of Swift]    18480 unless told otherwise
#
# A suite that fails does not keep the others from running. The last lines say how many tests of each
# passed; the exit status is 1 where one failed, could not run, or ran none.
set -euo pipefail
cd "$(dirname "$0")/../.."

port=${1:-18480}
summary=()
status=0
scratch=$(mktemp -d)
finish() {
  bash scripts/suites/swift.sh stop "$port"
  rm -rf -- "$scratch"
}
trap finish EXIT
# A signal ends the script by way of the trap above.
trap 'exit 130' INT TERM HUP

# suite <name> <command...>: the command's output goes on as it comes, and is counted afterwards.
suite() {
  local name=$1 output=$scratch/output code=0 passed
  shift
  printf '== %s\n' "$name"
  "$@" 2>&1 | tee "$output" || code=$?
  # "12 passed, 0 failed" of our own suites, "ℹ pass 12" of node:test.
  passed=$(sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p; s/^. pass ([0-9]+)$/\1/p' "$output" | tail -n 1)
  if [ "$code" -eq 0 ] && [ "${passed:-0}" -gt 0 ]; then
    summary+=("ok      $name: $passed passed")
  else
    summary+=("FAILED  $name: ${passed:-0} passed, exit status $code")
    status=1
  fi
}

tests() {
  node --import tsx --test --test-reporter=spec "$1"
}

npm run --silent build

suite 'the AWS CLI and rclone against one server' node --import tsx test/suites/clients.ts
suite 'two servers that replicate to each other' tests test/suites/two-servers.ts

# Without Swift its suites run all the same, and say what they miss.
environment=$(bash scripts/suites/swift.sh start "$port" us-east-1) || environment=''
while IFS= read -r line; do
  [ -z "$line" ] || export "${line?}"
done <<<"$environment"
suite 'the target client against OpenStack Swift' node --import tsx test/suites/swift-client.ts
suite 'replication to OpenStack Swift' tests test/suites/swift-replication.ts

printf '\n'
printf '%s\n' "${summary[@]}"
exit "$status"
