"""A bidirectional LSTM (Graves & Schmidhuber 2005) whose directions can run side by side.

Each direction is one thread's work from its first token to its last. Two threads have nothing to
wait for in each other, as they would if they shared every product of a recurrence, which is too
small for that (benchmarks/train.py); and since no sum is cut in two, the bits are the same on
one thread and on two.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from tagger.encoding.layout import Packing


def workers(threads: int) -> Executor | None:
    """Set the number of threads; what runs the directions side by side if there are several.

    From the fourth on, threads share the operations within a direction.
    """
    shared = max(1, threads // 2)
    torch.set_num_threads(shared)
    if threads == 1:
        return None
    # PyTorch's setting is the thread's own.
    return ThreadPoolExecutor(2, "worker", torch.set_num_threads, (shared,))


class BiLSTM(nn.Module):
    """One layer.

    Args:
        size: of the states that come in
        hidden: size of the state in each direction
        dropout: the probability that in training a value of the state is not seen by the next step
    """

    def __init__(self, size: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden, self.dropout = hidden, dropout
        self.directions = nn.ModuleList(nn.LSTM(size, hidden) for _ in range(2))

    def forward(self, states: Tensor, packing: Packing, executor: Executor | None = None) -> Tensor:
        """The states of both directions at each token.

        Args:
            states: [tokens, size]
            packing: of the sentences
            executor: of `workers`, to run the directions side by side in training

        Returns:
            [tokens, 2 * hidden]
        """
        directions = [
            partial(_read, lstm, grid, cells, self.draw(states))
            for lstm, grid, cells in zip(self.directions, packing.grids, packing.cells, strict=True)
        ]
        groups = [(states, *lstm.parameters()) for lstm in self.directions]
        if executor is None or not self.training:
            outputs = [read(*group) for read, group in zip(directions, groups, strict=True)]
        else:
            outputs = _SideBySide.apply(  # type: ignore[no-untyped-call]
                executor, directions, *(tensor for group in groups for tensor in group)
            )
        return torch.cat(outputs, dim=1)

    def draw(self, states: Tensor) -> Tensor | None:
        """What each value of a direction's state counts for the next step, if some are dropped.

        What is dropped is dropped at every step (Gal & Ghahramani, NeurIPS 2016), and in every
        sentence of the batch, so that it can be left out of the weights. Drawn on the CPU, it is
        the same on every device.
        """
        if not self.training or self.dropout == 0:
            return None
        return (torch.rand(self.hidden) >= self.dropout).to(states) / (1 - self.dropout)


def _read(
    lstm: nn.Module,
    grid: Tensor,
    cells: Tensor,
    counts: Tensor | None,
    states: Tensor,
    *parameters: Tensor,
) -> Tensor:
    """One direction's states at each token, [tokens, hidden].

    Args:
        lstm: PyTorch's, of one direction
        grid: of the packing, in that direction, [steps, sentences]
        cells: of the packing, in that direction, [tokens]
        counts: of `BiLSTM.draw`, [hidden]
        states: [tokens, size]
        parameters: of the LSTM
    """
    weights = dict(zip((name for name, _ in lstm.named_parameters()), parameters, strict=True))
    if counts is not None:
        weights["weight_hh_l0"] = weights["weight_hh_l0"] * counts  # [4 * hidden, hidden]
    # Padding comes after the last token of a sentence, so nothing of the sentence sees it; and
    # sentences of one batch are of like length, so it costs less than oneDNN's kernel saves.
    inputs = states.index_select(0, grid.flatten()).unflatten(0, grid.shape)
    output: Tensor = functional_call(lstm, weights, inputs)[0]
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
            with torch.enable_grad():  # a thread's own setting, too
                return function(*group)

        outputs = list(executor.map(call, functions, groups))
        ctx.executor, ctx.outputs, ctx.groups = executor, outputs, groups
        return tuple(output.detach() for output in outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.executor.map(torch.autograd.grad, ctx.outputs, ctx.groups, gradients)
        return None, None, *(gradient for group in found for gradient in group)
