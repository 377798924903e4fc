"""The LSTM against PyTorch's own, in values and gradients, for any lengths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from tagger.lstm import BiLSTM
from tagger.packing import Packing

SIZE, HIDDEN = 3, 4

lengths_of_sentences = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def oracle(layer: BiLSTM, tokens: Tensor, lengths: Tensor) -> Tensor:
    """What nn.LSTM makes of the same weights; its gates stand in the order i, f, g, o."""
    theirs = nn.LSTM(SIZE, HIDDEN, batch_first=True, bidirectional=True).double()

    def reorder(weight: Tensor) -> Tensor:
        i, f, o, g = weight.chunk(4, dim=-1)
        return torch.cat((i, f, g, o), dim=-1)

    state = {}
    for direction, suffix in enumerate(("", "_reverse")):
        state[f"weight_ih_l0{suffix}"] = reorder(layer.input[direction]).T
        state[f"weight_hh_l0{suffix}"] = reorder(layer.recurrent[direction]).T
        state[f"bias_ih_l0{suffix}"] = reorder(layer.bias[direction, 0])
        state[f"bias_hh_l0{suffix}"] = torch.zeros(4 * HIDDEN, dtype=torch.double)
    padded = pad_sequence(list(tokens.split(lengths.tolist())), batch_first=True)
    packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
    output, _ = torch.func.functional_call(theirs, state, (packed,))
    output, _ = pad_packed_sequence(output, batch_first=True)
    return torch.cat([output[i, :n] for i, n in enumerate(lengths.tolist())])


@settings(max_examples=30)
@given(lengths_of_sentences, st.integers(0, 2**31))
def test_values_and_gradients_are_those_of_pytorch(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    layer = BiLSTM(SIZE, HIDDEN).double()
    tokens = torch.randn(sum(lengths), SIZE, dtype=torch.double, requires_grad=True)
    weight = torch.randn(sum(lengths), 2 * HIDDEN, dtype=torch.double)
    ours = layer(tokens, Packing.of(torch.tensor(lengths)))
    theirs = oracle(layer, tokens, torch.tensor(lengths))
    torch.testing.assert_close(ours, theirs)
    leaves = (tokens, *layer.parameters())
    torch.testing.assert_close(
        torch.autograd.grad((ours * weight).sum(), leaves),
        torch.autograd.grad((theirs * weight).sum(), leaves),
    )


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


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sentence_alone_and_among_others_has_the_same_states(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(0)
        layer = BiLSTM(SIZE, HIDDEN).double()
        lengths = torch.tensor([2, 5, 1, 5])
        tokens = torch.randn(13, SIZE, dtype=torch.double)
        together = layer(tokens, Packing.of(lengths)).split(lengths.tolist())
        for alone, states in zip(tokens.split(lengths.tolist()), together, strict=True):
            packing = Packing.of(torch.tensor([len(alone)]))
            torch.testing.assert_close(layer(alone, packing), states)
    finally:
        torch.set_num_threads(before)
