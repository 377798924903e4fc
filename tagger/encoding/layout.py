"""Sentences packed: sorted by length, and taken token by token.

First come the first tokens of all sentences, the longest sentence first, then the second tokens of
those that have one, and so on. A recursion goes through it step by step, over fewer and fewer
rows, and nothing is computed on padding. Backwards, each sentence is taken from its own end: the
steps have as many rows as forwards. Where every step needs as many rows as the first, tokens are
put into a grid of steps and sentences instead.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """How the tokens of some sentences, one sentence after another, are packed, and back.

    forward: the tokens in packed order, each sentence from its start, [tokens] int64
    backward: the same, each sentence from its end, [tokens] int64
    steps: the first row of each step, and the number of rows
    grids: the token in each cell of a grid of steps and sentences, of sentences taken from their
        start and from their end; after the last comes the last again, [2, steps, sentences] int64
    cells: of each token, in the order of tokens, its cell of either grid, flattened,
        [2, tokens] int64
    sentences: of each token, in the order of tokens, its sentence, [tokens] int64
    first, last: of each sentence, its first and its last token, [sentences] int64
    """

    forward: Tensor
    backward: Tensor
    steps: list[int]
    grids: Tensor
    cells: Tensor
    sentences: Tensor
    first: Tensor
    last: Tensor

    @classmethod
    def of(cls, lengths: Tensor) -> "Packing":
        """The packing of sentences of some lengths ([sentences] int64, each at least 1)."""
        order = lengths.argsort(descending=True, stable=True)
        ends = lengths.cumsum(0)
        steps = torch.arange(int(lengths[order[0]]))[:, None]  # [longest, 1]
        mask = steps < lengths[order]  # [longest, sentences]
        steps = steps.minimum(lengths[order] - 1)
        grids = torch.stack(((ends - lengths)[order] + steps, ends[order] - 1 - steps))
        packed = grids[:, mask]  # [2, tokens]
        places = mask.flatten().nonzero()[:, 0]
        return cls(
            forward=packed[0],
            backward=packed[1],
            steps=[0, *mask.sum(1).cumsum(0).tolist()],
            grids=grids,
            cells=torch.empty_like(packed).scatter_(1, packed, places.expand(2, -1)),
            sentences=torch.arange(len(lengths)).repeat_interleave(lengths),
            first=ends - lengths,
            last=ends - 1,
        )

    def to(self, device: torch.device) -> "Packing":
        """The same packing with what the LSTM reads on `device`; the CRF's steps stay."""
        moved = {name: getattr(self, name).to(device) for name in ("grids", "cells", "sentences")}
        return replace(self, **moved)
