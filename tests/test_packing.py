"""A packing takes every token once in each direction, and is PyTorch's own."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from tagger.encoding.layout import Packing

lengths_of_sentences = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@given(lengths_of_sentences)
def test_a_packing_is_that_of_pytorch(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    tokens = torch.arange(sum(lengths))
    theirs = pack_sequence(list(tokens.split(lengths)), enforce_sorted=False)
    assert torch.equal(torch.tensor(packing.steps).diff(), theirs.batch_sizes)
    sizes = sorted(packing.forward.tolist())
    assert sizes == tokens.tolist()
    steps = zip(
        packing.forward.split(theirs.batch_sizes.tolist()),
        theirs.data.split(theirs.batch_sizes.tolist()),
        strict=True,
    )
    for ours, expected in steps:  # sentences of one length may stand in another order
        assert sorted(ours.tolist()) == sorted(expected.tolist())


@given(lengths_of_sentences)
def test_a_packing_orders_every_token_once_in_each_direction(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    tokens = list(range(sum(lengths)))
    assert sorted(packing.forward.tolist()) == sorted(packing.backward.tolist()) == tokens
    assert packing.steps[0] == 0
    assert packing.steps[-1] == len(tokens)
    ends = torch.tensor(lengths).cumsum(0)
    assert packing.first.tolist() == (ends - torch.tensor(lengths)).tolist()
    assert packing.last.tolist() == (ends - 1).tolist()
    for step, (start, end) in enumerate(zip(packing.steps, packing.steps[1:], strict=False)):
        at_step = sorted(packing.forward[start:end].tolist())
        expected = [int(a) + step for a, n in zip(packing.first, lengths, strict=True) if n > step]
        assert at_step == expected
        from_end = sorted(packing.backward[start:end].tolist())
        assert from_end == [
            int(z) - step for z, n in zip(packing.last, lengths, strict=True) if n > step
        ]


@given(lengths_of_sentences)
def test_a_grid_holds_each_sentence_in_a_column(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    tokens = torch.arange(sum(lengths))
    for grid, cells, direction in zip(packing.grids, packing.cells, (1, -1), strict=True):
        assert grid.shape == (max(lengths), len(lengths))
        columns = sorted(tuple(column.tolist()) for column in grid.T)
        expected = [sentence.tolist()[::direction] for sentence in tokens.split(lengths)]
        repeated = [some + some[-1:] * (max(lengths) - len(some)) for some in expected]
        assert columns == sorted(map(tuple, repeated)), "after its last token, that again"
        assert torch.equal(grid.flatten()[cells], tokens)
        assert cells.tolist() == [int((grid.flatten() == token).nonzero()[0]) for token in tokens]


@given(lengths_of_sentences)
def test_each_token_knows_its_sentence(lengths: list[int]) -> None:
    expected = [i for i, length in enumerate(lengths) for _ in range(length)]
    assert Packing.of(torch.tensor(lengths)).sentences.tolist() == expected
