# Every target sets up what it needs: a Python >= 3.11 and git are enough.
# PYTHON=/path/to/python chooses the interpreter, ARGS="…" is handed on.

ifndef VENV
VENV := .venv
endif
ifeq ($(OS),Windows_NT)
RUN = "$(VENV)/Scripts/python"
else
RUN = "$(VENV)/bin/python"
endif
export PYTHON

.PHONY: help setup test quick lint format schema demo bench clean
.DEFAULT_GOAL := help

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  PYTHON=/path/to/python chooses the interpreter, ARGS="-k name" is handed on.'

setup: ## make the virtual environment (the others do it by themselves)
	@sh .ci/setup "$(VENV)"

test: setup ## run all tests
	@$(RUN) -m pytest $(ARGS)

quick: setup ## run the tests that take no more than moments
	@$(RUN) -m pytest -q -m "not slow" $(ARGS)

lint: setup ## check style, types and the direction of imports
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check --quiet .
	@$(RUN) -m mypy
	@$(RUN) -c "from importlinter.cli import lint_imports_command as run; run()" --no-cache

format: setup ## put the code into shape
	@$(RUN) -m ruff check --quiet --fix-only .
	@$(RUN) -m ruff format --quiet .

schema: setup ## renew the JSON Schema that ships, from the structs
	@$(RUN) -m pytest_bugsle.report.schema

demo: ## see the gate at work on a small history
	@sh .ci/setup "$(VENV)" ""
	@$(RUN) -m pytest_bugsle demo $(ARGS)

bench: setup ## measure, and print the ratios
	@$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	@$(RUN) -m benchmarks $(ARGS)

clean: ## take out the virtual environment and the caches
	rm -rf "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
