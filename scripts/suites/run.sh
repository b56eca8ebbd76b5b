#!/usr/bin/env bash
# Runs every suite that needs Debian's packages: awscli, rclone, python3-swift, memcached.
set -euo pipefail
cd "$(dirname "$0")/../.."

npm run --silent build

echo '== the AWS CLI and rclone against one server'
node --import tsx test/suites/clients.ts

echo '== two servers that replicate to each other'
node --import tsx --test --test-reporter=spec test/suites/two-servers.ts

echo '== replication to OpenStack Swift'
port=18480
trap 'bash scripts/suites/swift.sh stop "$port"' EXIT
swift=$(bash scripts/suites/swift.sh start "$port" us-east-1)
export $swift
node --import tsx test/suites/swift-client.ts
node --import tsx --test --test-reporter=spec test/suites/swift-replication.ts
