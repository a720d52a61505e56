# Build, run and test Waymeet. `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: geo help build run test test-quick lint format docs bench lock clean again

VENV := .venv
BIN := $(VENV)/bin
# Empty files that remember what the environment was last made from, so that `make build` does nothing when nothing changed.
BUILT := $(VENV)/.built
TESTABLE := $(VENV)/.testable
# Names the geo data that is installed.
GEO := $(VENV)/share/waymeet/geo/installed.json
PIP_FLAGS := --quiet --disable-pip-version-check --no-input

CHECKED := src tests tools bench
# The Rust workspace: the native relay. Without cargo and a C compiler, which nothing else needs, the relay in Python runs.
RUST := $(wildcard Cargo.toml)
RUST_SOURCES := $(wildcard Cargo.* relay/*/Cargo.toml relay/*/build.rs) $(shell find relay -path '*/src/*' -name '*.rs')
# There where the native relay could not be built, with the reason in it.
NATIVE_MISSING := src/waymeet/_relay_missing.txt
# What was missing may be there by now; asked when asked to build, so that what fails does not hold up each time.
BUILD_AGAIN := $(and $(filter build,$(MAKECMDGOALS)),$(wildcard $(NATIVE_MISSING)),$(shell tools/find-toolchain 2>/dev/null && echo again))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: $(BUILT) geo ## Make .venv with `waymeet` in it, and geo data (WAYMEET_GEO=none leaves that out)

run: $(BUILT) geo ## Build, then run everything on this machine with the sample application
	@exec $(BIN)/waymeet up --sample

test: $(TESTABLE) geo ## Build, then run every check and every test
	@tools/install-postgres
	@tools/install-iproute2
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(if $(RUST),tools/check-rust test || status=1;) \
	$(BIN)/pytest -n 2 || status=1; \
	[ $$status = 0 ] || echo "make test: a check or a test failed, see above" >&2; \
	exit $$status

test-quick: $(TESTABLE) ## The tests that take moments, without PostgreSQL being installed for them
	@$(BIN)/pytest -n 2 -m "not slow"

# Every check runs, also when one before it found something.
lint: $(TESTABLE) ## Formatting, ruff, types, import rules, house rules
	@status=0; \
	check() { echo "$$*"; "$$@" || status=1; }; \
	check $(BIN)/ruff format --check --output-format concise $(CHECKED); \
	check $(BIN)/ruff check --output-format concise $(CHECKED); \
	check $(BIN)/mypy; \
	check $(BIN)/lint-imports --no-logo; \
	check $(BIN)/python -m tools.lint src/waymeet; \
	$(if $(RUST),check tools/check-rust lint;) \
	[ -e $(NATIVE_MISSING) ] || check $(BIN)/stubtest waymeet._relay --concise --mypy-config-file pyproject.toml; \
	exit $$status

format: $(TESTABLE) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

docs: $(BUILT) ## Bring the tables in docs/ up to date with the code
	$(BIN)/python -m waymeet.settings.reference docs/configuration.md

bench: $(TESTABLE) ## Measure; the scripts say how and print numbers
	@tools/install-bench-tools
	@status=0; for script in bench/*.py bench/relay/compare.py; do \
	echo "== $$script"; $(BIN)/python "$$script" || status=1; done; exit $$status

lock: $(BUILT) ## Choose newer versions of the dependencies and write the lock files
	tools/lock $(BIN)/python

clean: ## Remove what was built, and caches
	rm -rf $(VENV) src/waymeet/_relay.*.so $(NATIVE_MISSING) target dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(wildcard src tests tools bench) -name __pycache__ -type d -prune -exec rm -rf {} +

# Downloaded once. Waymeet works without it, so a failure warns and no more.
geo: $(BUILT)
	@tools/install-geo $(BIN)/waymeet $(GEO) $(if $(filter build,$(MAKECMDGOALS)),again)

$(BIN)/python:
	@found=$$(tools/find-python) && $${found% *} -m venv --without-pip $(VENV)

# The package is installed in place: edits of Python take effect without another build, those of Rust are built by the next `make`.
# Its version stands in __init__.py.
$(BUILT): requirements.lock pyproject.toml src/waymeet/__init__.py tools/find-python tools/native_part.py $(RUST_SOURCES) $(BUILD_AGAIN) \
		| $(BIN)/python
	@found=$$(tools/find-python) && \
	install() { $${found#* } -m pip --python $(BIN)/python install $(PIP_FLAGS) "$$@"; } && \
	install --require-hashes -r requirements.lock && \
	install --no-deps --no-build-isolation --editable .
	@[ ! -e $(NATIVE_MISSING) ] || { \
		echo "The relay in Python will run; for the native one mend this and run \`make build\`:" >&2; \
		cat $(NATIVE_MISSING) >&2; }
	@touch $@

$(TESTABLE): requirements-dev.lock $(BUILT)
	@found=$$(tools/find-python) && \
	$${found#* } -m pip --python $(BIN)/python install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	@touch $@
