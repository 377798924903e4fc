"""A review says what changed and whether it is real, from git alone, and says so when it cannot."""

import hashlib
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from evaluation.slices import COUNTS, Train, count_entities
from review.__main__ import align, unexplained_results
from review.compare import compare_split
from review.dvc_files import Stage
from review.revision import METRICS, SENTENCES, Revision, changed_parameters
from tagger.files import InputError
from tests.conftest import Clone, commit_all

TYPES = ["PER", "LOC"]


def table(wrong: dict[str, float], seed: int, documents: int = 60) -> pd.DataFrame:
    """Counts of a tagger that misses a share of the entities of each type, and of others seldom."""
    random = np.random.default_rng(seed)
    gold, predicted, numbers = [], [], []
    for document in range(documents):
        for _ in range(4):
            tags = [f"B-{TYPES[i % 2]}" for i in range(6)]
            gold.append(tags)
            predicted.append([t if random.random() > wrong.get(t[2:], 0.1) else "O" for t in tags])
            numbers.append(document)
    tokens = [["a"] * 6] * len(gold)
    counts = count_entities(tokens, numbers, gold, predicted, TYPES, Train.of([], []))
    return counts.assign(split="test")


def test_a_verdict_says_what_a_person_needs() -> None:
    base, worse = table({}, 1), table({"LOC": 0.3}, 2)
    found = compare_split("test", [base], [worse])
    assert re.fullmatch(
        r"worse \(ΔF1 −\d+\.\d\d, 95 % −\d+\.\d\d … −\d+\.\d\d, p < 0\.001\); "
        r"worse on recall, LOC, entities unseen in train \(recall\), .*",
        found.verdict,
    )
    assert found.overall.support == 60 * 4 * 6
    back = compare_split("test", [worse], [base])
    assert back.verdict.startswith("better (ΔF1 +")
    assert (back.better, back.worse) == (found.worse, found.better)
    assert found.worse > found.better > 0

    same = compare_split("test", [base], [table({}, 3)])
    assert re.fullmatch(
        r"no evidence of a difference \(ΔF1 [+−]\d\.\d\d, 95 % −\d\.\d\d … \+\d\.\d\d, "
        r"p = 0\.\d+\)",
        same.verdict,
    )


def test_better_here_and_worse_there_are_both_named() -> None:
    base, head = table({"PER": 0.25, "LOC": 0.1}, 1), table({"PER": 0.1, "LOC": 0.25}, 2)
    verdict = compare_split("test", [base], [head]).verdict
    assert verdict.startswith("no evidence of a difference (")
    assert verdict.endswith("; better on PER; worse on LOC")


def test_several_runs_are_tested_as_such() -> None:
    seeds = [table({}, seed) for seed in range(6)]
    found = compare_split("test", seeds[:3], seeds[3:])
    assert found.runs == (3, 3)
    assert found.overall.verdict == ""
    errors = [_errors(some) for some in seeds]
    rows = found.sentences.set_index("sentence")
    for number, mean in rows["base"].items():
        assert mean == pytest.approx(np.mean([e[int(str(number))] for e in errors[:3]]))


def _errors(some: pd.DataFrame) -> list[int]:
    rows = some.to_dict("records")
    return [
        sum(
            row[f"type.{t}.predicted"] + row[f"type.{t}.gold"] - 2 * row[f"type.{t}.correct"]
            for t in TYPES
        )
        for row in rows
    ]


def test_what_cannot_be_compared_is_refused() -> None:
    base = table({}, 1)
    with pytest.raises(ValueError, match="not of the same sentences"):
        compare_split("test", [base], [base.iloc[1:]])
    other = base.assign(**{"type.PER.gold": base["type.PER.gold"] + 1})
    with pytest.raises(ValueError, match="not of the same sentences and gold entities"):
        compare_split("test", [base], [other])
    with pytest.raises(ValueError, match="1 and 2 runs"):
        compare_split("test", [base], [base, base])

    extra = {f"type.ORG.{what}": 0 for what in COUNTS}
    with pytest.raises(ValueError, match="not of the same sentences and gold entities"):
        compare_split("test", [base], [base.assign(**extra)])


def test_slices_of_another_train_are_not_compared() -> None:
    base = table({}, 1)
    moved = {
        f"{name}_entities.{what}": base[f"{other}_entities.{what}"]
        for name, other in (("seen", "unseen"), ("unseen", "seen"))
        for what in COUNTS
    }
    found = compare_split("test", [base], [base.assign(**moved)])
    assert found.incomparable_slices == [
        "entities seen in train (recall)",
        "entities unseen in train (recall)",
    ]
    assert not {row.label for row in found.rows} & set(found.incomparable_slices)
    assert found.verdict.endswith("p = 1.00)")
    assert compare_split(
        "test", [base], [base.drop(columns="length_1.gold")]
    ).incomparable_slices == ["entities of 1 token"]


def test_tables_are_aligned() -> None:
    assert align("text\n| a | long |\n|---|---|\n| bb | c |\n") == (
        "text\n| a   | long |\n| --- | ---- |\n| bb  | c    |"
    )


def test_parameters_are_shown_as_they_stand_and_compared_by_value(tmp_path: Path) -> None:
    texts = {"base": "clip: 1e-05\nrate: 0.00012\ncrf: true\ngone: a|b\n",
             "head": "clip: 0.00001\nrate: 0.00014\ncrf: false\n"}  # fmt: skip
    sides = []
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.yaml").write_text(text, encoding="utf-8")
        sides.append(Revision(tmp_path / name, name, None))
    changed = changed_parameters(*sides)
    assert changed == {
        "rate": ("0.00012", "0.00014"),
        "crf": ("true", "false"),
        "gone": ("a|b", None),
    }


def lock_of(vectors: str, model: str, report: str) -> str:
    """A dvc.lock with two stages and hashes of these texts."""
    vectors, model, report, code = (
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        for text in (vectors, model, report, "code")
    )
    return f"""
stages:
  train:
    deps: [{{path: code.py, md5: {code}}}, {{path: data/inputs/vectors, md5: {vectors}}}]
    outs: [{{path: data/model, md5: {model}}}]
  evaluate:
    deps: [{{path: data/model, md5: {model}}}]
    outs: [{{path: data/report, md5: {report}}}]
"""


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", ()),
        (lock_of("v1", "m1", "r1"), ()),
        (lock_of("v2", "m1", "r1"), ()),
        (
            lock_of("v1", "m2", "r2"),
            (": data/model, data/report.", "different kinds of machine", "`make fingerprint`"),
        ),
        (lock_of("v1", "m1", "r2"), (": data/report.", "kinds of machine", "`make verify`")),
        (
            lock_of("v2", "m2", "r1"),
            (": data/model.", "from another data/inputs/vectors: from files"),
        ),
    ],
)
def test_results_that_differ_for_no_reason_in_git_are_explained(
    tmp_path: Path, head: str, expected: tuple[str, ...]
) -> None:
    sides = []
    for name, text in (("base", lock_of("v1", "m1", "r1")), ("head", head)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dvc.lock").write_text(text, encoding="utf-8")
        sides.append(Revision(tmp_path / name, name, None))
    notes = unexplained_results(*sides)
    assert len(notes) == bool(expected)
    for part in expected:
        assert part in notes[0]


def test_a_path_in_dvc_yaml_may_name_a_parameter(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("corpus: mine\n", encoding="utf-8")
    stages = "stages:\n  a: {cmd: 'x ${other}', deps: ['in/${corpus}']}\n"
    (tmp_path / "dvc.yaml").write_text(stages, encoding="utf-8")
    found = Revision(tmp_path, "here", None).stages()
    assert found == {"a": Stage("x ${other}", ["in/mine"], {}, {})}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (METRICS, b"[1]", r": \[1\] is no number"),
        (METRICS, b'{"test": {"f1": "high"}}', "test.f1: 'high' is no number"),
        (METRICS, b"{", "is not JSON"),
        (SENTENCES, b"", "is malformed: No columns"),
        (SENTENCES, b"split,document\ntest,0,0,0\n,\n1,1,1,1,1", "is malformed"),
        (SENTENCES, b"split,document\ntest,0\n", "has no column 'sentence'"),
        (
            SENTENCES,
            b"split,document,sentence,type.A.gold,type.A.correct\ntest,0,0,1,1\n",
            "has no column 'type.A.predicted'",
        ),
        (SENTENCES, b"split,document,sentence\ntest,0,\n", "sentence: not all are whole numbers"),
        (SENTENCES, b"\xff", "is not UTF-8"),
        ("params.yaml", b"- a", "must hold `key: value` lines"),
        ("dvc.yaml", b"stages: 3", "must hold `key: value` lines, and stages by name"),
        ("dvc.lock", b"<<<<<<< HEAD\n", "has a merge conflict in line 1"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    revision = Revision(tmp_path, "here", None)
    read: dict[str, Callable[[], object]] = {
        METRICS: revision.metrics,
        SENTENCES: revision.sentences,
    }
    with pytest.raises(InputError, match=message) as error:
        read.get(file, partial(revision.yaml, file))()
    assert str(error.value).startswith(f"{file} of here")


def run_review(clone: Clone, *arguments: str, status: int = 0) -> tuple[str, str, str]:
    """What the command prints, and the Markdown and the page that it writes."""
    printed = clone.run("python", "-m", "review", *arguments, status=status)
    written = [clone.path / ".review" / name for name in ("review.md", "review.html")]
    texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in written]
    return printed, texts[0], texts[1]


def words_of(clone: Clone) -> set[str]:
    """Longer words of validation and test with a capital."""
    text = "".join(clone.read(f"data/predictions/{s}.conll") for s in ("validation", "test"))
    words = {line.split()[0] for line in text.splitlines() if line}
    return {word for word in words if word.isalpha() and not word.islower() and len(word) > 4}


def test_a_change_is_reviewed(clone_with_results: Clone, tmp_path: Path) -> None:
    clone = clone_with_results
    printed, text, page = run_review(clone, "--base", "HEAD")
    assert "No sentence differs." in page
    assert "No parameter and no stage's code differs." in text
    assert text.count("no evidence of a difference (ΔF1 +0.00") == 2
    assert "dvc.lock is current" in printed
    assert clone.run("git", "status", "--short") == ""
    assert "make fingerprint" not in text

    lock = yaml.safe_load(clone.read("dvc.lock"))
    (model,) = (
        out["md5"] for out in lock["stages"]["train"]["outs"] if out["path"] == "data/model"
    )
    clone.edit("dvc.lock", model, f"0123{model[4:]}")
    _, text, page = run_review(clone, "--base", "HEAD")
    assert "dvc.lock is current" in text
    assert (
        "> No parameter, code, input or version in git differs, but these results do: data/model."
        in text
    )
    for command in ("make fingerprint", "make verify"):
        assert f"`{command}`" in text
        assert f"`{command}`" in page
    clone.run("git", "checkout", "-q", "dvc.lock")

    clone.run("git", "checkout", "-q", "-b", "wider")
    clone.run("dvc", "exp", "run", "-S", "hidden=48", "-S", "epochs=9")
    commit_all(clone)
    printed, text, page = run_review(clone)  # against main
    assert "## the working tree against main (" in text
    for row in ("| hidden | 16 | 48 |", "| epochs | 4 | 9 |"):
        assert row in text
    scores = [
        json.loads(clone.run("git", "show", f"{rev}:metrics/metrics.json"))["test"]
        for rev in ("main", "wider")
    ]
    f1 = [f"{s['f1']:.4f}" for s in scores]
    assert f"| F1 | {f1[0]} | {f1[1]} |" in text.split("### test")[1]
    assert "**test: better (ΔF1 +" in text
    assert "Each side is one run." in text
    assert "<details>" in text
    assert "<details>" not in printed
    # Sentences are on the page, and only there.
    words = words_of(clone)
    assert not words & set(re.findall(r"\w+", text))
    assert len(words & set(re.findall(r"\w+", page))) > 20
    assert "default-src 'none'" in page
    for name in ("tagger/model/crf.py", "stages/evaluate.py"):
        (clone.path / name).write_text(clone.read(name) + "\n# edited\n")
    printed, text, _ = run_review(clone, "--check", status=1)
    assert (
        "* `train`: tagger/model/crf.py\n* `evaluate`: stages/evaluate.py, tagger/model/crf.py\n"
        in text
    )
    assert (
        "**dvc.lock is not current**: `dvc repro` would rerun train, evaluate, export." in printed
    )

    # From git alone: two revisions; runs of several seeds as experiments.
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "exp", "run", "--temp", "--name", "wider-2", "-S", "seed=2")
    printed, text, page = run_review(
        clone, "--base", "main", "wider-2", "--head", "wider", "wider-2", "--check"
    )
    assert "Means over 2 and 2 runs" in text
    assert "Each side is one run" not in text
    assert "The tags are those of the first run of each side" in page
    printed = clone.run("python", "-m", "review", "--base", "wider", "HEAD", status=1)
    assert "stands twice on one side: name each run once" in printed
    # Git hooks run with variables that name the repository; our clones must not obey them.
    before = clone.run("git", "rev-parse", "--abbrev-ref", "HEAD")
    here = Clone(clone.path, clone.env | {"GIT_DIR": str(clone.path / ".git")})
    run_review(here, "--base", "main", "--head", "HEAD~1")
    assert clone.run("git", "rev-parse", "--abbrev-ref", "HEAD") == before
    fresh = Clone(tmp_path / "fresh", clone.env | {"DVC_SITE_CACHE_DIR": str(tmp_path / "site")})
    clone.run("git", "clone", "-q", str(clone.path), str(fresh.path))
    printed, text, page = run_review(fresh, "--base", "main", "--check")
    assert "the predictions of neither side are on this machine" in page
    assert "dvc.lock is current" in text
    assert "## the working tree against origin/main (" in text
    _, text, _ = run_review(clone, "--base", "wider", "--head", "main")
    assert "> wider has commits that main lacks (1): " in text


def test_what_is_missing_is_named_and_the_rest_is_shown(
    clone_with_results: Clone, tmp_path: Path
) -> None:
    clone = clone_with_results
    clone.run("git", "rm", "-q", "--cached", "metrics/sentences.csv")
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    clone.run("git", *identity, "commit", "-qm", "An older commit")
    commit_all(clone)
    printed, _, _ = run_review(clone, "--base", "HEAD~1")
    assert "No test of the differences: there is no metrics/sentences.csv in HEAD~1 (" in printed
    assert "dvc.lock is current" in printed

    printed, _, _ = run_review(clone, "--base", "nope")
    run_review(clone, "--base", "nope", "--check", status=1)
    assert "differs" not in printed
    f1 = json.loads(clone.read(METRICS))["test"]["f1"]
    assert re.search(rf"^\| test +\| – +\| {f1} +\| – +\|$", printed, re.MULTILINE)
    assert "Nothing can be compared: there is no revision 'nope' here; name a branch" in printed
    assert "dvc.lock is current" in printed
    assert "Traceback" not in printed

    Clone(tmp_path, clone.env).run(
        "git", "clone", "-q", "--depth", "1", f"file://{clone.path}", "shallow"
    )
    shallow = Clone(tmp_path / "shallow", clone.env)
    printed, text, _ = run_review(shallow, "--base", "HEAD~1")
    assert "this clone is shallow: git fetch --unshallow" in printed
    assert "test.f1" in text
