"""What the tagger is told of a token beside its vector."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.vocabulary import (
    CASINGS,
    ELSEWHERE,
    LONGEST,
    casing,
    characters,
    elsewhere,
    is_in_capitals,
)


@pytest.mark.parametrize(
    ("tokens", "row"),
    [
        (["$", "--", "", "你"], 0), (["7", "1996"], 1), (["1996-08-22", "U2", "3rd"], 2),
        (["the", "o'clock"], 3), (["I", "A"], 4), (["EU", "U.S.", "AT&T"], 5),
        (["Ann", "O'clock"], 6), (["McLaren", "O'Brien"], 7), (["iPod", "eBay"], 8),
    ],
)  # fmt: skip
def test_casing_is_told_by_its_letters_and_digits(tokens: list[str], row: int) -> None:
    assert [casing(token) for token in tokens] == [row] * len(tokens)


@given(st.text())
def test_any_token_has_a_casing_and_characters_of_one_width(token: str) -> None:
    assert 0 <= casing(token) < CASINGS
    ids = characters(token, {"a": 2, "b": 3})
    assert len(ids) == LONGEST
    assert set(ids) <= {0, 1, 2, 3}
    assert sum(id_ > 0 for id_ in ids) == min(len(token), LONGEST)


def test_characters_keep_both_ends_of_a_long_token() -> None:
    ids = {"a": 2, "z": 3}
    assert characters("az?", ids)[:4] == [2, 3, 1, 0]
    assert characters("a" * 5000 + "z" * 5000, ids) == [2] * 12 + [3] * 12


def told(sentences: list[str]) -> list[list[set[int]]]:
    """The truths of each token, as the set of their numbers."""
    found = elsewhere([sentence.split() for sentence in sentences])
    return [[{k for k, true in enumerate(truths) if true} for truths in s] for s in found]


def test_how_a_token_is_written_elsewhere_in_its_document() -> None:
    headline, first, second = told(["MAY MEETS BUSH", "May met Bush .", "He may meet Mr. Bush"])
    assert headline == [{0, 2, 6}, {6}, {1, 6}]
    assert first[0] == {0, 3}
    assert first[2] == {1, 3}, "its own mention does not count, the other does"
    assert second[1] == {2, 3}
    assert second[4] == {1, 3}
    assert told(["NATO met", "the NATO of 5"])[1] == [set(), {4}, set(), set()]
    assert told(["5 , 5"]) == [[{5}, set(), {5}]]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "A", "B", "bb", "Bb", "BB", "5", "."]), min_size=1),
        max_size=5,
    )
)
def test_elsewhere_counts_the_others(sentences: list[list[str]]) -> None:
    found = elsewhere(sentences)
    for tokens, truths in zip(sentences, found, strict=True):
        for token, row in zip(tokens, truths, strict=True):
            assert len(row) == ELSEWHERE
            others = sum(t.lower() == token.lower() for s in sentences for t in s) - 1
            assert any(row[:-1]) == (others > 0)
            assert row[-1] == is_in_capitals(tokens)


@pytest.mark.parametrize("text", ["EU - 1996", "A", "U.S. 2"])
def test_a_line_of_capitals(text: str) -> None:
    assert is_in_capitals(text.split())
    assert not is_in_capitals([*text.split(), "a"])


def test_a_line_without_letters_is_none_of_capitals() -> None:
    assert not is_in_capitals(["1996", "-"])
