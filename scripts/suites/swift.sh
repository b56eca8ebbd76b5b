#!/usr/bin/env bash
# Starts and stops an S3 service of other makers on loopback: OpenStack Swift with its s3api
# middleware, from Debian's packages python3-swift and memcached (installed where they are missing,
# which needs root).
#
#   swift.sh start [port] [region]    prints ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION and
#                                     DENIED_ACCESS_KEY (a valid key that may do nothing) as lines
#                                     of NAME=value; port 18080 and us-east-1 unless told otherwise
#   swift.sh stop [port]              ends it and removes its data; no error where nothing runs
#
# The data is in a directory of its own under TMPDIR.
set -euo pipefail

command=${1:-}
port=${2:-18080}
region=${3:-us-east-1}
cluster=$(dirname "$(readlink -f "$0")")/swift-cluster.py
directory=${TMPDIR:-/tmp}/alarik-replication-swift.$(id -u).$port

install_packages() {
  local missing=()
  [ -d /usr/lib/python3/dist-packages/swift ] || missing+=(python3-swift)
  [ -x /usr/bin/memcached ] || missing+=(memcached)
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ]; then
    echo "Cannot run: Debian packages are missing. Install: apt-get install ${missing[*]}" >&2
    return 1
  fi
  # Policy 101 keeps the packages from starting services of their own.
  local policy=/usr/sbin/policy-rc.d made=''
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=1
  fi
  local status=0
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >&2 || status=$?
  [ -z "$made" ] || rm -f "$policy"
  return "$status"
}

# The process whose number is on file, if it still is the one that was started.
running() {
  local pid
  pid=$(cat "$directory/pid" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$cluster run $directory " || return 1
  printf '%s' "$pid"
}

start() {
  if running >/dev/null && [ -e "$directory/ready" ]; then
    cat "$directory/ready"
    return
  fi
  stop
  install_packages
  mkdir -m 700 "$directory"
  # Debian's interpreter: the packages are for no other.
  /usr/bin/python3 "$cluster" run "$directory" "$port" "$region" \
    >"$directory/cluster.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$directory/pid"
  until [ -e "$directory/ready" ]; do
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 5 "$directory"/*.log >&2
      return 1
    fi
    sleep 0.1
  done
  cat "$directory/ready"
}

stop() {
  local pid
  if pid=$(running); then
    kill -TERM "$pid"
    while [ -d "/proc/$pid" ] && running >/dev/null; do sleep 0.1; done
  fi
  rm -rf -- "$directory"
}

case $command in
  start | stop) "$command" ;;
  *)
    sed -n '2,/^set/p' "$0" | sed '$d' >&2
    exit 2
    ;;
esac
