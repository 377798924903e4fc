"""What the tagger is told of a token beside its vector."""

from hypothesis import given
from hypothesis import strategies as st

from tagger.encoding.vocabulary import LONGEST, characters


@given(st.text())
def test_any_token_has_characters_of_one_width(token: str) -> None:
    ids = characters(token, {"a": 2, "b": 3})
    assert len(ids) == LONGEST
    assert set(ids) <= {0, 1, 2, 3}
    assert sum(id_ > 0 for id_ in ids) == min(len(token), LONGEST)


def test_characters_keep_both_ends_of_a_long_token() -> None:
    ids = {"a": 2, "z": 3}
    assert characters("az?", ids)[:4] == [2, 3, 1, 0]
    assert characters("a" * 5000 + "z" * 5000, ids) == [2] * 12 + [3] * 12
