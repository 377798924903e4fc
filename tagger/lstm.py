"""A bidirectional LSTM (Graves & Schmidhuber 2005) whose directions can run side by side.

Each direction is one thread's work from its first token to its last. Two threads have nothing to
wait for in each other, as they would if they shared every product of a recurrence, which is too
small for that (benchmarks/train.py); and since no sum is cut in two, the bits are the same on
one thread and on two.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from tagger.packing import Packing


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
        self.dropout = dropout
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
        orders = (packing.forward, packing.backward)
        # Padding comes after the last token of a sentence, so nothing of the sentence sees it; and
        # sentences of one batch are of like length, so it costs less than oneDNN's kernel saves.
        longest, sentences = packing.shape
        zeros = states.new_zeros(longest * sentences, states.shape[1])
        inputs = [
            zeros.index_copy(0, packing.cells, states[order]).unflatten(0, packing.shape)
            for order in orders
        ]
        if not self.training:
            outputs = [lstm(x)[0] for lstm, x in zip(self.directions, inputs, strict=True)]
        else:
            groups = [
                (x, *self.weights(lstm)) for lstm, x in zip(self.directions, inputs, strict=True)
            ]
            if executor is None:
                outputs = list(map(_call, self.directions, groups))
            else:
                outputs = _SideBySide.apply(  # type: ignore[no-untyped-call]
                    executor, self.directions, *(tensor for group in groups for tensor in group)
                )
        packed = [output.flatten(0, 1)[packing.cells] for output in outputs]
        return torch.cat(
            [
                torch.empty_like(rows).index_copy_(0, order, rows)
                for order, rows in zip(orders, packed, strict=True)
            ],
            dim=1,
        )

    def weights(self, lstm: nn.Module) -> list[Tensor]:
        """A direction's parameters, for one batch: without the weights of the dropped values.

        What is dropped is dropped at every step (Gal & Ghahramani, NeurIPS 2016), and in every
        sentence of the batch, so that it can be left out of the weights. Drawn on the CPU, it is
        the same on every device.
        """
        parameters: dict[str, Tensor] = dict(lstm.named_parameters())
        if self.dropout:
            recurrent = parameters["weight_hh_l0"]  # [4 * hidden, hidden]
            kept = torch.rand(recurrent.shape[1]) >= self.dropout
            parameters["weight_hh_l0"] = recurrent * (kept.to(recurrent) / (1 - self.dropout))
        return list(parameters.values())


def _call(lstm: nn.Module, tensors: Sequence[Tensor]) -> Tensor:
    """The states that an LSTM makes of an input with some parameters: `tensors`, in that order."""
    names = (name for name, _ in lstm.named_parameters())
    output: Tensor = functional_call(lstm, dict(zip(names, tensors[1:], strict=True)), tensors[0])[
        0
    ]
    return output


class _SideBySide(torch.autograd.Function):
    """`_call` of several LSTMs, each on a thread of its own, forwards and backwards."""

    @staticmethod
    def forward(
        ctx: Any, executor: Executor, lstms: nn.ModuleList, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        size = len(tensors) // len(lstms)
        leaves = [tensor.detach().requires_grad_() for tensor in tensors]
        groups = [leaves[start : start + size] for start in range(0, len(leaves), size)]

        def call(lstm: nn.Module, group: list[Tensor]) -> Tensor:
            with torch.enable_grad():  # a thread's own setting, too
                return _call(lstm, group)

        outputs = list(executor.map(call, lstms, groups))
        ctx.executor, ctx.outputs, ctx.groups = executor, outputs, groups
        return tuple(output.detach() for output in outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.executor.map(torch.autograd.grad, ctx.outputs, ctx.groups, gradients)
        return None, None, *(gradient for group in found for gradient in group)
