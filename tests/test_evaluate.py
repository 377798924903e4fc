"""What evaluate writes agrees with itself, and with scorers that read its files alone."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from seqeval.metrics import f1_score

from tagger.corpus.tags import spans
from tagger.encoding.encoder import Encoder
from tagger.encoding.vocabulary import read_vectors
from tagger.files import read_lines
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.checkpoint import hash_embeddings, save_checkpoint
from tests.conftest import Data, run_evaluate
from tests.factories import CLASSROOM
from tests.test_scoring import conlleval, fractions

CURVE = "epoch,train_loss,validation_loss,validation_f1\n1,0.5,0.4,0.6\n2,0.3,0.3,0.7\n"


@pytest.fixture(scope="module")
def evaluated(sample: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What evaluate writes for an untrained model: many errors, of every kind."""
    folder = tmp_path_factory.mktemp("evaluated")
    torch.manual_seed(0)
    vectors = torch.from_numpy(read_vectors(sample.embeddings))
    tags = tuple(read_lines(sample.index / "tags.txt"))
    model = BiLSTMCRF(vectors, replace(CLASSROOM, tags=tags))
    for parameter in model.parameters():
        parameter.data.mul_(4)
    encoder = Encoder.load(sample.index, sample.embeddings)
    hashes = hash_embeddings(sample.embeddings)
    save_checkpoint(folder / "model", encoder, model, 1.5, hashes)
    (folder / "curve.csv").write_text(CURVE, encoding="utf-8")
    for name in ("one", "again"):
        run_evaluate(sample, folder / "model", folder / "curve.csv", folder / name)
    return folder


START = "-DOCSTART- O O"


def blocks_of(path: Path) -> list[str]:
    """What stands between the empty lines of a file of predictions."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n\n")
    return text.split("\n\n")[:-1]


def read_predictions(path: Path) -> list[list[list[str]]]:
    """The sentences of a file of predictions, each a list of [token, gold, predicted]."""
    sentences = [block for block in blocks_of(path) if block != START]
    return [[line.split(" ") for line in sentence.split("\n")] for sentence in sentences]


def test_it_writes_the_same_bytes_again(evaluated: Path) -> None:
    files = [p.relative_to(evaluated / "one") for p in (evaluated / "one").rglob("*.*")]
    assert len(files) == 7
    for file in files:
        assert (evaluated / "one" / file).read_bytes() == (evaluated / "again" / file).read_bytes()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_tell_the_documents(sample: Data, evaluated: Path, split: str) -> None:
    table = pd.read_parquet(sample.corpus / f"{split}.parquet")
    is_start = [block == START for block in blocks_of(evaluated / f"one/predictions/{split}.conll")]
    numbers = zip(itertools.accumulate(is_start), is_start, strict=True)
    documents = [number - 1 for number, start in numbers if not start]
    assert documents == table["document"].tolist()
    assert max(documents) > 3


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_are_the_corpus_with_tags_that_score_as_the_metrics_say(
    sample: Data, evaluated: Path, split: str
) -> None:
    sentences = read_predictions(evaluated / "one/predictions" / f"{split}.conll")
    table = pd.read_parquet(sample.corpus / f"{split}.parquet")
    names = read_lines(sample.index / "tags.txt")
    for sentence, tokens, tags in zip(sentences, table["tokens"], table["ner_tags"], strict=True):
        assert [token for token, _, _ in sentence] == list(tokens)
        assert [gold for _, gold, _ in sentence] == [names[tag] for tag in tags]
    gold, predicted = ([[row[i] for row in s] for s in sentences] for i in (1, 2))
    scores = json.loads((evaluated / "one/metrics.json").read_text())[split]
    expected = fractions(*conlleval(gold, predicted))
    got = [scores["precision"], scores["recall"], scores["f1"]]
    assert got == pytest.approx(expected, abs=5.1e-5)
    assert scores["f1"] == pytest.approx(f1_score(gold, predicted), abs=5.1e-5)
    assert 0 < scores["f1"] < 0.5, "an untrained model must make errors for this test to say much"
    assert scores["sentences"] == len(table)
    assert scores["tokens"] == table["tokens"].str.len().sum()
    assert scores["support"] == conlleval(gold, predicted)[1]
    assert sum(row["support"] for row in scores["types"].values()) == scores["support"]
    assert 0 < scores["calibration"]["expected_calibration_error"] < 1


@pytest.mark.parametrize("split", ["validation", "test"])
def test_confusion_counts_the_tokens_of_the_predictions(evaluated: Path, split: str) -> None:
    table = pd.read_csv(evaluated / "one/confusion.csv").query("split == @split")
    found = {(row.gold, row.predicted): row.tokens for row in table.itertuples()}
    types = ["O", "PER", "ORG", "LOC", "MISC"]
    expected = dict.fromkeys(itertools.product(types, repeat=2), 0)
    for sentence in read_predictions(evaluated / "one/predictions" / f"{split}.conll"):
        for _, gold, predicted in sentence:
            expected[gold[2:] or "O", predicted[2:] or "O"] += 1
    assert found == expected
    assert expected["PER", "O"] != expected["O", "PER"], "or rows and columns may be swapped"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_sentences_count_the_entities_of_the_predictions(evaluated: Path, split: str) -> None:
    table = pd.read_csv(evaluated / "one/sentences.csv").query("split == @split")
    sentences = read_predictions(evaluated / "one/predictions" / f"{split}.conll")
    scores = json.loads((evaluated / "one/metrics.json").read_text())[split]
    assert len(table) == len(sentences) == scores["sentences"]
    for row, sentence in zip(table.to_dict("records"), sentences, strict=True):
        gold, predicted = ([line[i] for line in sentence] for i in (1, 2))
        expected = conlleval([gold], [predicted])
        got = [
            sum(row[f"type.{type_}.{what}"] for type_ in scores["types"])
            for what in ("correct", "gold", "predicted")
        ]
        assert got == list(expected)
    words = {word for sentence in sentences for word, _, _ in sentence if word.isalpha()}
    text = (evaluated / "one/sentences.csv").read_text()
    assert not words & set(re.findall(r"\w+", text.split("\n", 1)[1]))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_slices_and_errors_add_up(evaluated: Path, split: str) -> None:
    scores = json.loads((evaluated / "one/metrics.json").read_text())[split]
    slices, errors = scores["slices"], scores["errors"]
    assert slices["seen_entities"]["support"] + slices["unseen_entities"]["support"] == (
        sum(slices[name]["support"] for name in slices if name.startswith("length"))
    )
    parts = [slices[name] for name in ("seen_entities", "unseen_entities")]
    found = sum(part["recall"] * part["support"] for part in parts) / scores["support"]
    assert found == pytest.approx(scores["recall"], abs=1e-3)
    wrong = sum(errors.values()) - errors["spurious"]
    assert wrong == scores["support"] - round(scores["recall"] * scores["support"])
    low, high = scores["f1_interval"].values()
    assert low < scores["f1"] < high
    table = pd.read_csv(evaluated / "one/intervals.csv").query("split == @split")
    all_ = table.set_index("level").loc["all"]
    assert [all_["score"], all_["low"], all_["high"]] == pytest.approx(
        [scores["f1"], low, high], abs=1e-4
    )


def test_the_report_shows_the_sentences_with_errors(evaluated: Path) -> None:
    html = (evaluated / "one/report/index.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)
    shown = {(row["split"], row["sentence"]): row for row in json.loads(data)}
    for split in ("validation", "test"):
        sentences = read_predictions(evaluated / "one/predictions" / f"{split}.conll")
        for number, sentence in enumerate(sentences):
            tokens, gold, predicted = zip(*sentence, strict=True)
            assert ((split, number) in shown) == (gold != predicted)
            if gold != predicted:
                row = shown[split, number]
                assert row["tokens"] == list(tokens)
                assert row["predicted"] == [list(span) for span in spans(predicted)]
                assert row["errors"]
                assert any("entities of" in name for name in row["slices"])
