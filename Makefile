# `make demo` runs the main job on sample videos; `make test` runs every check. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: demo test install lint clean
demo: .venv/core
	$(BIN)/h2a demo --workspace demo

test: .venv/dev lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: .venv/core

# Versions that were tested together; leave them out with `make demo CONSTRAINTS=`.
CONSTRAINTS ?= -c constraints.txt

.venv/core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) --editable .
	touch $@

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo dist build .mypy_cache .ruff_cache .pytest_cache
