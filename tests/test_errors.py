"""Every entity that is not correct is in one error, and of the kind that the words say."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import KINDS, Error, count_errors, find_errors
from tagger.corpus.tags import Span, spans

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
sentences = st.integers(1, 9).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from(TAGS), min_size=n, max_size=n)] * 2)
)


def overlap(a: Span, b: Span) -> bool:
    return bool(set(range(a.start, a.end)) & set(range(b.start, b.end)))


@given(sentences)
def test_errors_and_correct_entities_are_all_entities(tags: tuple[list[str], list[str]]) -> None:
    gold, predicted = map(spans, tags)
    errors = find_errors(gold, predicted)
    correct = set(gold) & set(predicted)
    assert sorted([*correct, *(e.gold for e in errors if e.gold)]) == sorted(gold)
    assert sorted([*correct, *(e.predicted for e in errors if e.predicted)]) == sorted(predicted)
    assert errors == find_errors(gold[::-1], predicted[::-1])


@given(sentences)
def test_each_error_is_of_its_kind(tags: tuple[list[str], list[str]]) -> None:
    errors = find_errors(*map(spans, tags))
    for kind, gold, predicted in errors:
        if gold is None or predicted is None:
            assert kind == ("spurious" if gold is None else "missed")
            continue
        assert overlap(gold, predicted)
        same = (gold[:2] == predicted[:2], gold.type == predicted.type)
        assert same != (True, True)
        assert (
            kind
            == {
                (True, False): "wrong type",
                (False, True): "wrong boundary",
                (False, False): "wrong both",
            }[same]
        )
    left = [e.gold for e in errors if e.kind == "missed"]
    made_up = [e.predicted for e in errors if e.kind == "spurious"]
    assert not any(a and b and overlap(a, b) for a in left for b in made_up), "they are a pair"


def test_pairs_are_those_that_agree_most() -> None:
    gold = [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(6, 9, "ORG")]
    predicted = [Span(0, 2, "ORG"), Span(4, 5, "LOC"), Span(6, 7, "PER"), Span(7, 9, "ORG")]
    assert find_errors(gold, predicted) == [
        Error("wrong type", gold[0], predicted[0]),
        Error("missed", gold[1], None),
        Error("spurious", None, predicted[1]),
        Error("spurious", None, predicted[2]),
        Error("wrong boundary", gold[2], predicted[3]),
    ]
    assert find_errors(gold, gold) == []


def test_of_two_that_agree_alike_the_longer_share_counts_and_then_the_left() -> None:
    gold = Span(0, 4, "PER")
    halves = Span(0, 2, "PER"), Span(2, 4, "PER")
    assert find_errors([gold], halves)[0] == Error("wrong boundary", gold, halves[0])
    longer = Span(0, 1, "LOC"), Span(1, 4, "LOC")
    assert Error("wrong both", gold, longer[1]) in find_errors([gold], longer)


@given(st.lists(sentences, min_size=1, max_size=4))
def test_counts_are_of_all_sentences(corpus: list[tuple[list[str], list[str]]]) -> None:
    gold, predicted = zip(*corpus, strict=True)
    counts = count_errors(gold, predicted)
    assert list(counts) == [kind.replace(" ", "_") for kind in KINDS]
    expected = Counter(
        e.kind.replace(" ", "_") for g, p in corpus for e in find_errors(spans(g), spans(p))
    )
    assert counts == {kind: expected[kind] for kind in counts}
