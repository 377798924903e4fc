"""The benchmarks run on what `dvc repro` has made, here of the sample.

Others have tests of their own: ablation, fingerprint and processors. flair and spaCy are in an
environment of their own: here flair's half does not run, and a stand-in takes the place of spaCy.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks import peers, serve, size, spacy_peer, tag, text, verdicts
from benchmarks.process import Run
from benchmarks.text import RawText
from evaluation import significance
from stages.corpus.reading import read_corpus
from tagger import Tagger
from tests.conftest import Clone


def test_training_and_tagging_are_measured(clone_with_results: Clone) -> None:
    code = "from benchmarks import {0} as b; b.ROUNDS = b.COMMANDS = b.CALLS = 1; b.main()"
    tagging = clone_with_results.run("python", "-c", code.format("tag"))
    for name in ("tokens to tags, sentences/s", "text to JSON Lines, words/s"):
        for runtime in ("ONNX Runtime", "PyTorch"):
            (speeds,) = re.findall(
                rf"{name}, {runtime} +([\d,]+) +([\d,]+)$", tagging, re.MULTILINE
            )
            assert all(int(speed.replace(",", "")) > 0 for speed in speeds)
    assert re.search(r"a short text, median +\d+\.\d\d ms +\d+\.\d\d ms\n", tagging)
    assert re.search(r"the command on it, median +\d+\.\d\d s\n", tagging)
    assert re.search(r"memory of the command +[1-9]\d+ MiB +[1-9]\d+ MiB\n", tagging)
    training = clone_with_results.run("python", "-c", code.format("train"))
    lines = re.findall(r"^(\w.*?) +(\d+\.\d) s   an epoch on two", training, re.MULTILINE)
    assert [name for name, _ in lines] == [
        "an epoch, threads: 1",
        "an epoch, threads: 2",
        "its products alone, two threads side by side",
        "its products alone, two threads that share each",
    ]


@pytest.mark.slow
def test_the_server_is_measured(
    sample_tagger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed: make serve-extra")
    for name, value in {"SINGLE": 20, "CLIENTS": 4, "TOGETHER": 40}.items():
        monkeypatch.setattr(serve, name, value)
    monkeypatch.setattr(sys, "argv", ["serve", str(sample_tagger)])
    with ThreadPoolExecutor(1) as thread:  # where no event loop runs, as the browser's may here
        thread.submit(serve.main).result()
    rows = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == ["20 requests of a short text, the quickest of 3 rounds"]
    names, values = zip(*rows[3:], strict=True)
    assert names == (
        "first answer, from the command",
        "a short text, median",
        "a short text, 99th percentile",
        "4 clients",
        "memory before 40 requests",
        "memory after them",
    )
    assert all(float(value.split()[0].replace(",", "")) > 0 for value in values)


DOCUMENTS = [
    RawText(
        "Ann of the U.S. met Danes",
        [[(0, 3), (4, 6)]],
        {(0, 3, "PER"), (11, 15, "LOC"), (20, 25, "MISC")},
    ),
    RawText("The Hague", [[(0, 3), (4, 9)]], {(0, 9, "LOC")}),
]


def test_spacy_finds_entities_of_conll_where_types_can_be_mapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = {
        DOCUMENTS[0].text: [(0, 3, "PERSON"), (7, 15, "GPE"), (20, 25, "NORP"), (4, 6, "DATE")],
        DOCUMENTS[1].text: [(0, 9, "GPE")],
    }
    loaded = []

    def pipe(
        texts: Iterable[tuple[str, int]], as_tuples: bool, n_process: int, batch_size: int
    ) -> Iterator[tuple[SimpleNamespace, int]]:
        for each, id_ in texts:
            ents = [
                SimpleNamespace(start_char=start, end_char=end, label_=label, text=each[start:end])
                for start, end, label in found[each]
            ]
            yield SimpleNamespace(text=each, ents=ents), id_

    def load(name: str, exclude: Sequence[str] = ()) -> SimpleNamespace:
        loaded.append(list(exclude))
        return SimpleNamespace(pipe_names=["parser", "ner"], pipe=pipe, meta={"version": "2"})

    monkeypatch.setitem(sys.modules, "spacy", SimpleNamespace(load=load, __version__="1"))
    source, output = tmp_path / "texts.jsonl", tmp_path / "spacy.jsonl"
    tag.write_texts(DOCUMENTS, source)
    monkeypatch.setattr(sys, "argv", ["spacy_peer", str(source), str(output), "9"])
    spacy_peer.main()
    assert loaded[-1] == ["parser"]
    figures = json.loads(capsys.readouterr().out)
    assert set(figures["speeds"]) == {"1", "2"}
    assert min(figures["speeds"].values()) > 0
    entities = peers.spacy_entities(output)
    assert entities == [{(0, 3, "PER"), (11, 15, "LOC")}, {(4, 9, "LOC")}]
    assert peers.f1(DOCUMENTS, entities) == pytest.approx(2 * 2 / (3 + 3))  # all but The Hague


def test_peers_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training, spacy = iter([12.0, 10.0]), iter([400.0, 500.0])

    def run(command: list[str], folder: Path, variables: object) -> Run:
        assert command[0] == "python-of-peers"
        if command[1] == "benchmarks/flair_peer.py":
            return Run('a line\n{"epoch": 20.0, "speed": 50.0, "version": "flair 1"}\n', 1.0, 0.1)
        assert command[1] == "benchmarks/spacy_peer.py"
        assert command[4] == "4"
        tagged = [[{"start": 0, "end": 3, "label": "PERSON", "text": "Ann"}], []]
        lines = [json.dumps({"entities": entities}) for entities in tagged]
        Path(command[3]).write_text("\n".join([*lines, ""]))
        return Run(
            json.dumps({"speeds": {"1": 250.0, "2": next(spacy)}, "version": "spaCy 2"}), 1.0, 0.1
        )

    def run_stage(name: str, folder: Path, **changes: object) -> Run:
        seconds = next(training)
        return Run(f"epoch 1: F1 0.5, {seconds} s of training, 30.0 s in all", 1.0, 0.1)

    def sentences_a_second(tagger: Tagger, documents: Sequence[RawText]) -> float:
        assert tagger.threads == 2
        return float(str(tagger.predictor))

    def words_a_second(tagger: Tagger, words: int, source: Path, output: Path) -> float:
        texts = [json.loads(line)["text"] for line in source.read_text().splitlines()]
        assert texts == [document.text for document in DOCUMENTS]
        lines = [
            json.dumps(
                {"entities": [{"start": s, "end": e, "label": label} for s, e, label in all_]}
            )
            for all_ in (document.entities for document in DOCUMENTS)
        ]
        output.write_text("\n".join([*lines, ""]))
        return 1000.0

    monkeypatch.setattr(sys, "argv", ["peers", "python-of-peers"])
    monkeypatch.setattr(text, "read_documents", lambda split: DOCUMENTS)
    taggers = {"ONNX Runtime": Tagger(cast(Any, 200)), "PyTorch": Tagger(cast(Any, 100))}
    monkeypatch.setattr(peers, "taggers", lambda: taggers)
    for stand_in in (run, run_stage, sentences_a_second, words_a_second):
        monkeypatch.setattr(peers, stand_in.__name__, stand_in)
    peers.main()
    rows = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == ["flair 1; spaCy 2; the quickest of 2 rounds"]
    assert rows[4:] == [
        ["flair: an epoch of training, seconds", "10.0", "20.0", "0.50"],
        ["flair: tokens to tags, sentences/s", "200", "50", "4.00"],
        ["flair: the same, ours with PyTorch", "100", "50", "2.00"],
        ["spaCy, 1 process: raw text to JSON Lines, words/s", "1,000", "250", "4.00"],
        ["spaCy, 2 processes: raw text to JSON Lines, words/s", "1,000", "500", "2.00"],
        ["spaCy: F1 of persons, organisations and places", "1.0000", "0.5000"],
    ]


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
