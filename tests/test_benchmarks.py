"""The benchmarks run on what `dvc repro` has made, here of the sample.

Others have tests of their own: ablation, fingerprint and processors. What stands beside
flair needs an environment with flair, so only its own half runs here.
"""

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks import peers, size, verdicts
from benchmarks.process import Run
from evaluation import significance
from stages.corpus.reading import read_corpus
from tests.conftest import Clone


def test_training_and_tagging_are_measured(clone_with_results: Clone) -> None:
    code = "from benchmarks import {0} as b; b.ROUNDS = 1; b.main()"
    tagging = clone_with_results.run("python", "-c", code.format("tag"))
    for threads in (1, 2):
        (speed,) = re.findall(rf"threads: {threads} +([\d,]+) sentences/s", tagging)
        assert int(speed.replace(",", "")) > 0
    assert re.search(r"peak resident memory: \d\.\d\d GiB", tagging)
    training = clone_with_results.run("python", "-c", code.format("train"))
    lines = re.findall(r"^(\w.*?) +(\d+\.\d) s   an epoch on two", training, re.MULTILINE)
    assert [name for name, _ in lines] == [
        "an epoch, threads: 1",
        "an epoch, threads: 2",
        "its products alone, two threads side by side",
        "its products alone, two threads that share each",
    ]


def test_the_growth_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = []

    def run_stage(name: str, folder: Path, **changes: object) -> Run:
        stages.append(name)
        if name == "download":
            found = read_corpus(folder / "data/inputs/corpora/size", "size", 0.1)
            counts = {split: len(sentences) for split, sentences in found.splits.items()}
            assert counts == {"train": 1600, "validation": 200, "test": 200}
            assert max(s.document for s in found.splits["train"]) == 1599 // size.DOCUMENT
            assert not found.repairs
        return Run("", 1.0, 0.25, 70.0)

    monkeypatch.setattr(size, "WORD_COUNT", 100)
    monkeypatch.setattr(size, "run_stage", run_stage)
    monkeypatch.setattr(sys, "argv", ["size", "2000"])
    size.main()
    assert tuple(stages) == size.STAGES
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "0.25", "GiB", "70", "s"] in rows


def test_peers_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figures = json.dumps({"epoch": 20.0, "speed": 50.0})
    outputs = iter(["loading", f"a line\n{figures}\n"] * peers.ROUNDS)

    class Speed:
        def measure(self, threads: int) -> float:
            return 100.0

    def run(command: list[str], folder: Path, variables: object) -> Run:
        assert command == ["python-with-flair", "benchmarks/flair_peer.py"]
        next(outputs)
        return Run(next(outputs), 1.0, 0.1)

    def run_stage(name: str, folder: Path, **changes: object) -> Run:
        return Run("epoch 1: F1 0.5, 10.0 s of training, 11.0 s in all", 1.0, 0.1)

    monkeypatch.setattr(sys, "argv", ["peers", "python-with-flair"])
    for name, stand_in in (("TaggingSpeed", Speed), ("run", run), ("run_stage", run_stage)):
        monkeypatch.setattr(peers, name, stand_in)
    peers.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["epoch,", "seconds", "10.0", "20.0", "0.50"] in rows
    assert ["tagging,", "sentences/s", "100", "50", "2.0"] in rows


def test_verdicts_have_a_row_for_each_number_of_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verdicts, "PAIRS", 2)
    monkeypatch.setattr(significance, "RESAMPLES", significance.RESAMPLES)  # `main` changes it
    verdicts.main()
    title, _, _, points, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("2 pairs each")
    assert points.split() == ["0.0", "0.25", "0.5", "1.0"]
    names, *shares = zip(*(re.split(r"  +", row.strip()) for row in rows), strict=True)
    assert names == (
        "runs on each side: 1, seeds do not matter",
        "runs on each side: 1, seeds differ",
        "runs on each side: 3, seeds differ",
        "runs on each side: 5, seeds differ",
    )
    assert len(shares) == 4
    assert {share for column in shares for share in column} <= {"0.0%", "50.0%", "100.0%"}
