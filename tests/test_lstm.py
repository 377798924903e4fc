"""The layer is PyTorch's bidirectional LSTM, on any number of threads."""

from concurrent.futures import Executor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from tagger.encoding.layout import Layout
from tagger.model.lstm import BiLSTM
from tagger.model.threads import configure_threads, parallel_map

SIZE, HIDDEN = 4, 3


def make_layer(dtype: torch.dtype = torch.float64) -> BiLSTM:
    torch.manual_seed(0)
    return BiLSTM(SIZE, HIDDEN).to(dtype)


def call(layer: BiLSTM, lengths: list[int], executor: Executor | None) -> tuple[Tensor, ...]:
    """The layer's states, and the gradients of all that they depend on."""
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(sum(lengths), SIZE, dtype=torch.float64, generator=generator)
    states = states.to(next(layer.parameters()).dtype).requires_grad_()
    output = layer(states, Layout.of(np.array(lengths)), executor)
    loss = (output * torch.arange(output.numel()).view_as(output)).sum()
    return output, *torch.autograd.grad(loss, (states, *layer.parameters()))


# In single precision the kernel is another, oneDNN's.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_states_and_gradients_are_those_of_pytorchs_packed_lstm(
    dtype: torch.dtype, tolerance: float, lengths: list[int]
) -> None:
    layer = make_layer(dtype)
    theirs = nn.LSTM(SIZE, HIDDEN, bidirectional=True).double()
    for mine, suffix in zip(layer.directions, ("", "_reverse"), strict=True):
        for name, weights in mine.named_parameters():
            getattr(theirs, name + suffix).data.copy_(weights)
    generator = torch.Generator().manual_seed(1)
    states = torch.randn(sum(lengths), SIZE, dtype=torch.float64, generator=generator)
    states.requires_grad_()
    packed = pack_sequence(list(states.split(lengths)), enforce_sorted=False)
    expected = torch.cat(unpack_sequence(theirs(packed)[0]))
    loss = (expected * torch.arange(expected.numel()).view_as(expected)).sum()
    gradients = torch.autograd.grad(loss, (states, *theirs.parameters()))
    for found, wanted in zip(call(layer, lengths, None), (expected, *gradients), strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=tolerance, atol=tolerance)


def test_dropout_leaves_values_of_the_state_out_of_every_next_step() -> None:
    layer, lengths = make_layer(), [4, 7]
    plain = call(layer, lengths, None)[0]
    layer.dropout = 0.6
    torch.manual_seed(1)
    kept = [torch.rand(HIDDEN) >= 0.6 for _ in layer.directions]
    assert all(0 < mask.sum() < HIDDEN for mask in kept), "some are, some are not"
    torch.manual_seed(1)
    dropped = call(layer, lengths, None)
    torch.manual_seed(1)
    for one, two in zip(dropped, call(layer, lengths, configure_threads(2)), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(call(layer.eval(), lengths, None)[0], plain), "not when it tags"

    generator = torch.Generator().manual_seed(1)
    states = torch.randn(sum(lengths), SIZE, dtype=torch.float64, generator=generator)
    at = 0
    for sentence in states.split(lengths):
        columns = []
        for lstm, mask, steps in zip(layer.directions, kept, (1, -1), strict=True):
            cell = nn.LSTMCell(SIZE, HIDDEN).double()
            for name, weights in cell.named_parameters():
                weights.data.copy_(getattr(lstm, f"{name}_l0"))
            h = c = torch.zeros(HIDDEN, dtype=torch.float64)
            rows = []
            for token in list(sentence)[::steps]:
                h, c = cell(token, (h * mask / 0.4, c))
                rows.append(h)
            columns.append(torch.stack(rows[::steps]))
        expected = torch.cat(columns, dim=1)
        torch.testing.assert_close(dropped[0][at : at + len(sentence)], expected)
        at += len(sentence)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_threads_give_the_bits_of_one(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, lengths = BiLSTM(40, 64).to(dtype), [17] * 30 + [16, 5]
    states = torch.randn(sum(lengths), 40, dtype=dtype, requires_grad=True)
    layout = Layout.of(np.array(lengths))
    results = []
    for executor in (configure_threads(1), configure_threads(2)):
        output = layer(states, layout, executor)
        results.append((output, *torch.autograd.grad(output.sin().sum(), [*layer.parameters()])))
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    layer = make_layer()
    layout = Layout.of(np.array([2]))
    with pytest.raises(RuntimeError, match="size"):
        layer(torch.zeros(2, SIZE + 1, dtype=torch.float64), layout, configure_threads(2))


@pytest.mark.parametrize(("threads", "shared"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)])
def test_up_to_three_threads_no_operation_is_shared(threads: int, shared: int) -> None:
    try:
        executor = configure_threads(threads)
        assert torch.get_num_threads() == shared
        assert (executor is None) == (threads == 1)
        if executor is not None:
            counts = parallel_map(executor, lambda _: torch.get_num_threads(), range(9))
            assert set(counts) == {shared}
    finally:
        torch.set_num_threads(1)
