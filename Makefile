# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
# uv is used where it is installed, else venv and pip; either way the versions of requirements.lock.

SHELL := /bin/bash
# The first Python that really is 3.11 or newer: a version manager's empty shim is not one.
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11 python; do $$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$one && break; done)
BIN := .venv/bin
ARGS ?=
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test quick lint bench hardening screens lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.run: requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Sổ Khoẻ needs Python 3.11 or newer, and none was found. Install it, or name it: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into .venv (once; a few minutes on a slow line) …"
	@if command -v uv >/dev/null; then \
	   { [ -x $(BIN)/python ] || uv venv -q --python $(PYTHON) .venv; } && uv pip install -q -p .venv -r requirements.lock && uv pip install -q -p .venv --no-deps -e .; \
	 else \
	   { [ -x $(BIN)/pip ] || $(PYTHON) -m venv .venv; } && $(BIN)/pip install -q --disable-pip-version-check -r requirements.lock && $(BIN)/pip install -q --disable-pip-version-check --no-deps -e .; \
	 fi
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	@echo "Installing what the tests need …"
	@if command -v uv >/dev/null; then uv pip install -q -p .venv -r requirements-dev.lock; \
	 else $(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.lock; fi
	@touch $@

setup: .venv/.run ## install only; leaves .venv/bin/sokhoe
	@echo "Installed. Next: make demo   (or: $(BIN)/sokhoe --help)"

setup-dev: .venv/.dev

demo: .venv/.run ## install, seed and start an invented province (ARGS="--port 9600 --data DIR --people 5000")
	@exec $(BIN)/sokhoe demo $(ARGS)

test: .venv/.dev ## install and run every test (ARGS="-k words" narrows)
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)
	@echo "All tests passed. Next: make demo"

quick: .venv/.dev ## tests without browser, PostgreSQL and slow ones
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser and not postgres and not slow" $(ARGS)

lint: .venv/.dev ## ruff and mypy, as CI runs them
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: .venv/.dev ## first figures of this machine (a few minutes)
	@$(BIN)/python -m bench $(ARGS)

hardening: .venv/.dev ## attack servers of our own, and write what came of it to docs/hardening.md
	@$(BIN)/python -m hardening $(ARGS)

screens: .venv/.dev ## take the screenshots of docs/screens/
	@$(BIN)/python -m scripts.screens $(ARGS)

lock: ## renew requirements*.lock from pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev -c requirements.lock -o requirements-dev.lock

clean: ## remove what was installed and the demo's data
	rm -rf .venv demo-data dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
