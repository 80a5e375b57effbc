# What people type. Everything else is cargo.

# Where cargo builds to, if it was told.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: build demo test tls-check check fmt

# All binaries, in release mode, beside one another.
build:
	cargo build --release --workspace --bins

# Five processes, two example backends, curl lines to paste; ARGS=--check sends the requests itself.
demo: build
	$(TARGET)/release/bulkhead demo $(ARGS)

# Every test. With CI=true a test that must be skipped for lack of a program is a failure.
test:
	cargo test --workspace --no-fail-fast

# What strangers' scanners say of our TLS, beside bare rustls, and what a flood of handshakes costs (docs/tls.md). Some ten minutes.
# Needs testssl.sh (apt-get install testssl.sh); sslyze is fetched into a folder of its own.
tls-check: SCANNERS := $(abspath $(TARGET))/tls-check
tls-check:
	command -v testssl >/dev/null || command -v testssl.sh >/dev/null
	test -x $(SCANNERS)/bin/sslyze || { python3 -m venv $(SCANNERS) && $(SCANNERS)/bin/pip install --quiet sslyze==6.3.1; }
	PATH="$$PATH:$(SCANNERS)/bin" cargo test --package tests --test tls -- --ignored --nocapture --test-threads 1 \
		>$(SCANNERS)/log 2>&1; status=$$?; \
	grep --text -E '^(SCAN|FLOOD|test )|panicked' $(SCANNERS)/log; exit $$status

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt:
	cargo fmt --all
