"""Any tagger's file of predictions can be scored and reported by one command."""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from evaluation.__main__ import main, read_train
from evaluation.results import Predictions, format_scores, score_predictions, write_report
from evaluation.slices import SLICES
from tagger.files import InputError
from tests.test_scoring import conlleval

FILE = """\
-DOCSTART- -X- O O

Ada NNP B-PER B-PER
met\tVBD O   O
Bo NNP B-PER O

BONN NNP B-LOC B-LOC
-DOCSTART- -X- O O
Oslo NNP B-LOC B-LOC
"""
TRAIN = "Ada B-PER\nsings O\n\nBONN B-LOC\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluation", *map(str, arguments)])
    main()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.conll"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_a_file_is_scored_and_reported(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    file: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "train.conll").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept.txt").write_text("a file of the user's", encoding="utf-8")
    run(monkeypatch, file, "--train", tmp_path / "train.conll", "--report", tmp_path / "out")
    printed = capsys.readouterr().out
    assert re.search(r"^PER +1\.0000 +0\.5000 +0\.6667 +2$", printed, re.MULTILINE)
    assert re.search(r"^all +1\.0000 +0\.7500 +0\.8571 +4$", printed, re.MULTILINE)
    assert "95 % interval of F1: " in printed
    assert "invalid" not in printed
    assert "Without --train" not in printed
    scores = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))["mine"]
    assert (scores["f1"], scores["sentences"], scores["tokens"]) == (0.8571, 3, 5)
    assert "calibration" not in scores, "a file has no probabilities"
    assert scores["slices"]["seen_entities"] == {"recall": 1.0, "support": 2}
    assert scores["slices"]["unseen_entities"] == {"recall": 0.5, "support": 2}
    sentences = pd.read_csv(tmp_path / "out/sentences.csv")
    assert sentences["document"].tolist() == [0, 0, 1]
    assert sentences["new_sentences"].tolist() == [1, 0, 1]
    intervals = pd.read_csv(tmp_path / "out/intervals.csv")
    assert intervals["level"].tolist() == ["all", "type", "type", *["slice"] * len(SLICES)]
    confusion = pd.read_csv(tmp_path / "out/confusion.csv")
    assert confusion["tokens"].sum() == 5
    (data,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>',
        (tmp_path / "out/index.html").read_text(encoding="utf-8"),
    )
    (shown,) = json.loads(data)
    assert shown["tokens"] == ["Ada", "met", "Bo"]
    assert shown["slices"] == [
        SLICES[name].label for name in ("unseen_entities", "new_sentences", "length_1")
    ]
    assert (tmp_path / "out/kept.txt").exists()


def test_without_train_the_slices_that_need_it_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    run(monkeypatch, file, "--report", tmp_path / "a/b")
    (line,) = re.findall(r"^Without --train .*$", capsys.readouterr().out, re.MULTILINE)
    names = {name for name, slice_ in SLICES.items() if slice_.label in line}
    assert names == {"seen_entities", "unseen_entities", "new_sentences"}
    assert "only a recall" not in (tmp_path / "a/b/index.html").read_text(encoding="utf-8")
    scores = json.loads((tmp_path / "a/b/metrics.json").read_text(encoding="utf-8"))["mine"]
    assert set(scores["slices"]) == set(SLICES) - names


def test_a_single_document_has_no_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    file.write_text(FILE.rpartition("-DOCSTART-")[0], encoding="utf-8")
    run(monkeypatch, file)
    printed = capsys.readouterr().out
    assert "No interval of F1: it needs more than one document" in printed
    assert "95 %" not in printed


def test_a_file_may_be_called_like_a_part_of_the_page(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path
) -> None:
    file = file.rename(tmp_path / 'tokens "hit.conll')
    run(monkeypatch, file, "--report", tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert '<section class="card score" data-split="tokens &#34;hit"' in page
    classes = {name for names in re.findall(r'class="([^"]*)"', page) for name in names.split()}
    assert not classes & {"tokens", "hit"}


def test_without_a_folder_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path
) -> None:
    run(monkeypatch, file)
    assert list(tmp_path.iterdir()) == [file]


def test_invalid_sequences_are_repaired_and_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    gold = ["B-PER", "I-PER", "O", "B-LOC", "O"]
    predicted = ["I-PER", "I-PER", "O", "I-LOC", "I-PER"]
    lines = [f"w {g} {p}\n" for g, p in zip(gold, predicted, strict=True)]
    file.write_text("".join(lines), encoding="utf-8")
    run(monkeypatch, file)
    printed = capsys.readouterr().out
    correct, support, found = conlleval([gold], [predicted])
    assert (correct, support, found) == (2, 2, 3)
    assert re.search(r"^all +0\.6667 +1\.0000 +0\.8000 +2$", printed, re.MULTILINE)
    assert (
        "Transitions between predicted tags that are not allowed in IOB2, the scheme of the gold "
        "tags: 3." in printed
    )


@pytest.mark.parametrize("odd", ["all", "seen_entities"])
def test_types_with_names_of_other_things_are_reported(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path, odd: str
) -> None:
    text = FILE.replace("B-PER", f"B-{odd}")
    file.write_text(text, encoding="utf-8")
    run(monkeypatch, file, "--report", tmp_path / "out")
    intervals = pd.read_csv(tmp_path / "out/intervals.csv").set_index(["level", "slice"])
    assert intervals.loc[("type", odd), "support"] == 2
    assert intervals.loc[("all", "all"), "support"] == 4
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    rows = re.findall(r'<tr class="(\w+)">\s*<th scope="row">(.*?)</th>', page)
    assert rows[:3] == [("all", "all entities"), ("type", "LOC"), ("type", odd)]
    assert f"mine, {odd}: F1 0.6667" in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ada B-PER\n", "line 1: 'Ada B-PER' has too few tags; a line needs at least 3 columns"),
        ("a O O\n\nb O X O\n", "line 3: 4 columns, but the lines before it have 3: 'b O X O'"),
        ("a O O\nb O PER\n", "line 2: 'PER' is not a tag: expected O, or B-"),
        ("a O O\nb _ O\n", "line 2: '_' is not a tag: expected O, or B-"),
        ("-DOCSTART- O O\n\n", "holds no sentence"),
        ("", "holds no sentence"),
        ("a O B-PER\n", "has no gold entity"),
        (b"a O O\n\xff O O\n", "line 2: byte 0xff is not UTF-8; save the file as UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | bytes | None, message: str
) -> None:
    path = tmp_path / "mine.conll"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SystemExit) as error:
        run(monkeypatch, path, "--report", tmp_path / "out")
    assert str(error.value.code).startswith("evaluation: ")
    assert message in str(error.value.code)
    assert str(path) in str(error.value.code)
    assert "\n" not in str(error.value.code)
    assert not (tmp_path / "out").exists()


def test_entities_are_compared_across_schemes() -> None:
    tokens = [list("abcd"), ["e"]]
    iob2 = [["B-A", "I-A", "O", "B-B"], ["O"]]
    bioes = [["B-A", "E-A", "O", "S-B"], ["O"]]
    iob1 = [["I-A", "I-A", "O", "I-B"], ["O"]]
    wrong = [["B-A", "E-A", "O", "O"], ["O"]]
    invalid = [["B-A", "O", "O", "S-B"], ["O"]]
    for gold, predicted, accuracy in (
        (iob2, bioes, 1), (bioes, iob2, 1), (iob1, iob2, 1),
        (iob2, wrong, 0.8), (bioes, wrong, 0.8), (iob2, invalid, 0.8),
    ):  # fmt: skip
        metrics = score_predictions(Predictions(tokens, gold, predicted, [0, 1]), None).metrics
        assert (metrics["f1"] == 1) == (accuracy == 1)
        assert metrics["accuracy"] == accuracy


def test_probabilities_of_entities_are_scored_and_reported(tmp_path: Path) -> None:
    gold = [["B-A", "I-A", "O", "B-B"], ["O"], ["B-B"]]
    predicted = [["B-A", "I-A", "O", "B-A"], ["O"], ["B-B"]]
    predictions = Predictions([list("abcd"), ["e"], ["f"]], gold, predicted, [0, 0, 1])
    result = score_predictions(predictions, None, [[0.8, 0.5], [], [0.98]])
    error = (0.2 + 0.5 + 0.02) / 3
    assert result.metrics["calibration"] == {"expected_calibration_error": round(error, 4)}
    assert "calibration error of the entities' probabilities: 0.2400" in format_scores("a", result)
    none = Predictions(predictions.tokens, gold, [["O"] * len(tags) for tags in gold], [0, 0, 1])
    results = {"a": result, "b": score_predictions(none, None, [[], [], []])}
    assert "calibration" not in results["b"].metrics
    write_report(results, tmp_path / "index.html", None, None)
    text = re.sub(r"\s+", " ", (tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "the expected calibration error: a ○ 0.2400. " in text


def test_train_is_the_first_and_the_last_column(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("Ada NNP B-PER\nsings VBZ O\n\nBONN NNP B-LOC\n", encoding="utf-8")
    train = read_train(path)
    assert train.entities == {(("Ada",), "PER"), (("BONN",), "LOC")}
    assert train.sentences == {("Ada", "sings"), ("BONN",)}
    path.write_text("Ada NNP\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: 'NNP' is not a tag"):
        read_train(path)
