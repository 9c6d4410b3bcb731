# Two commands for a newcomer: `make demo` and `make test`. Both need root: the network lab is made of network namespaces.

CARGO ?= cargo
BIN   := target/debug/vpce-probe
JOBS  ?= $(shell nproc)

.PHONY: help demo test lab lint deny release bench numbers soak fuzz setup root clean
.PHONY: packaging-tools binaries packages life foreign reproducible

help:
	@printf '%s\n' \
	  'make demo     build, raise the lab, run `vpce-probe once` healthy and in five faults, take it down' \
	  'make test     every test, the network lab and the daemon on a booted machine included' \
	  'make lint     rustfmt, clippy with warnings as errors' \
	  'make deny     crates, licences, sources (cargo-deny)' \
	  'make release  the small binary in target/release, for this machine alone, and its size checked' \
	  'make packages .deb, .rpm, SSM Distributor, SBOM and SHA256SUMS in dist/, for both architectures: docs/building.md' \
	  'make life     install, watch, break, upgrade and remove what is in dist/ on booted systems: docs/lifecycle.md' \
	  'make foreign  the shipped aarch64 binary under qemu against the lab, the x86_64 one in the Debians of target/roots' \
	  'make reproducible  the packages twice, in two folders, byte for byte' \
	  'make lab      every scenario of the lab against the debug binary' \
	  'make bench    once against curl+dig, and with the path MTU measured against without; fails where that costs too much' \
	  'make numbers  the daemon against its handshakes alone: CPU, memory, wake-ups, ticks, bytes; wants a quiet machine' \
	  'make fuzz     each fuzz target for FUZZ_SECONDS (60)' \
	  'make soak     the long repeat counts, kept in docs/soak.log; then the daemon without CloudWatch for ten minutes, killed 200 times, …'

root:
	@[ "$$(id -u)" = 0 ] || { echo 'run as root: the lab makes network namespaces (sudo -E env "PATH=$$PATH" make …)' >&2; exit 1; }

setup: root
	tests/lab/setup

# The lab's post-quantum server is an example: it must stand beside the binary.
demo: setup
	$(CARGO) build --locked --bins --examples
	tests/lab/lab demo --bin $(BIN)

test: setup
	$(CARGO) test --locked

lab: setup
	$(CARGO) build --locked --bins --examples
	tests/lab/lab test --bin $(BIN) --jobs $(JOBS)

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

deny:
	@command -v cargo-deny >/dev/null || packaging/build/tools cargo-deny
	PATH="$$PATH:$(CURDIR)/target/tools/bin" $(CARGO) deny --locked check bans licenses sources

# 7.95 MB as shipped, and under four per cent of room. `once` alone had 6.23 MB; the rest is the daemon, most of it the client of CloudWatch:
# signing, CBOR, HTTP.
MOST_BYTES := 8250000

release:
	$(CARGO) build --locked --release
	@size=$$(stat -c %s target/release/vpce-probe); echo "target/release/vpce-probe: $$size bytes"; [ "$$size" -lt $(MOST_BYTES) ]

# What is shipped: for glibc 2.17 or later, of either architecture. One that is left out must be left out by name.
ARCHITECTURES ?= x86_64 aarch64
NATIVE := $(shell uname -m)

packaging-tools:
	packaging/build/tools
	for architecture in $(ARCHITECTURES); do packaging/build/std $$architecture-unknown-linux-gnu >/dev/null || exit; done

binaries: packaging-tools
	packaging/build/compile $(MOST_BYTES) $(ARCHITECTURES)

# The man pages, completions and the rest come from the binary for this machine.
packages: binaries
	rm -rf dist
	mkdir dist
	packaging/stage target/packages/$(NATIVE)/vpce-probe target/packages/files
	for architecture in $(ARCHITECTURES); do packaging/pack $$architecture || exit; done
	packaging/ssm-distributor/pack dist $(addprefix --arch ,$(patsubst aarch64,arm64,$(ARCHITECTURES)))
	target/venv-packages/bin/python packaging/build/sbom dist $(ARCHITECTURES)
	packaging/lint dist
	tests/packages/same-paths dist
	packaging/ssm-distributor/check dist/distributor
	packaging/build/sums dist $(ARCHITECTURES)

life: setup
	@[ -e dist/SHA256SUMS ] || { echo 'make packages first: their life is played with what is in dist/' >&2; exit 1; }
	tests/packages/life --dist dist

foreign: setup binaries
	packaging/build/foreign

reproducible:
	packaging/build/reproducible

# Of the binary that is shipped.
bench: setup packaging-tools
	packaging/build/compile $(MOST_BYTES) $(NATIVE)
	tests/lab/lab bench --bin target/packages/$(NATIVE)/vpce-probe

# Minutes long, and of CPU time: for a machine that does nothing else.
numbers: setup release
	$(CARGO) build --locked --release --example handshakes
	tests/cloud/cloud numbers --bin target/release/vpce-probe

FUZZ_SECONDS ?= 60
FUZZ_TARGETS := config resolv_conf http_head dns_datagram hosts_file spool
# The first folder takes what is found, the second holds the seeds.
fuzz:
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked --version 0.13.2 cargo-fuzz
	set -e; for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/corpus/$$target; \
	  $(CARGO) +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

soak: setup release fuzz
	$(CARGO) build --locked --release --examples
	bash -o pipefail -c 'docs/soak.sh target/release/vpce-probe 2>&1 | tee docs/soak.log'
	tests/cloud/cloud soak --bin target/release/vpce-probe

clean:
	$(CARGO) clean
