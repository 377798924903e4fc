"""Tags and schemes, against a function that goes the other way, from spans to tags."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from tagger.corpus.tags import (
    PREFIXES,
    Span,
    count_invalid_transitions,
    is_allowed,
    parse,
    spans,
    tag_set,
    to_iob2,
    transitions,
    types_of,
)

TYPES = ("LOC", "PER", "X-Y")


def encode(entities: list[Span], length: int, scheme: str) -> list[str]:
    """The tags of some spans in a sentence, by the definition of each scheme."""
    tags = ["O"] * length
    for i, (start, end, type_) in enumerate(entities):
        inside = [f"I-{type_}"] * (end - start)
        before = entities[i - 1] if i else None
        if scheme == "IOB2" or (scheme == "IOB1" and before and before[1:] == (start, type_)):
            inside[0] = f"B-{type_}"
        if scheme == "BIOES":
            inside[0], inside[-1] = f"B-{type_}", f"E-{type_}"
            if end - start == 1:
                inside = [f"S-{type_}"]
        tags[start:end] = inside
    return tags


@st.composite
def sentences(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Entities that do not overlap, and the length of their sentence."""
    entities, position = [], 0
    for gap, size, type_ in draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(TYPES)), max_size=6
        )
    ):
        start = position + gap
        position = start + size
        entities.append(Span(start, position, type_))
    return entities, position + draw(st.integers(0, 2))


@given(sentences(), st.sampled_from(sorted(PREFIXES)))
def test_each_scheme_gives_back_its_spans_and_converts_to_iob2(
    sentence: tuple[list[Span], int], scheme: str
) -> None:
    entities, length = sentence
    tags = encode(entities, length, scheme)
    assert spans(tags) == entities
    assert to_iob2(tags) == encode(entities, length, "IOB2")
    counts = count_invalid_transitions([tags])
    assert [s for s in PREFIXES if not counts[s]] == ([scheme] if entities else list(PREFIXES))


@given(sentences(), sentences(), st.permutations(sorted(PREFIXES)))
def test_a_corpus_in_two_schemes_follows_none(
    one: tuple[list[Span], int], other: tuple[list[Span], int], schemes: list[str]
) -> None:
    assume(one[0] and other[0])
    both = [encode(*one, schemes[0]), encode(*other, schemes[1])]
    assert all(count_invalid_transitions(both).values())


@pytest.mark.parametrize("scheme", PREFIXES)
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_transitions_allow_exactly_the_encodings_of_spans(scheme: str, length: int) -> None:
    types = ("A", "B")
    tags = ["O", *(f"{prefix}-{type_}" for prefix in PREFIXES[scheme] for type_ in types)]
    allowed = {
        sequence
        for sequence in itertools.product(tags, repeat=length)
        if all(is_allowed(left, right, scheme) for left, right in transitions(sequence))
    }
    cells = [Span(a, b, t) for a in range(length) for b in range(a + 1, length + 1) for t in types]
    encoded = {
        tuple(encode(list(chosen), length, scheme))
        for n in range(length + 1)
        for chosen in itertools.combinations(cells, n)
        if all(left.end <= right.start for left, right in itertools.pairwise(chosen))
    }
    assert allowed == encoded


@given(st.lists(st.sampled_from(["O", *(f"{p}-{t}" for p in "BIES" for t in TYPES)]), max_size=8))
def test_spans_of_any_sequence_are_those_of_seqeval(tags: list[str]) -> None:
    expected = [(start, end + 1, type_) for type_, start, end in get_entities(tags)]
    assert spans(tags) == expected


@pytest.mark.parametrize("tag", ["", "PER", "B-", "B", "X-PER", "b-PER", "-PER", "o", "O-PER"])
def test_what_is_no_tag_is_refused_by_name(tag: str) -> None:
    with pytest.raises(ValueError, match=f"{tag!r} is not a tag"):
        parse(tag)


def test_the_tag_set_has_the_order_of_the_hubs_conllpp() -> None:
    conll = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
    assert tag_set(["LOC", "MISC", "ORG", "PER"]) == conll
    assert types_of(conll) == ["PER", "ORG", "LOC", "MISC"]
    assert tag_set(["zebra", "LOC", "ant"])[1::2] == ["B-LOC", "B-ant", "B-zebra"]
