"""A bidirectional LSTM (Graves & Schmidhuber 2005) whose directions can run side by side.

Each direction is one thread's work from its first token to its last. Two threads have nothing to
wait for in each other, as they would if they shared every product of a recurrence, which is too
small for that (benchmarks/train.py); and since no sum is cut in two, the bits are the same on
one thread and on two.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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
    """

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
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
        if executor is None:
            outputs = [lstm(x)[0] for lstm, x in zip(self.directions, inputs, strict=True)]
        else:
            outputs = _SideBySide.apply(  # type: ignore[no-untyped-call]
                executor, self.directions, *inputs, *self.parameters()
            )
        packed = [output.flatten(0, 1)[packing.cells] for output in outputs]
        return torch.cat(
            [
                torch.empty_like(rows).index_copy(0, order, rows)
                for order, rows in zip(orders, packed, strict=True)
            ],
            dim=1,
        )


class _SideBySide(torch.autograd.Function):
    """Modules, each called with its own input on a thread of its own, and backwards as well."""

    @staticmethod
    def forward(
        ctx: Any, executor: Executor, modules: nn.ModuleList, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        inputs = [tensor.detach().requires_grad_() for tensor in tensors[: len(modules)]]

        def call(module: nn.Module, tensor: Tensor) -> Tensor:
            with torch.enable_grad():  # a thread's own setting, too
                output: Tensor = module(tensor)[0]
            return output

        outputs = list(executor.map(call, modules, inputs))
        ctx.executor = executor
        ctx.graphs = [
            (output, (tensor, *module.parameters()))
            for output, tensor, module in zip(outputs, inputs, modules, strict=True)
        ]
        return tuple(output.detach() for output in outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def differentiate(
            graph: tuple[Tensor, tuple[Tensor, ...]], gradient: Tensor
        ) -> tuple[Tensor, ...]:
            return torch.autograd.grad(*graph, gradient)

        found = list(ctx.executor.map(differentiate, ctx.graphs, gradients))
        of_inputs = (some[0] for some in found)
        of_parameters = (gradient for some in found for gradient in some[1:])
        return None, None, *of_inputs, *of_parameters
