# What people type. Everything else is cargo.

# Where cargo builds to, if it was told.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: build demo test check fmt

# All binaries, in release mode, beside one another.
build:
	cargo build --release --workspace --bins

# Five processes, two example backends, curl lines to paste; ARGS=--check sends the requests itself.
demo: build
	$(TARGET)/release/bulkhead demo $(ARGS)

# Every test. With CI=true a test that must be skipped for lack of a program is a failure.
test:
	cargo test --workspace --no-fail-fast

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt:
	cargo fmt --all
