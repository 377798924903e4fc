"""The ablation runs experiments, goes on where it stopped, and averages what it says."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.ablation import (
    ABLATION,
    COLUMNS,
    MODELS,
    RUNS,
    inputs_of_f1,
    markdown,
    replace_section,
    summarise,
)
from tagger.files import InputError
from tests.conftest import ROOT, Clone, commit_all


def test_means_and_deviations_are_those_of_the_runs() -> None:
    default, other = list(MODELS)[:2]
    values = {default: [0.5, 0.6, 0.9], other: [0.1, 0.3]}
    rows = [
        (model, seed, "code", f1, f1 / 2, 10 * seed)
        for model, scores in values.items()
        for seed, f1 in enumerate(scores, 1)
    ]
    runs = pd.DataFrame(rows, columns=COLUMNS)
    table = summarise(runs)
    assert table["model"].tolist() == [default, other]
    assert table["seeds"].tolist() == [3, 2]
    for (_, row), scores in zip(table.iterrows(), values.values(), strict=True):
        assert row["validation_f1"] == pytest.approx(statistics.mean(scores))
        assert row["validation_f1_sd"] == pytest.approx(statistics.stdev(scores))
        assert row["test_f1"] == pytest.approx(statistics.mean(scores) / 2)
        assert row["test_f1_sd"] == pytest.approx(statistics.stdev(scores) / 2)
    assert table["seconds"].tolist() == [10, 10], "of the quickest"
    assert f"| {other} | 2 | 0.2000 ± 0.1414 | 0.1000 ± 0.0707 | 10 s |\n" in markdown(table)
    assert f"| {other} | 1 | 0.1000 | 0.0500 | 10 s |\n" in markdown(summarise(runs[3:4]))


def test_a_section_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("a\n<!-- t -->\n| old |\n| rows |\n<!-- /t -->\n| b |\n", encoding="utf-8")
    replace_section(file, "t", "| \\1 |\n")
    expected = "a\n<!-- t -->\n| \\1 |\n<!-- /t -->\n| b |\n"
    assert file.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- t -->\n",
        "<!-- /t -->\n<!-- t -->\n",
        "<!-- t -->\n<!-- t -->\n<!-- /t -->\n",
        "<!-- t -->\n<!-- /t -->\n<!-- /t -->\n",
        "<!-- other -->\n<!-- /other -->\n",
    ],
)
def test_a_section_without_its_marks_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "README.md"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"README.md must hold the lines <!-- t --> and <!-- /t -->"
    ):
        replace_section(file, "t", "new\n")
    assert file.read_text(encoding="utf-8") == text


def test_f1_depends_on_code_and_the_corpus_that_is_named(
    clone: Callable[..., Clone], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = clone()
    for change in ("tagger/model/crf.py", "evaluation/scoring.py", "evaluation/report.py"):
        here.edit(change, "import", "import  ")
        commit_all(here)
    monkeypatch.chdir(here.path)
    report, scoring, model, corpus = (inputs_of_f1(f"HEAD~{n}") for n in range(4))
    assert report == scoring, "F1 does not depend on the page"
    assert {path for path in scoring if scoring[path] != model[path]} == {"evaluation/scoring.py"}
    assert {path for path in model if model[path] != corpus[path]} == {"tagger/model"}
    assert "data/inputs/corpora/sample" in corpus
    here.edit("dvc.yaml", "- stages/train.py", "- stages/gone.py")
    commit_all(here)
    monkeypatch.setenv("LC_ALL", "C")  # the words are git's
    with pytest.raises(SystemExit, match=r"path 'stages/gone\.py' does not exist in 'HEAD'"):
        inputs_of_f1("HEAD")


@pytest.fixture
def small(clone_with_results: Clone) -> Clone:
    """A clone whose ablation is of two models, and whose author has a name."""
    clone = clone_with_results
    for key, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        clone.run("git", "config", key, value)
    text = clone.read("benchmarks/ablation.py")
    start, end = text.index("MODELS = {"), text.index("}\nRUNS")
    models = 'MODELS = {"one": ("", 2), "other": ("crf=false", 1)'
    clone.edit("benchmarks/ablation.py", text[start:end], models)
    return clone


def ablate(clone: Clone) -> str:
    return clone.run("python", "-m", "benchmarks.ablation", "2")


def test_it_runs_what_is_missing_and_writes_the_tables(small: Clone) -> None:
    output = ablate(small)
    assert [f"{n} of 3" in output for n in (1, 2, 3)] == [True] * 3
    runs = pd.read_csv(small.path / RUNS)
    assert list(zip(runs["model"], runs["seed"], strict=True)) == [
        ("one", 1), ("one", 2), ("other", 1)
    ]  # fmt: skip
    assert len(small.run("dvc", "exp", "list", "--name-only").split()) == 3
    first = runs.iloc[0]
    scores = json.loads(small.read("metrics/metrics.json"))
    assert first["test_f1"] == scores["test"]["f1"], "the default's first seed is params.yaml's"
    assert runs["seconds"].notna().tolist() == [False, True, True], "and DVC had it already"
    assert (runs["seconds"].dropna() % 1 == 0).all(), "whole seconds"
    table = pd.read_csv(small.path / ABLATION)
    assert table["seeds"].tolist() == [2, 1]
    readme = small.read("README.md")
    assert markdown(table) in readme

    kept = small.read(str(RUNS)).splitlines(keepends=True)
    (small.path / RUNS).write_text("".join(kept[:2] + kept[3:]))
    assert "3 of 3: one, seed 2" in ablate(small)
    again = pd.read_csv(small.path / RUNS)
    assert again.drop(columns="seconds").equals(runs.drop(columns="seconds"))
    assert " of 3" not in ablate(small), "all has run"

    small.edit("README.md", "<!-- /ablation -->", "")
    (small.path / RUNS).write_text("".join(kept[:1]))
    refused = small.run("python", "-m", "benchmarks.ablation", status=1)
    assert refused.startswith("ablation: README.md must hold the lines <!-- ablation -->")
    assert " of 3" not in refused, "refused before anything runs"
    (small.path / "README.md").write_text(readme, encoding="utf-8")
    (small.path / RUNS).write_text("".join(kept))

    small.edit("params.yaml", "hidden: ", "hidden: 1")
    refused = small.run("python", "-m", "benchmarks.ablation", status=1)
    assert "commit these first" in refused
    assert "params.yaml" in refused
    commit_all(small)
    before = small.read(str(RUNS))
    code = "from benchmarks.ablation import *; print(*(code_hash(m) for m in MODELS), sep='\\n')"
    codes = small.run("python", "-c", code).split()
    assert not set(codes) & set(runs["code"]), "what has run is out of date"
    old = small.run("git", "for-each-ref", "--format=%(objectname)", "refs/exps").split()[0]
    for name in (f"one-1-{codes[0]}", f"one-2-{codes[0]}", f"other-1-{codes[1]}"):
        small.run("git", "update-ref", f"refs/exps/00/00/{name}", old)
    refused = small.run("python", "-m", "benchmarks.ablation", status=1)
    assert refused.count("has other code or parameters") == 3
    assert small.read(str(RUNS)) == before


def test_the_tables_in_git_agree() -> None:
    runs = pd.read_csv(ROOT / RUNS)
    assert (runs.groupby("model")["code"].nunique() == 1).all()
    seeds = runs.groupby("model", sort=False)["seed"].apply(list)
    assert list(seeds.index) == list(MODELS)
    for model, of_model in seeds.items():
        assert of_model == list(range(1, len(of_model) + 1))
        assert len(of_model) <= MODELS[str(model)][1]
    table = pd.read_csv(ROOT / ABLATION).fillna({"settings": ""})
    expected = summarise(runs)
    assert table[["model", "settings", "seeds"]].equals(expected[["model", "settings", "seeds"]])
    for column in expected.columns[3:]:
        precision = 5.1e-5 if "f1" in column else 0.51
        assert table[column].tolist() == pytest.approx(
            expected[column].tolist(), abs=precision, nan_ok=True
        )
