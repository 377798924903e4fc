"""What makes dvc.lock stale, and what does not: above all a clone without any data."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from review.lock import Lock, read_lock
from review.revision import WORKING_TREE, Revision, changed_code
from review.verify import verify
from tagger.files import InputError
from tests.conftest import Clone, commit_all

CACHED = [
    "data/corpus", "data/embeddings", "data/index", "data/model", "data/curve.csv",
    "data/predictions", "data/report", "data/tagger",
]  # fmt: skip
AFTER_TRAIN = {"evaluate": ["after train"], "export": ["after train, evaluate"]}


@pytest.fixture(autouse=True)
def as_a_new_user(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)


def check(folder: Path) -> Lock:
    """Check the dvc.lock of the files on disk."""
    return read_lock(Revision(folder, WORKING_TREE, None))


@pytest.fixture(scope="module")
def pair(reproduced: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Clone]:
    """A clone that has the results, and a fresh one of it, which has those in git alone."""
    folder = tmp_path_factory.mktemp("lock")
    shutil.copytree(reproduced.path, folder / "results", symlinks=True)
    full = Clone(folder / "results", reproduced.env)
    commit_all(full)
    full.run("git", "clone", "-q", str(full.path), str(folder / "fresh"))
    return full, Clone(folder / "fresh", reproduced.env)


@pytest.fixture
def fresh(pair: tuple[Clone, Clone]) -> Iterator[Clone]:
    yield pair[1]
    pair[1].run("git", "checkout", "-q", ".")


def test_a_fresh_clone_is_current(fresh: Clone) -> None:
    assert check(fresh.path) == Lock({}, CACHED, "evaluate")
    output = fresh.run("python", "-m", "review.lock")
    assert "Not in the local cache, which is no fault: data/corpus, " in output
    assert output.endswith("dvc.lock is current.\n")


def change_code(clone: Clone) -> None:
    clone.edit("tagger/model/crf.py", "import torch\n", "import torch\n\n")


def change_versions(clone: Clone) -> None:
    clone.edit("requirements.lock", "numpy==", "numpy==1")


def change_a_parameter(clone: Clone) -> None:
    clone.set(hidden=24)


def delete_a_result(clone: Clone) -> None:
    (clone.path / "metrics/metrics.json").unlink()


def change_a_result(clone: Clone) -> None:
    clone.edit("metrics/metrics.json", "{", "{ ")


def change_a_command(clone: Clone) -> None:
    clone.edit("dvc.yaml", "python -m stages train", "python -O -m stages train")


def add_a_dependency(clone: Clone) -> None:
    clone.edit("dvc.yaml", "- stages/train.py\n", "- stages/train.py\n      - data/corpus\n")


def add_an_output(clone: Clone) -> None:
    clone.edit(
        "dvc.yaml", "      - data/curve.csv\n\n", "      - data/curve.csv\n      - data/new\n\n"
    )


def delete_code(clone: Clone) -> None:
    (clone.path / "stages/evaluate.py").unlink()


def change_a_hash_in_the_lock(clone: Clone) -> None:
    text = clone.read("dvc.lock")
    before, it, after = text.rpartition("path: data/model\n")
    after = re.sub(r"md5: \w{4}", "md5: 0123", after, count=1)
    (clone.path / "dvc.lock").write_text(before + it + after, encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            change_code,
            {
                "train": ["changed: tagger/model"],
                "evaluate": ["changed: tagger/model", "after train"],
                "export": ["changed: tagger/model", "after train, evaluate"],
            },
        ),
        (
            change_versions,
            {
                "download": ["changed: requirements.lock"],
                "embed": ["changed: requirements.lock"],
                "index": ["changed: requirements.lock", "after download, embed"],
                "train": ["changed: requirements.lock", "after embed, index"],
                "evaluate": ["changed: requirements.lock", "after download, embed, train"],
                "export": ["changed: requirements.lock", "after embed, index, train, evaluate"],
            },
        ),
        (
            change_a_parameter,
            {
                "train": ["parameter hidden: 16 in dvc.lock, 24 in params.yaml"],
                **AFTER_TRAIN,
            },
        ),
        *[
            (
                change,
                {
                    "evaluate": [f"{what}: metrics/metrics.json"],
                    "export": [f"{what}: metrics/metrics.json", "after evaluate"],
                },
            )
            for change, what in ((change_a_result, "changed"), (delete_a_result, "deleted"))
        ],
        (change_a_command, {"train": ["changed command"], **AFTER_TRAIN}),
        (add_a_dependency, {"train": ["not in dvc.lock: data/corpus"], **AFTER_TRAIN}),
        (add_an_output, {"train": ["not in dvc.lock: data/new"], **AFTER_TRAIN}),
        (
            delete_code,
            {"evaluate": ["deleted: stages/evaluate.py"], "export": ["after evaluate"]},
        ),
        (
            change_a_hash_in_the_lock,
            {"export": ["dvc.lock has another data/model here than train made"]},
        ),
    ],
)
def test_a_change_names_the_stages_that_would_rerun_and_why(
    fresh: Clone, change: Callable[[Clone], None], expected: dict[str, list[str]]
) -> None:
    change(fresh)
    lock = check(fresh.path)
    assert lock.stale == expected
    assert list(lock.stale) == list(expected), "in the order of the pipeline"
    assert lock.missing == CACHED
    assert lock.has_stale_scores == ("evaluate" in expected)


def test_without_a_lock_nothing_is_in_it(fresh: Clone) -> None:
    (fresh.path / "dvc.lock").unlink()
    output = fresh.run("python", "-m", "review.lock", status=1)
    assert "index: not in dvc.lock; after download, embed\n" in output
    assert output.endswith("dvc.lock is not current: run dvc repro, and commit what it changes.\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages: {}\n>>>>>>> x\n",
            "^dvc.lock of the working tree has a merge conflict in line 2: <<<<<<< HEAD.",
        ),
        ("stages: {\n", "(?s)^dvc.lock of the working tree is not YAML: .*line 2"),
        ("[]\n", "^dvc.lock of the working tree must hold `key: value` lines"),
    ],
)
def test_a_broken_lock_is_an_error(fresh: Clone, text: str, message: str) -> None:
    (fresh.path / "dvc.lock").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        check(fresh.path)


def test_data_of_another_state_do_not_make_the_lock_stale(pair: tuple[Clone, Clone]) -> None:
    full, _ = pair
    config = full.path / "data/model/config.json"
    config.chmod(0o644)
    config.write_text("{}", encoding="utf-8")
    assert "data/model" in full.run("dvc", "status")
    assert check(full.path) == Lock({}, [], "evaluate")
    assert "Running" not in full.run("dvc", "repro"), "it takes the model from the cache"
    assert json.loads(config.read_text(encoding="utf-8"))


def test_a_commit_has_its_own_lock_and_the_cache_of_the_repository(
    clone_with_results: Clone,
) -> None:
    clone = clone_with_results
    clone.set(hidden=24)
    commit_all(clone)
    (clone.path / "tagger/model/crf.py").unlink()  # of the working tree alone
    later, earlier = (read_lock(Revision.find(clone.path, name)) for name in ("HEAD", "HEAD~1"))
    assert later.stale == {"train": later.stale["train"], **AFTER_TRAIN}
    assert earlier == Lock({}, [], "evaluate")
    assert list(check(clone.path).stale) == ["train", *AFTER_TRAIN]


@pytest.mark.slow
def test_of_data_that_dvc_add_tracks_git_has_the_hash(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    author = Clone(tmp_path / "author", environment)
    data = author.path / "data/mine.txt"
    data.parent.mkdir(parents=True)
    data.write_text("one", encoding="utf-8")
    (author.path / "params.yaml").write_text("seed: 1\n", encoding="utf-8")
    (author.path / "dvc.yaml").write_text(
        "stages: {a: {cmd: cp data/mine.txt out, deps: [data/mine.txt], outs: [out]}}\n",
        encoding="utf-8",
    )
    for command in ("git init -q", "dvc init -q", "dvc add -q data/mine.txt", "dvc repro -q"):
        author.run(*command.split())
    commit_all(author)
    author.run("git", "clone", "-q", ".", "../fresh")
    fresh = Clone(tmp_path / "fresh", environment)
    base = Revision.find(author.path, "HEAD")
    assert check(author.path).stale == check(fresh.path).stale == read_lock(base).stale == {}
    with pytest.raises(InputError, match=r"mine\.txt is tracked by `dvc add`: git has"):
        verify(author.path, "HEAD")

    data.write_text("two", encoding="utf-8")
    author.run("dvc", "add", "-q", "data/mine.txt")
    commit_all(author)
    fresh.run("git", "pull", "-q")
    head = Revision.find(author.path, "HEAD")
    changed = {"a": ["changed: data/mine.txt"]}
    assert check(author.path).stale == check(fresh.path).stale == read_lock(head).stale == changed
    assert changed_code(base, head) == {"a": ["data/mine.txt.dvc"]}


def test_a_shallow_clone_will_do(clone_with_results: Clone, tmp_path: Path) -> None:
    source = clone_with_results.path.as_uri()
    clone_with_results.run("git", "clone", "-q", "--depth", "1", source, str(tmp_path / "shallow"))
    assert read_lock(Revision.find(tmp_path / "shallow", "HEAD")) == Lock({}, CACHED, "evaluate")
