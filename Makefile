# make run                                   the default experiment
# make run ARGS='experiment=ffhq region=[eyes,mouth]'
# make train                                 a BigGAN of its own, see conf/train
# make test, make lint                       what CI runs
# make bench, make bench-gpu                 speed, both sides in one process: benchmarks/results.md
PYTHON ?= python3
TORCH ?= torch==2.13.0
PROFILE ?= profiles/default
ARGS ?=
export ARGS PROFILE

BIN := .venv/bin
SOURCES := lowrankgan workflow scripts benchmarks tests

.PHONY: run train test lint format bench bench-gpu
.DELETE_ON_ERROR:

run: .venv/.complete
	@$(BIN)/python -m workflow.run

train: .venv/.complete
	@$(BIN)/snakemake --profile $(PROFILE) trained --config training="$$ARGS"

test: .venv/.complete
	$(BIN)/python -m pytest

lint: .venv/.complete
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

format: .venv/.complete
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/snakefmt Snakefile workflow/rules

bench: .venv/.bench
	@$(BIN)/python -m benchmarks.run cpu

bench-gpu: .venv/.complete
	@$(BIN)/python -m benchmarks.run gpu

.venv/.bench: .venv/.complete benchmarks/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $@

# torch first: what is installed after it then takes the build that is there.
.venv/.complete: requirements.lock
	@test ! -L .venv || { echo 'error: .venv is a link; --clear would empty the environment that it leads to' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
