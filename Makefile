# The two commands: `make bench-all` measures every model, `make test` tests everything.

SIZE ?= quick
MODELS ?=
CARGO ?= cargo

.PHONY: all build test oracles bench-all floor-ratios package semver doc

all: build

build:
	$(CARGO) build --release --bin turnstile

# Formatting, lints and documentation are part of the tests.
test:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	$(CARGO) test --workspace --no-fail-fast

# What theory says and no short run can show: p99 of a second's stall in a minute, that a closed loop
# hides it, the mean wait in a queue. One after the other, because each wants the machine for itself.
oracles:
	@echo "The long oracles of the load generator: about four minutes, plus a release build, on a quiet machine."
	$(CARGO) test --release -p load --tests -- --ignored --nocapture --test-threads=1

# Every model over every scenario, into results/<run>/; SIZE is smoke, quick or full, and MODELS says
# which instead of the default variant of each: all-variants, or prefork:flock,prefork:mutex.
bench-all: build
	scripts/bench-all $(SIZE) $(if $(MODELS),--models $(MODELS))

# CPU per request of every model against C programs that do nothing but the system calls.
floor-ratios: build
	scripts/floor-ratios

# The crates that people depend on, packed and built from their packages.
package:
	scripts/package

# The public interface against that of a revision: make semver BASE=v0.1.0
semver:
	scripts/semver $(BASE)

doc:
	$(CARGO) doc --workspace --no-deps --open
