"""A bidirectional LSTM (Graves & Schmidhuber 2005) whose directions can run side by side.

Each direction is one thread's work from its first token to its last. Two threads then have nothing
to wait for in each other, as they would if they shared every product of a recurrence, which is too
small for that (see benchmarks/train.py). And since no sum is cut in two, one thread and two give
the same bits.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from tagger.encoding.layout import Layout
from tagger.model.threads import parallel_map


class BiLSTM(nn.Module):
    """One bidirectional layer.

    Args:
        size: the number of values that each token comes with
        hidden: the size of the hidden state in each direction
        dropout: the probability that in training a value of the hidden state is dropped before the
            next step
    """

    def __init__(self, size: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden, self.dropout = hidden, dropout
        self.directions = nn.ModuleList(nn.LSTM(size, hidden) for _ in range(2))

    def forward(self, inputs: Tensor, layout: Layout, executor: Executor | None = None) -> Tensor:
        """The hidden states of both directions at each token.

        Args:
            inputs: [tokens, size]
            layout: of the sentences
            executor: of `configure_threads`, to run the directions side by side in training

        Returns:
            [tokens, 2 * hidden]
        """
        grids, places = (
            torch.from_numpy(array).to(inputs.device) for array in (layout.tokens, layout.cells)
        )
        calls = [
            partial(_run_direction, lstm, tokens, cells, self.recurrent_dropout_mask(inputs))
            for lstm, tokens, cells in zip(self.directions, grids, places, strict=True)
        ]
        groups = [(inputs, *lstm.parameters()) for lstm in self.directions]
        if executor is None or not self.training:
            outputs = [call(*group) for call, group in zip(calls, groups, strict=True)]
        else:
            outputs = _SideBySide.apply(  # type: ignore[no-untyped-call]
                executor, calls, *(tensor for group in groups for tensor in group)
            )
        return torch.cat(outputs, dim=1)

    def recurrent_dropout_mask(self, like: Tensor) -> Tensor | None:
        """The factor of each value of the hidden state in the next step, [hidden]; None for all 1.

        A value is dropped at every step (Gal & Ghahramani, NeurIPS 2016), and in every sentence of
        the batch, so that the mask can be multiplied into the weights. It is drawn on the CPU, so
        it is the same on every device. It comes in the type and on the device of `like`.
        """
        if not self.training or self.dropout == 0:
            return None
        return (torch.rand(self.hidden) >= self.dropout).to(like) / (1 - self.dropout)


def _run_direction(
    lstm: nn.Module,
    tokens: Tensor,
    cells: Tensor,
    mask: Tensor | None,
    inputs: Tensor,
    *parameters: Tensor,
) -> Tensor:
    """The hidden states of one direction at each token, [tokens, hidden].

    Args:
        lstm: PyTorch's LSTM of one direction
        tokens: the layout's token in each cell of that direction, [steps, sentences]
        cells: the layout's cell of each token in that direction, [tokens]
        mask: of `recurrent_dropout_mask`, [hidden]
        inputs: [tokens, size]
        parameters: those of the LSTM
    """
    weights = dict(zip((name for name, _ in lstm.named_parameters()), parameters, strict=True))
    if mask is not None:
        weights["weight_hh_l0"] = weights["weight_hh_l0"] * mask  # [4 * hidden, hidden]
    grid = inputs.index_select(0, tokens.flatten()).unflatten(0, tokens.shape)
    output: Tensor = functional_call(lstm, weights, grid)[0]  # [steps, sentences, hidden]
    return output.flatten(0, 1).index_select(0, cells)


class _SideBySide(torch.autograd.Function):
    """Functions of some tensors each, called on threads of their own, forwards and backwards.

    Each is called with as many of `tensors` as the others, in their order.
    """

    @staticmethod
    def forward(
        ctx: Any,
        executor: Executor,
        functions: Sequence[Callable[..., Tensor]],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        size = len(tensors) // len(functions)
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        groups = [leaves[start : start + size] for start in range(0, len(leaves), size)]

        def call(function: Callable[..., Tensor], group: list[Tensor]) -> Tensor:
            with torch.enable_grad():  # PyTorch keeps this setting by thread, too.
                return function(*group)

        outputs = parallel_map(executor, call, functions, groups)
        ctx.executor, ctx.outputs, ctx.groups = executor, outputs, groups
        return tuple(output.detach() for output in outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found = parallel_map(ctx.executor, torch.autograd.grad, ctx.outputs, ctx.groups, gradients)
        return None, None, *(gradient for group in found for gradient in group)
