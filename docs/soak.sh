#!/usr/bin/env bash
# The long repeat counts that CI has no time for. Usage: docs/soak.sh BINARY; `make soak` keeps the output in docs/soak.log.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
"$bin" --version

# Five per cent loss is not a fault; neither is 200 ms of latency.
tests/lab/lab soak healthy-loss --rounds 100 --bin "$bin"
tests/lab/lab soak healthy-latency --rounds 20 --bin "$bin"
# A healthy round says the same every time, and so does a broken one.
tests/lab/lab soak healthy --rounds 200 --bin "$bin"
tests/lab/lab soak healthy-dual-stack --rounds 100 --bin "$bin"
tests/lab/lab soak partial-own-subnet --rounds 20 --bin "$bin"
tests/lab/lab soak endpoints-blocked --rounds 10 --bin "$bin"
tests/lab/lab bench --runs 51 --bin "$bin"
