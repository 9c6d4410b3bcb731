#!/usr/bin/env bash
# The long repeat counts that CI has no time for, about 40 minutes. Usage: docs/soak.sh BINARY; `make soak` keeps the
# output in docs/soak.log. A count that fails does not keep the others from running.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$1
failed=0
"$bin" --version || exit

# ROUNDS NAME…: several scenarios run side by side.
soak() {
  tests/lab/lab soak "${@:2}" --rounds "$1" --bin "$bin" || failed=1
}

# Five per cent loss is not a fault; neither is 200 ms of latency.
soak 100 healthy-loss
soak 20 healthy-latency
# A healthy round says the same every time, and so does a broken one.
soak 200 healthy
soak 100 healthy-dual-stack
soak 20 partial-own-subnet
soak 10 endpoints-blocked
# Loss is no hole; a hole is told every time, and nearly every time where packets are lost as well. Each scenario says how
# often it must be right.
soak 200 mtu-loss-5 mtu-loss-5-v6
soak 100 mtu-loss-20
holes=$(cd tests/lab/scenarios && ls mtu-out-*.toml mtu-in-*.toml mtu-both-*.toml)
# shellcheck disable=SC2086  # one word a scenario
soak 50 ${holes//.toml/}
soak 50 mtu-loss-5-out mtu-loss-5-in mtu-loss-5-both
tests/lab/lab bench --runs 51 --bin "$bin" || failed=1
exit $failed
