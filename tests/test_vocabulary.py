"""What the tagger is told of a token beside its vector."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.vocabulary import CASINGS, LONGEST, casing, characters


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
