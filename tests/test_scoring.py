"""Scores against seqeval's default and against a count made as conlleval makes it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score

from evaluation.scoring import count_confusions, score
from tagger.corpus.tags import is_allowed, transitions

TYPES = ("PER", "LOC")
TAGS = ["O", *(f"{prefix}-{type_}" for prefix in "BI" for type_ in TYPES)]
Tags = list[list[str]]


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
    seqeval = [
        f(gold, predicted, zero_division=0) for f in (precision_score, recall_score, f1_score)
    ]
    assert seqeval == pytest.approx(expected)


@given(corpora(valid=False))
def test_seqevals_default_is_conlleval_on_invalid_sequences_too(corpus: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus
    expected = fractions(*conlleval(gold, predicted))
    seqeval = [
        f(gold, predicted, zero_division=0) for f in (precision_score, recall_score, f1_score)
    ]
    assert seqeval == pytest.approx(expected)


@given(corpora(valid=False))
def test_invalid_transitions_are_counted_and_strictly_scored(corpus: tuple[Tags, Tags]) -> None:
    gold, predicted = corpus

    def strict(tags: list[str]) -> set[tuple[int, int, str]]:
        """What `B-` opens and `I-` of the same type continue; all else is no entity."""
        found = set()
        for i, tag in enumerate(tags):
            if tag[0] == "B":
                end = i + 1
                while end < len(tags) and tags[end] == f"I-{tag[2:]}":
                    end += 1
                found.add((i, end, tag[2:]))
        return found

    pairs = [(strict(g), strict(p)) for g, p in zip(gold, predicted, strict=True)]
    expected = fractions(
        sum(len(g & p) for g, p in pairs),
        sum(len(g) for g, _ in pairs),
        sum(len(p) for _, p in pairs),
    )
    got = score(gold, predicted)
    assert [got["precision"], got["recall"], got["f1"]] == pytest.approx(expected, abs=5.1e-5)
    bad = sum(
        right[0] == "I" and left[1:] != right[1:]
        for tags in predicted
        for left, right in transitions(tags)
    )
    assert got["invalid_transitions"] == bad


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


def test_scores_by_type() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"]]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "O"]]
    got = score(gold, predicted)
    assert got["types"] == {
        "LOC": {"precision": 1.0, "recall": 0.5, "f1": 0.6667, "support": 2},
        "PER": {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "support": 1},
    }
    assert (got["f1"], got["accuracy"], got["sentences"], got["tokens"]) == (0.6667, 0.8333, 2, 6)
