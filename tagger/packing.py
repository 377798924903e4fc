"""Sentences packed: sorted by length, and taken token by token.

First come the first tokens of all sentences, the longest sentence first, then the second tokens of
those that have one, and so on. A recursion goes through it step by step, over fewer and fewer
rows, and nothing is computed on padding. Backwards, each sentence is taken from its own end: the
steps have as many rows as forwards. Where every step needs as many rows as the first, packed rows
are put into a grid of steps and sentences.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """How the tokens of some sentences, one sentence after another, are packed, and back.

    forward: the tokens in packed order, each sentence from its start, [tokens] int64
    backward: the same, each sentence from its end, [tokens] int64
    steps: the first row of each step, and the number of rows
    cells: where in a grid of steps and sentences, flattened, the packed tokens lie, [tokens] int64
    sentences: of each token, in the order of tokens, its sentence, [tokens] int64
    first, last: of each sentence, its first and its last token, [sentences] int64
    """

    forward: Tensor
    backward: Tensor
    steps: list[int]
    cells: Tensor
    sentences: Tensor
    first: Tensor
    last: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Of the grid: the number of steps, and of sentences."""
        return len(self.steps) - 1, len(self.first)

    @classmethod
    def of(cls, lengths: Tensor) -> "Packing":
        """The packing of sentences of some lengths ([sentences] int64, each at least 1)."""
        order = lengths.argsort(descending=True, stable=True)
        longest = int(lengths[order[0]])
        ends = lengths.cumsum(0)
        starts = (ends - lengths)[order]  # [sentences]
        steps = torch.arange(longest, device=lengths.device)[:, None]  # [longest, 1]
        mask = steps < lengths[order]  # [longest, sentences]
        forward = (starts + steps)[mask]
        backward = (ends[order] - 1 - steps)[mask]
        rows = [0, *mask.sum(1).cumsum(0).tolist()]
        return cls(
            forward=forward,
            backward=backward,
            steps=rows,
            cells=mask.flatten().nonzero()[:, 0],
            sentences=torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths),
            first=ends - lengths,
            last=ends - 1,
        )

    def to(self, device: torch.device) -> "Packing":
        """The same packing with its tensors on `device`."""
        tensors = {name: v.to(device) for name, v in vars(self).items() if name != "steps"}
        return Packing(steps=self.steps, **tensors)
