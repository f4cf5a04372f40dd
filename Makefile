# `make train` and `make test` do everything a fresh machine needs; both are safe to repeat.
VENV ?= .venv
PY := $(VENV)/bin/python
export BATGEN_DATA_DIR ?= $(wildcard ../shared/data)

.PHONY: help setup train test check figures clean

help:
	@echo "make train   set up (once) and run the main job: the honest RCVAE on the embedded data"
	@echo "make test    set up (once) and pass the tests (with BATGEN_DATA_DIR=... also those on measured data)"
	@echo "make check   ruff and mypy"
	@echo "make clean   remove $(VENV)"

setup: $(VENV)/.ready

# torch first and by exact version: an unpinned torch brings gigabytes of GPU packages
$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "== setting up $(VENV) with the versions of constraints.txt (a few minutes the first time)"
	python3 -c 'import sys; assert sys.version_info >= (3, 11), "batgen needs Python 3.11 or newer"'
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,launchers]"
	@touch $@

train: setup
	@echo "== python train.py"
	$(PY) train.py

test: setup
	@echo "== pytest"
	# two at a time, a file each: OpenMP threads of two workers on two cores only wait for each other
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile

check: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

clean:
	rm -rf $(VENV)
