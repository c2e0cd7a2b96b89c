# `make run` and `make test` do all the set-up that they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1

# Measured data next to the checkout, unless BLINDZONE_DATA names another folder.
ifndef BLINDZONE_DATA
ifneq ($(wildcard ../shared/data/.),)
export BLINDZONE_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: help install run serve test soak check docs tutorials audit bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

install: $(INSTALLED) ## make .venv and install blindzone into it

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "blindzone needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu 'apt-get install python3-venv' adds it"; exit 1; }
	@echo "installing into $(VENV) (a few minutes, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(INSTALLED) ## the main job: ingest, fill a held-out day, score and draw it
	@$(BIN)/blindzone demo

serve: $(INSTALLED) ## start the Prefect server, a worker and the deployments, on this machine only
	@$(BIN)/blindzone serve

test: $(INSTALLED) ## run the tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

soak: $(INSTALLED) ## run the long proofs: kills, faults, bounds, PostgreSQL
	@$(BIN)/python -m pytest -m soak --numprocesses 2 --dist loadfile

check: $(INSTALLED) docs ## ruff, mypy --strict, the import rules and the documentation's links
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@mkdir -p build/typing && ln -sfn ../.. build/typing/blindzone
	@MYPYPATH=build/typing $(BIN)/mypy -m blindzone -p blindzone.core -p blindzone.pipeline -p blindzone.models -p blindzone.flows
	@MYPYPATH=build/typing:benchmarks $(BIN)/mypy benchmarks/*.py
	@$(BIN)/lint-imports

docs: $(INSTALLED) ## build the site of the documentation; a link that leads nowhere is an error
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs build/docs
	@echo "build/docs/index.html"

tutorials: $(INSTALLED) ## execute the notebooks of docs/tutorials and store them with their outputs
	@$(BIN)/python tests/support/notebooks.py

audit: $(INSTALLED) ## look the dependencies up in the database of known vulnerabilities
	@mkdir -p build
	@$(BIN)/pip-audit -r constraints.txt --no-deps --disable-pip --strict --progress-spinner off 2>build/audit.log; \
	  status=$$?; \
	  if grep -qE 'ConnectionError|ServiceError|could not be audited' build/audit.log; then \
	    echo "the vulnerability service cannot be reached: nothing was audited"; exit 2; fi; \
	  cat build/audit.log >&2; exit $$status

bench: $(INSTALLED) ## measure speed as ratios in one run
	@$(BIN)/python benchmarks/ingest.py 2>/dev/null
	@$(BIN)/python benchmarks/growth.py 2>/dev/null
	@$(BIN)/python benchmarks/emulator.py
	@$(BIN)/python benchmarks/state.py
	@$(BIN)/python benchmarks/network.py 2>/dev/null
	@$(BIN)/python benchmarks/inference.py 2>/dev/null
	@$(BIN)/python benchmarks/coverage.py 2>/dev/null
	@$(BIN)/python benchmarks/reprocess.py 2>/dev/null

clean: ## remove what make and the runs have made here
	rm -rf $(VENV) build *.egg-info workspace .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
