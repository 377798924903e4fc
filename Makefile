# Every target does its own set-up. Python 3.11 or newer: `make test PYTHON=python3.12`.
PYTHON ?= python3
SCORES = dvc exp show --no-pager --drop '.*' --keep 'Experiment|^corpus$$|(validation|test)\.f1$$'
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help sample repro test lock

help:  ## say what the targets are
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

# DVC sets uncommitted work aside in a commit, and a commit needs a name.
sample: export GIT_AUTHOR_NAME = make sample
sample: export GIT_AUTHOR_EMAIL = sample@localhost
sample: export GIT_COMMITTER_NAME = make sample
sample: export GIT_COMMITTER_EMAIL = sample@localhost
sample: .venv/done  ## all five stages on the embedded sample corpus: no network, about a minute
	dvc exp run --temp --force --name sample -S corpus=sample -S embeddings=sample
	@$(SCORES) --hide-workspace
	@echo 'All scores and types: dvc metrics diff HEAD sample. All experiments: dvc exp show.'
	@echo 'To have its files here, predictions too: dvc exp apply sample (git checkout . goes back).'

repro: .venv/done  ## the pipeline on conllpp with glove-wiki-gigaword-50
	dvc repro
	@$(SCORES)

test: .venv/done  ## ruff, mypy and the whole test suite
	ruff check
	ruff format --check
	mypy
	pytest -n 2

# What torch's CUDA builds need is not listed: torch names the exact versions itself.
FREEZE = .venv/bin/pip freeze | sed -E '/^(cuda|nvidia|triton)/d; s/\+cpu//'
WANTED = .venv/bin/python -c 'import sys, tomllib; \
	t = tomllib.load(open("pyproject.toml", "rb")); print(*t[sys.argv[1]][sys.argv[2]], sep="\n")'

lock:  ## choose the newest versions that pyproject.toml allows, into requirements*.lock
	$(PYTHON) -m venv --clear .venv
	$(WANTED) project dependencies >.venv/wanted
	.venv/bin/pip install --quiet -r .venv/wanted
	$(FREEZE) >requirements.lock
	$(WANTED) dependency-groups dev >.venv/wanted
	.venv/bin/pip install --quiet -r .venv/wanted
	(echo '-r requirements.lock'; $(FREEZE) | grep -vxFf requirements.lock) >requirements-dev.lock
	touch .venv/done

# torch is asked for by its exact version, so that pip takes a CPU build (2.13.0+cpu) where
# PIP_FIND_LINKS or another index offers one.
.venv/done: requirements.lock requirements-dev.lock
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install -r requirements-dev.lock
	touch $@
