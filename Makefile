# Everything starts here; `make help` lists it. Only python3 (3.11 or newer) and make are needed beforehand:
# the first target that needs it creates .venv and installs into it, and again whenever setup.cfg changes.

PYTHON ?=
SEEDS ?= 100
SEED_FIRST ?= 1
MINUTES ?= 2
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench simulate kills mutants dev docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  variables: PYTHON=/path/to/python3 (which one builds $(VENV)), JOBS=$(JOBS),"
	@echo "             SEEDS=$(SEEDS), SEED_FIRST=$(SEED_FIRST) and MINUTES=$(MINUTES) (for simulate), ARGS='…' (passed on by all but test and check)"

demo: $(VENV)/installed ## a three-region cluster on this machine: real posts, a dead node, a partition, a verdict
	@$(BIN)/folkmoot demo $(ARGS)

# Many tests wait more than they work, for conditions and not for times: so one more runs than there are
# processors for. Those of real processes run by files, beside each other but not beside everything else.
test: dev ## the whole test suite
	@$(BIN)/python -m pytest -rs -m "not cluster" --numprocesses $$(($(JOBS) + 1)) --dist worksteal
	@$(BIN)/python -m pytest -rs -m cluster --numprocesses $$(($(JOBS) + 1)) --dist loadfile

check: dev ## lint, format, types, layers, house rules and docs
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --config setup.cfg --no-cache
	@$(BIN)/python -m pytest --quiet -rs -m "not cluster" tests/house

bench: $(VENV)/installed ## the benchmarks, as ratios to what the machine can do
	@$(BIN)/python -m benchmarks $(ARGS)

simulate: $(VENV)/installed ## run SEEDS seeded simulations of the production actors; goes on where it stopped
	@$(BIN)/folkmoot simulate --seeds $(SEED_FIRST)..$$(($(SEED_FIRST) + $(SEEDS) - 1)) --minutes $(MINUTES) \
		--jobs $(JOBS) --keep build/simulated.jsonl --shrink 60 $(ARGS)

mutants: dev ## plant every bug of the catalogue and show which checker finds it, after how many seeds
	@$(BIN)/python -m tests.mutants.gate --jobs $(JOBS) $(ARGS)

kills: dev ## kill nodes of a real cluster under load a thousand times, and compare; goes on where it stopped
	@$(BIN)/python -m tests.integration.kills $(ARGS)

docs: dev ## write docs/reference and the test vectors anew from the code
	@$(BIN)/python -m tests.house.reference
	@$(BIN)/python -m tests.vectors.generate

dev: $(VENV)/installed-dev build/pkg/folkmoot ## prepare for development: tools, and the link type checkers follow

$(VENV)/installed: $(VENV)/bin/python setup.cfg pyproject.toml
	@echo "installing folkmoot into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/bin/python setup.cfg pyproject.toml
	@echo "installing folkmoot and its development tools into $(VENV)"
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/installed $@

build/pkg/folkmoot:
	@mkdir -p build/pkg
	@ln -sfn ../.. $@

$(VENV)/bin/python:
	@adequate='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	for python in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
		if "$$python" -c "$$adequate" 2>/dev/null; then \
			echo "creating $(VENV) with $$("$$python" --version)"; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "folkmoot needs Python 3.11 or newer with its venv module, and $(if $(PYTHON),$(PYTHON) is not that,none was found)." >&2; \
	echo "Install it (on Debian: apt-get install python3 python3-venv) or name one: make PYTHON=/path/to/python3" >&2; \
	exit 1
