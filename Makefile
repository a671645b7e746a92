# `make help` lists the targets. Everything that runs here needs Rust and, for real Odoos, Docker; tests/odoo/stack brings the
# latter on Debian and Ubuntu when it may (as root).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STACK := tests/odoo/stack
TARGET := $(or $(CARGO_TARGET_DIR),target)
OCORE := $(TARGET)/debug/ocore
DEMO_DATA := $(TARGET)/demo
DEMO_DATABASE := ocore_demo

.PHONY: help
help: ## Lists the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

.PHONY: rust
rust:
	@command -v cargo >/dev/null || { \
	  echo 'error: Rust is missing.' >&2; \
	  echo '  try: curl --proto "=https" --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y, then open a new shell' >&2; exit 1; }

.PHONY: demo
demo: rust ## Shows ocore at work on a real Odoo 19 in a container; Ctrl-C ends it
	@mkdir -p '$(TARGET)'; log='$(TARGET)/demo-stack.log'; \
	if [ -n "$$($(STACK) psql postgres "SELECT 1 FROM pg_database WHERE datname = '$(DEMO_DATABASE)'" 2>/dev/null)" ] \
	  && eval "$$($(STACK) env 19)" && curl -sf -o /dev/null -m 3 "$$OCORE_TEST_ODOO_URL/web/health"; then \
	  cargo build -q -p ocore; \
	else \
	  echo 'Starting an Odoo 19 while ocore is built; the first time both take some minutes. Log: '"$$log" >&2; \
	  $(STACK) up 19 >"$$log" 2>&1 & stack=$$!; \
	  trap 'kill $$stack 2>/dev/null || true' INT TERM; \
	  cargo build -p ocore; \
	  wait $$stack || { tail -n 20 "$$log" >&2; echo "error: the Odoo could not be started; the whole log is $$log" >&2; exit 1; }; \
	  trap - INT TERM; \
	  if [ -z "$$($(STACK) psql postgres "SELECT 1 FROM pg_database WHERE datname = '$(DEMO_DATABASE)'")" ]; then \
	    $(STACK) fresh 19 $(DEMO_DATABASE) >>"$$log" 2>&1; \
	  fi; \
	  eval "$$($(STACK) env 19)"; \
	fi; \
	OCORE_DEMO_PASSWORD=admin exec '$(OCORE)' --data '$(DEMO_DATA)' demo --odoo-url "$$OCORE_TEST_ODOO_URL" --odoo-database $(DEMO_DATABASE)

# The arguments of rustfmt for what `cargo fmt` does not see: build.rs includes the tools' files.
TOOL_FILES = $(shell find server/tools/src -mindepth 2 -name '*.rs')

.PHONY: fmt
fmt: rust ## Formats everything
	cargo fmt --all
	rustfmt --edition 2024 $(TOOL_FILES)

.PHONY: docs
docs: rust ## Makes the generated pages of the book
	cargo build -q -p ocore
	mkdir -p docs/reference
	'$(OCORE)' docs tools > docs/reference/tools.md
	'$(OCORE)' docs commands > docs/reference/commands.md
	'$(OCORE)' docs configuration > docs/reference/configuration.md

.PHONY: lint
lint: rust ## Formatting, lints, licences and advisories
	cargo fmt --all --check
	rustfmt --edition 2024 --check $(TOOL_FILES)
	cargo clippy --workspace --all-targets -- -D warnings
	if command -v cargo-deny >/dev/null; then cargo deny --log-level error check bans licenses sources; \
	else echo 'note: cargo-deny is missing, licences are not checked (cargo install cargo-deny)'; fi

# These share databases and containers that one process makes; nextest gives every test a process of its own.
TOGETHER := docker::tests files::tests postgres::tests
# Left to make soak: the same on the other Odoo, whose tools the end-to-end tests call.
LONG := docker::tests::modules::odoo_14 docker::tests::shell::odoo_14_official docker::tests::shell::odoo_19_plain
IN_PROCESSES := not (package(backends) & test(/^(backup|docker|files|postgres)::tests::/))

.PHONY: test
test: rust ## Everything: lints, unit tests, real Odoos, real PostgreSQL, real clients
	@mkdir -p '$(TARGET)'; logs='$(TARGET)'; \
	echo 'Bringing up the Odoos and the clients in the background; logs are in '"$$logs" >&2; \
	$(STACK) up >"$$logs/test-stack.log" 2>&1 & stack=$$!; \
	tests/clients/setup >"$$logs/test-clients.log" 2>&1 & clients=$$!; \
	trap 'kill $$stack $$clients 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory lint; \
	cargo build -p ocore --features conformance; \
	cp '$(OCORE)' '$(OCORE)-conformance'; \
	cargo build --workspace; \
	wait $$clients || { tail -n 20 "$$logs/test-clients.log" >&2; echo 'error: the test clients could not be installed' >&2; exit 1; }; \
	wait $$stack || { tail -n 20 "$$logs/test-stack.log" >&2; echo 'error: the Odoo stack could not be started' >&2; exit 1; }; \
	trap - EXIT; \
	export OCORE_TEST_REQUIRE=1 OCORE_TEST_OPENID="$$(tests/openid/setup)" OCORE_TEST_STORE_PG="$$($(STACK) pgstore)" OCORE_CONFORMANCE_PROGRAM="$(abspath $(OCORE))-conformance"; \
	for v in 14 19; do \
	  $(STACK) fresh $$v backends_$$v >/dev/null; \
	  eval "$$($(STACK) env $$v)"; \
	  export OCORE_TEST_ODOO_URL_$$v="$$OCORE_TEST_ODOO_URL" OCORE_TEST_ODOO_DB_$$v="backends_$$v"; \
	  export OCORE_TEST_ODOO_KEY_$$v="$$($(STACK) apikey $$v backends_$$v admin)"; \
	done; \
	if command -v cargo-nextest >/dev/null; then cargo nextest run --workspace --exclude tests -E '$(IN_PROCESSES)'; \
	  cargo test -p backends --lib -- --test-threads 2 $(TOGETHER) $(LONG:%=--skip %); \
	else cargo test --workspace --exclude tests --bins --lib --tests; fi; \
	cargo test --doc -p tools; \
	rm -f '$(TARGET)/tmp/tools-by-version.tsv'; \
	cargo test -p tests; \
	tests/pages/check; \
	tests/versions check

.PHONY: test-quick
test-quick: rust ## What needs neither Docker nor Odoo
	cargo test --workspace --exclude tests

.PHONY: soak
soak: rust ## What takes long: every test of containers, files and SQL on both Odoos; restores stopped at every step
	$(STACK) up
	cargo test -p backends --lib -- --test-threads 2 $(TOGETHER)
	cargo test -p backends --lib -- --test-threads 1 backup::tests

.PHONY: fuzz
fuzz: rust ## Ten minutes each for the SQL guard, on a real PostgreSQL and by its own parser, and for paths; OCORE_FUZZ_SECONDS, OCORE_FUZZ_SEED
	$(STACK) up pg 19
	OCORE_FUZZ_SECONDS=$${OCORE_FUZZ_SECONDS:-600} cargo test -p backends --lib postgres::tests::fuzz -- --nocapture --test-threads 1
	OCORE_FUZZ_SECONDS=$${OCORE_FUZZ_SECONDS:-600} cargo test -p backends --lib files::tests::hard::paths_at_random -- --nocapture --test-threads 1
	# libclang (apt: libclang1) has no headers of its own; the C compiler's will do.
	BINDGEN_EXTRA_CLANG_ARGS="$${BINDGEN_EXTRA_CLANG_ARGS:--I$$(cc -print-file-name=include)}" \
	  OCORE_FUZZ_SECONDS=$${OCORE_FUZZ_SECONDS:-600} cargo test -p backends --features libpg_query --lib postgres::tests::libpg_query -- --nocapture --test-threads 1

.PHONY: bench
bench: rust ## The measured bars, in a release build against a real Odoo
	$(STACK) up 19
	cargo build --release -p ocore
	OCORE_MEASURE=1 OCORE_TEST_STORE_PG="$$($(STACK) pgstore)" cargo test --release -p store -p tools --lib measure -- --nocapture --test-threads 1
	cargo bench -p dispatch
	cargo bench -p tests

.PHONY: test-cold
test-cold: ## make test after removing the test images and the build
	$(STACK) clean
	rm -rf '$(TARGET)'
	$(MAKE) test
