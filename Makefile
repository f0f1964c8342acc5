# make demo and make test need Python 3.11+ and make, nothing else; both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# One test process a core, four at most: each holds torch in memory.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

.PHONY: help install demo test test-slow lint format bench clean

help:
	@echo "make demo        install, index the sample images, show a search, open the page (ARGS=--no-serve: do not)"
	@echo "make install     only make the environment"
	@echo "make test        install, run the tests    make test-slow: the long suites"
	@echo "make lint        ruff, mypy, import-linter make format: let ruff rewrite"
	@echo "make bench       the benchmarks"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@# One that is half made has a python and no pip: nothing of it may stay.
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "No environment could be made; on Debian and Ubuntu: apt install python3-venv, then make again."; exit 1; }

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[heif,test,lint]'
	@touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/retrieval demo --gallery .demo/gallery $(ARGS)

test: $(VENV)/.installed-tests
	$(PYTEST) $(ARGS)

test-slow: $(VENV)/.installed-tests
	$(PYTEST) -m slow --timeout 1800 $(ARGS)

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-tests
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
