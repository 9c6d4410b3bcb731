#!/usr/bin/env bash
# The long repeat counts that CI has no time for, about 15 minutes. Usage: docs/soak.sh BINARY; `make soak` keeps the
# output in docs/soak.log. A count that fails does not keep the others from running.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=$1
failed=0
"$bin" --version || exit

soak() {
  tests/lab/lab soak "$1" --rounds "$2" --bin "$bin" || failed=1
}

# Five per cent loss is not a fault; neither is 200 ms of latency.
soak healthy-loss 100
soak healthy-latency 20
# A healthy round says the same every time, and so does a broken one.
soak healthy 200
soak healthy-dual-stack 100
soak partial-own-subnet 20
soak endpoints-blocked 10
tests/lab/lab bench --runs 51 --bin "$bin" || failed=1
exit $failed
