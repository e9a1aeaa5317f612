# Every command a person needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Bytecode is kept, whatever the shell says: else each process that starts compiles everything anew.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help setup module dev demo test check bench lint rust-lint fuzz format golden reference lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(VENV)/.run ## install Scopegate into .venv (leaves .venv/bin/scopegate ready)

demo: $(VENV)/.run ## start Scopegate with a demo identity provider and upstream
	@exec $(BIN)/scopegate demo

module: ## build the proxy filter (Rust) when its sources have changed; every other command does it, too
	@scripts/build-module

dev: $(VENV)/.dev ## setup, and what tests and linters need

test: $(VENV)/.dev ## everything: linters, types, all tests with Keycloak and the browser
	@scripts/install-system-packages
	@$(MAKE) --no-print-directory lint
	scripts/cargo test --offline --locked --quiet
	$(BIN)/python -m pytest

check: $(VENV)/.dev lint ## the quick check while working (no Keycloak, no browser)
	scripts/cargo test --offline --locked --quiet
	$(BIN)/python -m pytest -m "not slow" -q -n 3 --dist loadfile --hypothesis-profile quick

bench: $(VENV)/.dev ## what a request costs beside nginx, Envoy, Apache (LUA=folder: and lua-resty-openidc; ROUTES=10000: and with as many)
	PYTHONPATH=tests $(BIN)/python -m bench.side_by_side $(if $(LUA),--lua $(LUA)) $(if $(ROUTES),--routes $(ROUTES))

lint: $(VENV)/.dev rust-lint ## Ruff, strict types, the import law; rustfmt, Clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.ini

rust-lint:
	@scripts/cargo fmt --version >/dev/null 2>&1 || { echo "rustfmt is missing: rustup component add rustfmt, or on Debian: apt-get install rustfmt"; exit 1; }
	@scripts/cargo clippy --version >/dev/null 2>&1 || { echo "Clippy is missing: rustup component add clippy, or on Debian: apt-get install rust-clippy"; exit 1; }
	scripts/cargo fmt --check
	scripts/cargo clippy --all-targets --offline --locked --quiet -- -D warnings

fuzz: ## feed the filter's parsers for a minute each (needs nightly Rust and cargo-fuzz; SECONDS_EACH=600: longer)
	@scripts/fuzz $(or $(SECONDS_EACH),60)

format: $(VENV)/.dev ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	scripts/cargo fmt

golden: $(VENV)/.dev ## rewrite the golden files from what the code does now; read the diff
	$(BIN)/python -m pytest -q tests/golden --rewrite-golden

reference: $(VENV)/.dev ## rewrite the generated pages of docs/reference
	@scripts/generate-reference
	@scripts/generate-settings-reference
	@scripts/generate-reasons-reference

lock: $(VENV)/.dev ## resolve dependencies anew into requirements/*.lock (hashes, no addresses)
	@scripts/lock-dependencies

clean: ## remove what setup and tests made
	rm -rf $(VENV) proxy_filter/target proxy_filter/fuzz/target src/scopegate/envoy/_module build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The filter first: where cargo is missing, that is said before anything is downloaded.
$(VENV)/bin/python: | module
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Scopegate needs Python 3.11 or newer; call make PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip records hashes only; --no-deps because the lock is complete.
$(VENV)/.run: $(VENV)/bin/python requirements/demo.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/demo.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.lock
	@touch $@
