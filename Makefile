# What people type. Everything else is cargo.

# Where cargo builds to, if it was told.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: build dist install uninstall deb reproducible demo test tls-check check fmt

# Where `make install` puts things, and from where; DESTDIR= is a folder that stands for the root of the machine.
PREFIX ?= /usr
BUILT ?= $(TARGET)/dist
# Nothing of where and when it is built gets into what packages hold: the folders of the source and of cargo have other names in it,
# and the date is that of the last commit.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
HOME_OF_CARGO := $(or $(CARGO_HOME),$(HOME)/.cargo)
ANYWHERE = RUSTFLAGS='$(RUSTFLAGS) --remap-path-prefix=$(CURDIR)=/usr/src/bulkhead --remap-path-prefix=$(HOME_OF_CARGO)=/usr/src/cargo' \
	CFLAGS='$(CFLAGS) -ffile-prefix-map=$(CURDIR)=/usr/src/bulkhead -ffile-prefix-map=$(HOME_OF_CARGO)=/usr/src/cargo'
# The six programs that packages hold.
DIST = $(ANYWHERE) cargo build --locked --profile dist --package bulkhead --package sni-router --package tls-terminator \
	--package http-filter --package forward-proxy --bins

# All binaries, in release mode, beside one another.
build:
	cargo build --release --workspace --bins

# What packages hold: the slow build, without symbols.
dist:
	$(DIST)

# Programs, units, users, manual, completions, documents, and a configuration that refuses everything (docs/installing.md).
# Nothing is built here as root: `make dist` first.
install:
	@test -x $(BUILT)/bulkhead || { echo 'make install: nothing is built in $(BUILT); make dist' >&2; exit 1; }
	packaging/install.sh install '$(BUILT)' '$(PREFIX)' '$(DESTDIR)'
	@echo 'Next, on the machine itself, as root: $(PREFIX)/lib/bulkhead/after-install first'
	@echo 'and in the place of an older release: $(PREFIX)/lib/bulkhead/after-install; $(PREFIX)/lib/bulkhead/after-upgrade'

# target/debian/bulkhead_*.deb. `cargo install --locked cargo-deb` first.
deb: dist
	cargo deb --no-build --no-strip --locked

# Builds everything twice, in two folders, and compares every byte; twenty minutes and more. CHEAP=1: without optimization.
reproducible:
	packaging/reproducible.sh '$(abspath $(TARGET))/reproducible'

uninstall:
	packaging/install.sh uninstall '$(BUILT)' '$(PREFIX)' '$(DESTDIR)'

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
