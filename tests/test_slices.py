"""The counts of sentences add up to the scores, and slices hold what they say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.scoring import score
from evaluation.significance import f1
from evaluation.slices import (
    ALL,
    SLICES,
    Group,
    Train,
    by_document,
    count_entities,
    score_slices,
    types_in,
)
from tests.test_scoring import TYPES, Tags, corpora

WORDS = ("Ada", "Bo", "CY", "rain", "12")


def tokens_of(gold: Tags) -> list[list[str]]:
    """Tokens, by chance some of them twice and some sentences in capitals."""
    return [[WORDS[(i * i + len(tags)) % len(WORDS)] for i in range(len(tags))] for tags in gold]


NOTHING = Train.of([], [])


@given(corpora(valid=True), st.data())
def test_counts_make_the_scores_of_seqeval(corpus: tuple[Tags, Tags], data: st.DataObject) -> None:
    gold, predicted = corpus
    documents = data.draw(st.lists(st.integers(0, 2), min_size=len(gold), max_size=len(gold)))
    table = count_entities(tokens_of(gold), documents, gold, predicted, TYPES, NOTHING)
    groups = by_document(table)
    expected = score(gold, predicted)
    assert f1(groups[ALL].sum(axis=0)) == pytest.approx(expected["f1"], abs=5.1e-5)
    for type_ in TYPES:
        row = expected["types"].get(type_, {"f1": 0, "support": 0})
        assert f1(groups[Group("type", type_)].sum(axis=0)) == pytest.approx(row["f1"], abs=5.1e-5)
        assert groups[Group("type", type_)][:, 2].sum() == row["support"]
    assert len(groups[ALL]) == len(set(documents))


@given(corpora(valid=True), corpora(valid=True))
def test_slices_part_the_entities(corpus: tuple[Tags, Tags], other: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus
    train = Train.of(tokens_of(other[0]), other[0])
    table = count_entities(tokens_of(gold), range(len(gold)), gold, predicted, TYPES, train)
    groups = by_document(table)
    lengths = [groups[Group("slice", name)] for name in SLICES if name.startswith("length")]
    assert (np.sum(lengths, axis=0) == groups[ALL]).all()
    by_train = ("seen_entities", "unseen_entities")
    seen = np.sum([groups[Group("slice", name)] for name in by_train], axis=0)
    assert (seen[:, [0, 2]] == groups[ALL][:, [0, 2]]).all()


def test_each_slice_holds_what_it_says() -> None:
    train = Train.of([["Ada", "sings"], ["OSLO"]], [["B-PER", "O"], ["B-LOC"]])
    sentences = [["Ada", "sings"], ["Ada", "MAY", "Poe"], ["OSLO"], ["BONN", "OSLO"], ["12"]]
    gold = [["B-PER", "O"], ["B-PER", "I-PER", "I-PER"], ["B-LOC"], ["B-LOC", "B-PER"], ["O"]]
    predicted = [["B-PER", "O"], ["B-PER", "I-PER", "O"], ["B-LOC"], ["O", "B-PER"], ["B-LOC"]]
    table = count_entities(sentences, [0, 0, 1, 1, 1], gold, predicted, ["PER", "LOC"], train)
    assert table["new_sentences"].tolist() == [0, 1, 0, 1, 1]
    assert table["sentences_in_capitals"].tolist() == [0, 0, 1, 1, 0]
    totals = {group.name: n.sum(axis=0).tolist() for group, n in by_document(table).items()}
    assert totals == {
        "all": [3, 5, 5],
        "PER": [2, 3, 3],
        "LOC": [1, 2, 2],
        "seen_entities": [2, 2, 2],  # Ada as PER, OSLO as LOC; recall: gold stands for predicted
        "unseen_entities": [1, 3, 3],  # OSLO as PER is not what train has
        "new_sentences": [1, 3, 3],
        "sentences_in_capitals": [2, 2, 3],
        "length_1": [3, 4, 4],
        "length_2": [0, 1, 0],
        "length_3_or_more": [0, 0, 1],
    }
    assert table["type.PER.predicted"].tolist() == [1, 1, 0, 1, 0]
    assert table["length_2.predicted"].tolist() == [0, 1, 0, 0, 0]
    scores = {row.slice: row for row in score_slices(table)}
    assert list(scores) == ["all", "PER", "LOC", *(slice_.label for slice_ in SLICES.values())]
    unseen = scores["entities unseen in train"]
    assert (unseen.measure, unseen.support) == ("recall", 3)
    assert unseen.score == pytest.approx(1 / 3)
    assert scores["all"].measure == "F1"
    assert scores["all"].score == pytest.approx(0.6)
    assert all(row.low <= row.score <= row.high for row in scores.values())


def test_slices_without_columns_are_left_out() -> None:
    table = count_entities([["Ada"]], [0], [["B-PER"]], [["B-PER"]], ["PER"], NOTHING)
    left = table.drop(columns=["length_1.gold", "new_sentences"])
    assert set(by_document(table)) - set(by_document(left)) == {
        Group("slice", "length_1"),
        Group("slice", "new_sentences"),
    }


def test_without_train_the_slices_that_need_it_are_left_out() -> None:
    table = count_entities([["Ada"]], [0], [["B-PER"]], [["B-PER"]], ["PER"], None)
    needing = {Group("slice", s.name) for s in SLICES.values() if s.needs_train}
    known = count_entities([["Ada"]], [0], [["B-PER"]], [["B-PER"]], ["PER"], NOTHING)
    assert set(by_document(known)) - set(by_document(table)) == needing
    assert len(needing) == 3


ODD = [
    "all", "seen_entities", "new_sentences", "length_1", SLICES["length_2"].label, "gold", "A",
    "A.gold", "A.gold.gold", "Other-Class", 'comma, and "quote"', "type.A", "document", "NA",
]  # fmt: skip


def test_a_type_may_be_called_anything(tmp_path: Path) -> None:
    gold = [[f"B-{type_}"] * (1 + i) for i, type_ in enumerate(ODD)]
    predicted = [[*tags[1:], "O"] for tags in gold]
    tokens = [["Ada"] * len(tags) for tags in gold]
    table = count_entities(tokens, range(len(gold)), gold, predicted, ODD, NOTHING)
    table.to_csv(tmp_path / "sentences.csv", index=False)
    table = pd.read_csv(tmp_path / "sentences.csv")
    assert types_in(table) == ODD
    groups = by_document(table)
    total = sum(1 + i for i in range(len(ODD)))
    assert groups[ALL].sum(axis=0).tolist() == [total - len(ODD), total - len(ODD), total]
    for i, type_ in enumerate(ODD):
        assert groups[Group("type", type_)].sum(axis=0).tolist() == [i, i, 1 + i]
    assert groups[Group("slice", "seen_entities")].sum(axis=0).tolist() == [0, 0, 0]
    assert groups[Group("slice", "length_1")].sum(axis=0)[2] == total
    scores = {(row.level, row.slice): row.support for row in score_slices(table)}
    assert len(scores) == 1 + len(ODD) + len(SLICES)
    assert scores["all", "all"] == total
    assert scores["type", "all"] == 1
    assert scores["type", SLICES["length_2"].label] == 1 + ODD.index(SLICES["length_2"].label)
    assert scores["slice", SLICES["length_2"].label] == 0


def test_each_slice_has_a_name_and_a_label_of_its_own() -> None:
    assert all(name == slice_.name and "." not in name for name, slice_ in SLICES.items())
    assert len({slice_.label for slice_ in SLICES.values()}) == len(SLICES)
    # In a file a type holds no space, so that in a chart no type is named like a slice.
    assert all(" " in slice_.label for slice_ in SLICES.values())


def test_a_single_document_has_no_interval_to_speak_of() -> None:
    predicted = [["B-PER"], ["O"]]
    table = count_entities([["Ada"]] * 2, [0, 0], [["B-PER"]] * 2, predicted, ["PER"], NOTHING)
    assert {(row.low, row.high) for row in score_slices(table)} == {(0, 1)}
