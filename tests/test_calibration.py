"""Probabilities of predicted entities against how many of them are correct."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.calibration import BINS, count_bins, expected_calibration_error

# Sentences of one token; a predicted entity is correct if its type is that of the gold one
entities = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(entities)
def test_bins_and_their_error_are_those_of_the_definition(found: list[tuple[float, bool]]) -> None:
    gold = [["B-PER"] if is_correct else ["B-LOC"] for _, is_correct in found]
    bins = count_bins(gold, [["B-PER"]] * len(found), [[p] for p, _ in found])
    expected = 0.0
    rows = iter(bins.itertuples())
    for i in range(BINS):
        low, high = i / BINS, (i + 1) / BINS
        inside = [(p, c) for p, c in found if low * BINS < p * BINS <= i + 1 or i == p == 0]
        if not inside:
            continue
        row = next(rows)
        confidence, accuracy = (sum(column) / len(inside) for column in zip(*inside, strict=True))
        assert (row.low, row.high, row.entities) == (low, high, len(inside))
        assert row.confidence == pytest.approx(confidence)
        assert row.accuracy == pytest.approx(accuracy)
        expected += abs(confidence - accuracy) * len(inside) / len(found)
    assert next(rows, None) is None
    assert expected_calibration_error(bins) == pytest.approx(expected)


def test_an_entity_is_correct_with_all_its_tokens_and_its_type() -> None:
    gold = [["B-PER", "I-PER", "O", "S-ORG"], ["O"], ["B-LOC", "O"]]
    predicted = [["B-PER", "O", "O", "B-ORG"], ["O"], ["B-LOC", "O"]]
    bins = count_bins(gold, predicted, [[0.85, 0.95], [], [0.99]])
    assert bins[["high", "accuracy", "entities"]].to_numpy().tolist() == [[0.9, 0, 1], [1, 1, 2]]
    assert bins["confidence"].tolist() == pytest.approx([0.85, 0.97])
    with pytest.raises(ValueError, match="shorter"):
        count_bins(gold, predicted, [[0.85], [], [0.99]])


def test_without_a_predicted_entity_there_is_no_bin() -> None:
    bins = count_bins([["B-PER"]], [["O"]], [[]])
    assert bins.empty
    assert list(bins.columns) == ["low", "high", "confidence", "accuracy", "entities"]
