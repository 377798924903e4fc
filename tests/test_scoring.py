"""Scores against the original conlleval, against a second count made as it counts, and seqeval."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from evaluation.scoring import count_confusions, likeliest_scheme, score
from evaluation.significance import f1
from evaluation.slices import ALL, Group, by_document, count_entities
from tagger.corpus.tags import count_invalid_transitions, is_allowed, transitions

TYPES = ("PER", "LOC")
TAGS = ["O", *(f"{prefix}-{type_}" for prefix in "BI" for type_ in TYPES)]
Tags = list[list[str]]
ORIGINAL = json.loads(
    (Path(__file__).parent / "data" / "conlleval.json").read_text(encoding="utf-8")
)["corpora"]


def conlleval(gold: Tags, predicted: Tags) -> tuple[int, int, int]:
    """Correct, gold and predicted chunks: conlleval.pl's one pass over tokens, for B, I and O."""
    correct = found_gold = found_predicted = 0
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        last_gold = last_predicted = "O"
        in_correct = False
        for g, p in zip([*gold_tags, "O"], [*predicted_tags, "O"], strict=True):
            ended = ends(last_gold, g), ends(last_predicted, p)
            started = starts(last_gold, g), starts(last_predicted, p)
            if in_correct:
                if all(ended):
                    correct += 1
                if any(ended) or g[2:] != p[2:]:
                    in_correct = False
            if all(started) and g[2:] == p[2:]:
                in_correct = True
            found_gold += started[0]
            found_predicted += started[1]
            last_gold, last_predicted = g, p
    return correct, found_gold, found_predicted


def ends(last: str, tag: str) -> bool:
    return last != "O" and (tag[0] in "BO" or last[2:] != tag[2:])


def starts(last: str, tag: str) -> bool:
    return tag != "O" and (tag[0] == "B" or last == "O" or last[2:] != tag[2:])


def is_valid(tags: list[str]) -> bool:
    return all(is_allowed(left, right, "IOB2") for left, right in transitions(tags))


@st.composite
def corpora(draw: st.DrawFn, valid: bool) -> tuple[Tags, Tags]:
    tag = st.sampled_from(TAGS)
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))

    def one(length: int) -> list[str]:
        tags = draw(st.lists(tag, min_size=length, max_size=length))
        if valid:
            for i, (left, right) in enumerate(transitions(tags)):
                if i < length and not is_allowed(tags[i - 1] if i else left, right, "IOB2"):
                    tags[i] = f"B-{right[2:]}"
        return tags

    gold = [one(length) for length in lengths]
    return gold, [one(length) for length in lengths]


def fractions(correct: int, gold: int, predicted: int) -> tuple[float, float, float]:
    precision = correct / predicted if predicted else 0.0
    recall = correct / gold if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if correct else 0.0
    return precision, recall, f1


@given(corpora(valid=True))
def test_all_scorers_agree_on_valid_sequences(corpus: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus
    assert all(map(is_valid, gold + predicted))
    expected = fractions(*conlleval(gold, predicted))
    got = score(gold, predicted)
    assert got["invalid_transitions"] == 0
    assert got["support"] == conlleval(gold, predicted)[1]
    assert [got["precision"], got["recall"], got["f1"]] == pytest.approx(expected, abs=5.1e-5)
    strict: dict[str, Any] = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    seqeval = [f(gold, predicted, **strict) for f in (precision_score, recall_score, f1_score)]
    assert seqeval == pytest.approx(expected)


@given(corpora(valid=False))
def test_invalid_sequences_are_scored_as_conlleval_does(corpus: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus
    expected = fractions(*conlleval(gold, predicted))
    got = score(gold, predicted)
    assert [got["precision"], got["recall"], got["f1"]] == pytest.approx(expected, abs=5.1e-5)
    assert got["support"] == conlleval(gold, predicted)[1]


@pytest.mark.parametrize("number", range(len(ORIGINAL)))
def test_scores_and_counts_are_those_of_the_original_conlleval(number: int) -> None:
    corpus = ORIGINAL[number]
    gold, predicted = ([pair[i].split() for pair in corpus["sentences"]] for i in (0, 1))
    got = score(gold, predicted)
    assert [got["tokens"], got["support"]] == [corpus["tokens"], corpus["gold"]]
    for name in ("accuracy", "precision", "recall", "f1"):
        assert 100 * got[name] == pytest.approx(corpus[name], abs=0.011), name
    assert set(got["types"]) == set(corpus["types"])
    tokens = [["w"] * len(tags) for tags in gold]
    types = sorted(corpus["types"])
    table = count_entities(tokens, range(len(gold)), gold, predicted, types, None)
    groups = by_document(table)
    assert groups[ALL].sum(axis=0).tolist() == [
        corpus["correct"], corpus["predicted"], corpus["gold"],
    ]  # fmt: skip
    for type_, (*percents, found) in corpus["types"].items():
        row = got["types"][type_]
        scores = [100 * row[name] for name in ("precision", "recall", "f1")]
        assert scores == pytest.approx(percents, abs=0.011)
        counts = groups[Group("type", type_)].sum(axis=0)
        assert counts[1] == found
        assert counts[2] == row["support"]
        assert 100 * f1(counts) == pytest.approx(percents[2], abs=0.0051)


def test_the_original_conlleval_scored_what_is_hard() -> None:
    pairs = [(g.split(), p.split()) for corpus in ORIGINAL for g, p in corpus["sentences"]]
    assert sum(not is_valid(predicted) for _, predicted in pairs) > 100
    assert sum(not is_valid(gold) for gold, _ in pairs) > 50
    assert {len(corpus["types"]) for corpus in ORIGINAL} >= {0, 1, 2, 3, 4}


@given(corpora(valid=True), corpora(valid=False))
def test_invalid_transitions_are_counted(
    corpus: tuple[Tags, Tags], other: tuple[Tags, Tags]
) -> None:
    gold, predicted = [["B-PER", "I-PER", "O"], *corpus[0]], other[1]  # in IOB2 alone
    assert likeliest_scheme(gold, predicted) == "IOB2"
    bad = sum(
        right[0] == "I" and left[1:] != right[1:]
        for tags in predicted
        for left, right in transitions(tags)
    )
    assert count_invalid_transitions(predicted)["IOB2"] == bad


def test_invalid_transitions_are_those_of_the_scheme_of_the_gold_tags() -> None:
    tags = {
        "IOB2": ["B-PER", "I-PER", "O", "B-LOC"],
        "IOB1": ["I-PER", "I-PER", "O", "I-LOC"],
        "BIOES": ["B-PER", "E-PER", "O", "S-LOC"],
    }
    for scheme, gold in tags.items():
        assert likeliest_scheme([gold], [gold]) == scheme
        for predicted in tags.values():
            got = score([gold], [predicted])
            assert got["f1"] == 1
            assert (got["invalid_transitions"] == 0) == (predicted == gold)
    assert likeliest_scheme([["O"]], [tags["BIOES"]]) == "BIOES"


@given(corpora(valid=True))
def test_confusion_counts_every_token_once(corpus: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus
    rows = count_confusions(gold, predicted, TYPES)
    pairs = Counter(
        (g[2:] or "O", p[2:] or "O")
        for g_tags, p_tags in zip(gold, predicted, strict=True)
        for g, p in zip(g_tags, p_tags, strict=True)
    )
    assert {(g, p): n for g, p, n in rows if n} == dict(pairs)
    assert len(rows) == 9


@pytest.mark.filterwarnings("error")
def test_without_an_entity_all_scores_of_entities_are_zero() -> None:
    none = {"precision": 0, "recall": 0, "f1": 0, "support": 0, "types": {}}
    got = score([["O", "O"]], [["O", "O"]])
    assert {key: got[key] for key in none} == none
    assert (got["accuracy"], got["tokens"]) == (1, 2)
    got = score([["O", "O"]], [["O", "B-PER"]])
    assert (got["f1"], got["accuracy"], got["support"]) == (0, 0.5, 0)
    assert got["types"] == {"PER": {"precision": 0, "recall": 0, "f1": 0, "support": 0}}


def test_scores_by_type() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "O"]]
    got = score(gold, predicted)
    assert got["types"] == {
        "LOC": {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "support": 2},
        "PER": {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "support": 1},
    }
    assert (got["f1"], got["accuracy"], got["sentences"], got["tokens"]) == (0.6667, 0.8333, 2, 6)
