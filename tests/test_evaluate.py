"""What evaluate writes agrees with itself, and with scorers that read its files alone."""

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from seqeval.metrics import f1_score

from stages.evaluate import evaluate
from tagger.model import Tagger
from tagger.vocabulary import read_lines, read_vectors
from tests.conftest import Data
from tests.test_scoring import conlleval, fractions


@pytest.fixture(scope="module")
def evaluated(sample: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What evaluate writes for an untrained model: many errors, of every kind."""
    folder = tmp_path_factory.mktemp("evaluated")
    torch.manual_seed(0)
    vectors = torch.from_numpy(read_vectors(sample.embeddings))
    tags = read_lines(sample.index / "tags.txt")
    tagger = Tagger(
        vectors, tags=tags, scheme="IOB2", forms=0, characters=0, filters=1, casing=False,
        document=False, crf=False, hidden=8, layers=1, dropout=0.0, recurrent_dropout=0.0,
    )  # fmt: skip
    for parameter in tagger.parameters():
        parameter.data.mul_(4)
    tagger.save(folder / "model")
    for name in ("one", "again"):
        evaluate(
            sample.corpus, sample.embeddings, sample.index, folder / "model",
            folder / name / "metrics.json", folder / name / "confusion.csv",
            folder / name / "predictions", threads=1,
        )  # fmt: skip
    return folder


def read_predictions(path: Path) -> list[list[list[str]]]:
    """The sentences of a file of predictions, each a list of [token, gold, predicted]."""
    text = path.read_text(encoding="utf-8")
    return [[line.split(" ") for line in block.splitlines()] for block in text.split("\n\n")[:-1]]


def test_it_writes_the_same_bytes_again(evaluated: Path) -> None:
    files = [p.relative_to(evaluated / "one") for p in (evaluated / "one").rglob("*.*")]
    assert len(files) == 4
    for file in files:
        assert (evaluated / "one" / file).read_bytes() == (evaluated / "again" / file).read_bytes()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_predictions_are_the_corpus_with_tags_that_score_as_told(
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
    assert scores["invalid_transitions"] == 0
    assert scores["sentences"] == len(table)
    assert scores["tokens"] == table["tokens"].str.len().sum()
    assert scores["support"] == conlleval(gold, predicted)[1]
    assert sum(row["support"] for row in scores["types"].values()) == scores["support"]


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
