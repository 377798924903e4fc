# Every target does its own set-up. Python 3.11 or newer: `make test PYTHON=python3.12`.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help sample repro ablation bench bench-peers bench-processors bench-review
.PHONY: review lock-check verify fingerprint summary test test-fast lock

help:  ## say what the targets are
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 18

say-where = echo && echo 'Open $(1)data/report/index.html in a browser to see every error.' && \
	echo 'The scores are in $(1)metrics/metrics.json, tagged text in $(1)data/predictions/.'

# In a copy of this tree, work in hand too, without git: so it leaves no trace here, and needs
# neither history nor an identity.
sample: .venv/done  ## all five stages on the embedded sample corpus: no network, about a minute
	rm -rf .sample && mkdir .sample
	GIT_INDEX_FILE=.sample/index git add --all
	GIT_INDEX_FILE=.sample/index git checkout-index --all --prefix=.sample/
	sed -i.bak -E 's/^(corpus|embeddings):.*/\1: sample/' .sample/params.yaml
	cd .sample && ../.venv/bin/dvc config --local core.no_scm true && ../.venv/bin/dvc repro
	@$(call say-where,.sample/)

repro: .venv/done  ## the pipeline on conllpp with glove-wiki-gigaword-50
	.venv/bin/dvc repro
	@$(call say-where)

# Names of branches reach the shell as variables: what stands in them is no command.
export BASE HEAD
review: .venv/done  ## compare HEAD (the working tree) with BASE: is it better, or only noise?
	.venv/bin/python -m review $${BASE:+--base $$BASE} $${HEAD:+--head $$HEAD} $(if $(CHECK),--check)

ablation: .venv/done  ## the tagger without each of its parts, over seeds: goes on where it stopped
	.venv/bin/python -m benchmarks.ablation

measure = .venv/bin/python -m benchmarks.$(1) $(2) >benchmarks/partial.txt && \
	mv benchmarks/partial.txt benchmarks/$(1).txt && cat benchmarks/$(1).txt

bench: .venv/done  ## after repro: the time and memory of training and of tagging
	$(call measure,train)
	$(call measure,tag)

bench-peers: .venv/done  ## after repro: the same beside flair, in an environment of its own
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet torch==2.13.0
	.venv-peers/bin/pip install --quiet flair==0.15.1 pandas pyarrow
	$(call measure,peers,.venv-peers/bin/python)

bench-review: .venv/done  ## how often a review calls a difference by mistake, and finds one
	$(call measure,verdicts)

bench-processors: .venv/done  ## after repro: how far F1 moves with other threads and instructions
	$(call measure,processors)

test:  ## ruff, mypy and the whole test suite
test-fast:  ## the same without the tests that start DVC or a browser: under 45 seconds
test-fast: chosen = -m "not slow"
test test-fast: .venv/done
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/pytest -n 2 --dist loadgroup $(chosen)

lock-check: .venv/done  ## whether dvc.lock is current: exit code 1 if not, and why
	.venv/bin/python -m review.lock

verify: .venv/done  ## run HEAD (REVISION=…) again in a clone: does it give the results in git?
	.venv/bin/python -m review.verify $(if $(TOLERANCE),--tolerance $(TOLERANCE)) $(REVISION)

fingerprint: .venv/done  ## whether this machine computes the committed bits, within seconds
	.venv/bin/python -m benchmarks.fingerprint

# After `make review`, in GitHub Actions alone: on the page of the run, and as the step's output.
summary: .venv/done
	.venv/bin/python -m review.summary

# What torch's CUDA builds need is not listed: torch names the exact versions itself.
FREEZE = .venv/bin/pip freeze --all --exclude pip | sed -E '/^(cuda|nvidia|triton)/d; s/\+cpu//'
WANTED = .venv/bin/python -c 'import sys, tomllib; \
	t = tomllib.load(open("pyproject.toml", "rb")); print(*t[sys.argv[1]][sys.argv[2]], sep="\n")'

lock:  ## choose the newest versions that pyproject.toml allows, into requirements*.lock
	$(PYTHON) -m venv --clear .venv
	($(WANTED) project dependencies && $(WANTED) dependency-groups pipeline) >.venv/wanted
	.venv/bin/pip install --quiet -r .venv/wanted
	$(FREEZE) >requirements.lock
	$(WANTED) dependency-groups dev >.venv/wanted
	.venv/bin/pip install --quiet -r .venv/wanted
	(echo '-r requirements.lock'; $(FREEZE) | grep -vxFf requirements.lock) >requirements-dev.lock
	touch .venv/done

# torch is asked for by its exact version, so that pip takes a CPU build (2.13.0+cpu) where
# PIP_FIND_LINKS or another index offers one.
# A pip before 23.1 would else build seqeval by a way that fails: Debian 12 has one.
.venv/done: requirements.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed; name one as in: make test PYTHON=python3.12")'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --use-pep517 -r requirements-dev.lock
	touch $@
