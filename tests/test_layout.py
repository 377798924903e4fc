"""A layout puts each sentence into a column of either grid, and each token into one cell."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagger.encoding.layout import Layout

lengths_of_sentences = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(lengths_of_sentences)
def test_a_grid_holds_each_sentence_in_a_column(lengths: list[int]) -> None:
    layout = Layout.of(np.array(lengths))
    tokens = np.arange(sum(lengths))
    for grid, cells, direction in zip(layout.tokens, layout.cells, (1, -1), strict=True):
        assert grid.shape == (max(lengths), len(lengths))
        columns = [column.tolist() for column in grid.T]
        expected = [
            sentence.tolist()[::direction] for sentence in np.split(tokens, np.cumsum(lengths)[:-1])
        ]
        padded = [some + some[-1:] * (max(lengths) - len(some)) for some in expected]
        assert columns == padded, "padding repeats the last token"
        assert np.array_equal(grid.flatten()[cells], tokens)
        assert cells.tolist() == [int((grid.flatten() == token).argmax()) for token in tokens]


@given(lengths_of_sentences)
def test_each_token_knows_its_sentence_and_each_sentence_its_ends(lengths: list[int]) -> None:
    layout = Layout.of(np.array(lengths))
    assert layout.sentences.tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]
    sentences = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    assert layout.first.tolist() == [int(some[0]) for some in sentences]
    assert layout.last.tolist() == [int(some[-1]) for some in sentences]
    assert layout.followed.tolist() == [int(token) for some in sentences for token in some[:-1]]
