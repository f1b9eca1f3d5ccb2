# Everything sets up what it needs by itself, on a machine that has Python 3.11, 3.12 or 3.13 with venv, and make.
# The environment lies in .venv; a later run of the same target starts at once.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check test-long bench bench-growth bench-quick schema web lock functions setup clean

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := $(VENV)/uv/bin/uv
export UV_NO_PROGRESS ?= 1

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(VENV)/runtime.stamp ## start Orderwire with stores, demo data and a steady flow of orders
	@exec $(BIN)/orderwire dev --demo

test: $(VENV)/dev.stamp tests/js/.stamp ## all tests that must pass
	$(BIN)/python -m pytest -rs -m "not long and not alone" -n 2 --dist loadfile tests
	$(BIN)/python -m pytest -rs -m "not long and alone" tests || test $$? -eq 5 # 5: there are none

check: $(VENV)/dev.stamp ## format, lint, types, imports, unit and property tests: under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 2 tests/unit tests/property tests/contract

test-long: $(VENV)/dev.stamp ## long random runs
	$(BIN)/python -m pytest -m long -o faulthandler_timeout=7200 tests

bench: $(VENV)/dev.stamp ## measurements, as ratios within one run
	$(BIN)/python -m bench $(ONLY)

bench-growth: $(VENV)/dev.stamp ## what reads cost as orders grow from 10,000 to 1,000,000
	$(BIN)/python -m bench.growth $(ORDERS)

bench-quick: $(VENV)/dev.stamp ## a few CPU ratios in two minutes; fails where one is a fifth worse than committed
	$(BIN)/python -m bench.quick $(if $(RENEW),--renew)

schema: $(VENV)/runtime.stamp ## write graphql/schema.graphql, docs/states, docs/events and docs/metrics.md from the code
	$(BIN)/orderwire schema --output graphql/schema.graphql
	$(BIN)/python -m app.reference

web: app/static/explorer/index.html ## build the explorer

app/static/explorer/index.html: web/explorer/node_modules/.package-lock.json $(shell find web/explorer \( -name node_modules -o -name dist \) -prune -o -type f -print)
	.ci/node npm --prefix web/explorer run build

web/explorer/node_modules/.package-lock.json: web/explorer/package-lock.json
	.ci/node npm --prefix web/explorer ci --no-audit --no-fund
	@touch $@

functions: $(VENV)/runtime.stamp ## copy changed SQL functions into the newest migration
	@$(BIN)/python -m app.kernel.functions

lock: $(UV) ## resolve requirements/*.txt anew from pyproject.toml
	$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  --python-version 3.11 pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
	  --python-version 3.11 --group node -o requirements/node.txt

setup: $(VENV)/dev.stamp ## only set up the environment

clean: ## remove the environment and caches, never the state folder
	rm -rf $(VENV) .cache/node .mypy_cache .ruff_cache .pytest_cache tests/js/node_modules tests/js/.stamp \
	  bench/peers/node_modules

# --- the environment -------------------------------------------------------------------------------------------------

$(UV): .ci/python Makefile
	@.ci/python $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@test "$$($(UV) --version 2>/dev/null | cut -d' ' -f2)" = "$(UV_VERSION)" || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target $(VENV)/uv uv==$(UV_VERSION)
	@touch $@

# What a development environment holds includes what running needs.
$(VENV)/runtime.stamp: requirements/runtime.txt $(UV)
	@if test -e $(VENV)/dev.stamp; then $(MAKE) --no-print-directory $(VENV)/dev.stamp; \
	  else echo "Installing what Orderwire needs to run ..."; $(call install,requirements/runtime.txt); fi
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt requirements/runtime.txt $(UV)
	@echo "Installing the development environment ..."
	@$(call install,requirements/dev.txt)
	@touch $@

define install
VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python $(1) \
  && .ci/link $(VENV)
endef

tests/js/.stamp: $(wildcard tests/js/package-lock.json)
	@mkdir -p tests/js
	@if test -f tests/js/package-lock.json && command -v npm >/dev/null; then \
	  echo "Installing the JavaScript clients of the tests ..."; npm --prefix tests/js ci --no-audit --no-fund --silent && touch $@; fi
