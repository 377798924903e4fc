"""A bidirectional LSTM over packed sentences, faster on a CPU than PyTorch's own.

Both directions have the same number of rows at each step, so one batched product serves the two,
and two threads take one each. The gradient of the weights is one product over all steps, where
autograd would make one for each.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tagger.packing import Packing


class _Recurrence(torch.autograd.Function):
    """The steps of an LSTM in both directions, with a gradient written out.

    Gates stand in the order input, forget, output, candidate.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, steps: list[int]) -> Tensor:
        # gates: what the inputs give, [2, tokens, 4 hidden]; weight: [2, hidden, 4 hidden]
        hidden = weight.shape[1]
        gates = gates.clone()
        cells = gates.new_empty(2, gates.shape[1], hidden)
        tanhs = torch.empty_like(cells)
        states = torch.empty_like(cells)
        previous = slice(0, 0)
        for start, end in pairwise(steps):
            now = slice(start, end)
            some = gates[:, now]
            if start:
                previous = slice(previous.start, previous.start + end - start)
                some.baddbmm_(states[:, previous], weight)
            sigmoids = some[..., : 3 * hidden].sigmoid_()
            candidate = some[..., 3 * hidden :].tanh_()
            inputs, forget, output = sigmoids.chunk(3, dim=-1)
            cell = torch.mul(inputs, candidate, out=cells[:, now])
            if start:
                cell.addcmul_(forget, cells[:, previous])
            tanh = torch.tanh(cell, out=tanhs[:, now])
            torch.mul(output, tanh, out=states[:, now])
            previous = now
        ctx.save_for_backward(gates, cells, tanhs, states, weight)
        ctx.steps = steps
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        gates, cells, tanhs, states, weight = ctx.saved_tensors
        steps = ctx.steps
        hidden = weight.shape[1]
        back = weight.transpose(1, 2)
        d_gates = torch.empty_like(gates)
        # Of the step after: what flows back to the states and the cells of its rows.
        d_state = d_cell = None
        before = torch.zeros_like(states)  # the state before each row, zero at the first step
        for step in range(len(steps) - 2, -1, -1):
            now = slice(steps[step], steps[step + 1])
            some = gates[:, now]
            inputs, forget, output, candidate = some.chunk(4, dim=-1)
            dh = gradient[:, now]
            if d_state is not None:
                dh = dh.clone()
                dh[:, : d_state.shape[1]] += d_state
            tanh = tanhs[:, now]
            d_some = d_gates[:, now]
            d_in, d_forget, d_out, d_candidate = d_some.chunk(4, dim=-1)
            # d tanh = 1 - tanh², d sigmoid = s (1 - s)
            dc = torch.addcmul(dh, dh * tanh, tanh, value=-1).mul_(output)
            if d_cell is not None:
                dc[:, : d_cell.shape[1]] += d_cell
            torch.mul(dh, tanh, out=d_out)
            torch.mul(dc, candidate, out=d_in)
            if step:
                rows = slice(steps[step - 1], steps[step - 1] + now.stop - now.start)
                torch.mul(dc, cells[:, rows], out=d_forget)
                before[:, now] = states[:, rows]
            else:
                d_forget.zero_()
            sigmoids = some[..., : 3 * hidden]
            d_sigmoids = d_some[..., : 3 * hidden]
            d_sigmoids.mul_(torch.addcmul(sigmoids, sigmoids, sigmoids, value=-1))
            torch.mul(dc, inputs, out=d_candidate)
            d_candidate.addcmul_(d_candidate * candidate, candidate, value=-1)
            if step:
                d_state = torch.bmm(d_some, back)
                d_cell = dc.mul_(forget)
        return d_gates, torch.bmm(before.transpose(1, 2), d_gates), None


class BiLSTM(nn.Module):
    """A layer of LSTM in both directions (Hochreiter & Schmidhuber 1997; Graves 2005).

    Args:
        size: of the input
        hidden: size of the state in each direction
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.empty(2, size, 4 * hidden))
        self.recurrent = nn.Parameter(torch.empty(2, hidden, 4 * hidden))
        self.bias = nn.Parameter(torch.empty(2, 1, 4 * hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, tokens: Tensor, packing: Packing) -> Tensor:
        """The states of both directions, [tokens, 2 hidden], from inputs [tokens, size]."""
        orders = (packing.forward, packing.backward)
        packed = torch.stack([tokens.index_select(0, order) for order in orders])
        gates = torch.baddbmm(self.bias, packed, self.input)
        states: Tensor = _Recurrence.apply(  # type: ignore[no-untyped-call]
            gates, self.recurrent, packing.steps
        )
        forward, backward = states
        return torch.cat(
            (
                torch.empty_like(forward).index_copy(0, packing.forward, forward),
                torch.empty_like(backward).index_copy(0, packing.backward, backward),
            ),
            dim=1,
        )
