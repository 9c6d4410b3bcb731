#!/usr/bin/env bash
# The long repeat counts that CI has no time for, about 25 minutes on four cores. Usage: docs/soak.sh BINARY [REPORTS];
# `make soak` keeps the output in docs/soak.log. REPORTS is a folder for the JSON of rounds that are not as expected. A
# count that fails does not keep the others from running.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$1
reports=(${2:+--reports "$2"})
failed=0
"$bin" --version || exit

# ROUNDS LABS NAME…: several scenarios run side by side, and each one's rounds in so many labs. Rounds mostly wait for
# timeouts, so more of them run at once than there are cores.
soak() {
  tests/lab/lab soak "${@:3}" --rounds "$1" --labs "$2" --jobs 16 --bin "$bin" "${reports[@]}" || failed=1
}

# Five per cent loss is not a fault; neither is 200 ms of latency.
soak 100 4 healthy-loss
soak 20 4 healthy-latency
# A healthy round says the same every time, and so does a broken one.
soak 200 2 healthy
soak 100 2 healthy-dual-stack
soak 20 4 partial-own-subnet
soak 10 5 endpoints-blocked
# Loss is no hole, and no dislike of large ClientHellos either.
soak 200 4 mtu-loss-5 mtu-loss-5-v6 large-hello-loss-5
soak 100 4 mtu-loss-20 large-hello-loss-20
# A hole is told every time, and nearly every time where packets are lost as well. Each scenario says how often it must be
# right.
soak 50 4 mtu-loss-5-out mtu-loss-5-in mtu-loss-5-both
soak 50 4 large-hello-dropped large-hello-reset
# Where ICMP reaches one side only, a witness closes the other side's way: those are played in the lab's own run.
holes=$(cd tests/lab/scenarios && ls mtu-out-*.toml mtu-in-*.toml mtu-both-*.toml | grep -v -- -icmp-)
# shellcheck disable=SC2086  # one word a scenario
soak 50 2 ${holes//.toml/}
# The daemon's parts: memory, descriptors and spool do not grow.
"${bin%/*}/examples/soak" 50000 || failed=1
tests/lab/lab bench --runs 51 --bin "$bin" || failed=1
exit $failed
