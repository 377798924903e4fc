"""The counts of sentences add up to the scores, and slices hold what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.scoring import score
from evaluation.significance import f1
from evaluation.slices import BY_RECALL, SLICES, Train, by_document, count, score_slices
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
    table = count(tokens_of(gold), documents, gold, predicted, TYPES, NOTHING)
    groups = by_document(table)
    expected = score(gold, predicted)
    assert f1(groups["all"].sum(axis=0)) == pytest.approx(expected["f1"], abs=5.1e-5)
    for type_ in TYPES:
        row = expected["types"].get(type_, {"f1": 0, "support": 0})
        assert f1(groups[type_].sum(axis=0)) == pytest.approx(row["f1"], abs=5.1e-5)
        assert groups[type_][:, 2].sum() == row["support"]
    assert len(groups["all"]) == len(set(documents))


@given(corpora(valid=True), corpora(valid=True))
def test_slices_part_the_entities(corpus: tuple[Tags, Tags], other: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus
    train = Train.of(tokens_of(other[0]), other[0])
    table = count(tokens_of(gold), range(len(gold)), gold, predicted, TYPES, train)
    groups = by_document(table)
    lengths = [groups[name] for name in SLICES if name.startswith("length")]
    assert (np.sum(lengths, axis=0) == groups["all"]).all()
    seen = np.sum([groups[name] for name in BY_RECALL], axis=0)
    assert (seen[:, [0, 2]] == groups["all"][:, [0, 2]]).all()


def test_each_slice_holds_what_it_says() -> None:
    train = Train.of([["Ada", "sings"], ["OSLO"]], [["B-PER", "O"], ["B-LOC"]])
    sentences = [["Ada", "sings"], ["Ada", "MAY", "Poe"], ["OSLO"], ["BONN", "OSLO"], ["12"]]
    gold = [["B-PER", "O"], ["B-PER", "I-PER", "I-PER"], ["B-LOC"], ["B-LOC", "B-PER"], ["O"]]
    predicted = [["B-PER", "O"], ["B-PER", "I-PER", "O"], ["B-LOC"], ["O", "B-PER"], ["B-LOC"]]
    table = count(sentences, [0, 0, 1, 1, 1], gold, predicted, ["PER", "LOC"], train)
    assert table["new_sentences"].tolist() == [0, 1, 0, 1, 1]
    assert table["sentences_in_capitals"].tolist() == [0, 0, 1, 1, 0]
    totals = {name: some.sum(axis=0).tolist() for name, some in by_document(table).items()}
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
    assert list(scores) == ["all", "PER", "LOC", *SLICES.values()]
    unseen = scores["entities unseen in train"]
    assert (unseen.measure, unseen.support) == ("recall", 3)
    assert unseen.score == pytest.approx(1 / 3)
    assert scores["all"].measure == "F1"
    assert scores["all"].score == pytest.approx(0.6)
    assert all(row.low <= row.score <= row.high for row in scores.values())


def test_what_a_table_does_not_tell_apart_is_left_out() -> None:
    table = count([["Ada"]], [0], [["B-PER"]], [["B-PER"]], ["PER"], NOTHING)
    left = table.drop(columns=["length_1.gold", "new_sentences"])
    assert set(by_document(table)) - set(by_document(left)) == {"length_1", "new_sentences"}


def test_a_single_document_has_no_interval_to_speak_of() -> None:
    table = count([["Ada"]] * 2, [0, 0], [["B-PER"]] * 2, [["B-PER"], ["O"]], ["PER"], NOTHING)
    assert {(some.low, some.high) for some in score_slices(table)} == {(0, 1)}
