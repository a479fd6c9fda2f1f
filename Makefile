# The two commands: `make bench-all` measures every model, `make test` tests everything.

SIZE ?= quick
MODELS ?=
CARGO ?= cargo

.PHONY: all build test bench-all floor-ratios doc

all: build

build:
	$(CARGO) build --release --bin turnstile

# Formatting, lints and documentation are part of the tests.
test:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	$(CARGO) test --workspace

# Every model over every scenario, into results/<run>/; SIZE is smoke, quick or full, and MODELS says
# which instead of the default variant of each: all-variants, or prefork:flock,prefork:mutex.
bench-all: build
	scripts/bench-all $(SIZE) $(if $(MODELS),--models $(MODELS))

# CPU a request of every model against C programs that do nothing but the system calls.
floor-ratios: build
	scripts/floor-ratios

doc:
	$(CARGO) doc --workspace --no-deps --open
