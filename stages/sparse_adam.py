"""Adam for the trained token vectors, of which a step touches few."""

from collections.abc import Iterable
from math import sqrt

import torch
from torch import nn

BETAS = (0.9, 0.999)  # the decay of the moments' estimates
EPSILON = 1e-8


class SparseAdam(torch.optim.Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) on the rows of a table that have a gradient, and no others.

    It computes what `torch.optim.SparseAdam` does, with other last bits. PyTorch takes the square
    root from MKL, which starts from the processor's approximation of 1 / √x (the instruction
    rsqrtps), even where MKL_CBWR is COMPATIBLE. Intel's and AMD's processors approximate it
    differently. `torch.rsqrt` and `torch.reciprocal` are not MKL's: they are made of the
    processor's square root and division, whose rounding IEEE 754 fixes.

    Args:
        parameters: tables, [rows, size], each of which has a sparse gradient at each step
        lr: the learning rate
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                gradient = table.grad.coalesce()
                rows, values = gradient.indices()[0], gradient.values()
                state = self.state[table]
                if not state:
                    state["step"] = 0
                    state["mean"] = torch.zeros_like(table)
                    state["square"] = torch.zeros_like(table)
                state["step"] += 1
                mean, square = state["mean"][rows], state["square"][rows]
                mean += (values - mean) * (1 - BETAS[0])
                square += (values * values - square) * (1 - BETAS[1])
                state["mean"][rows], state["square"][rows] = mean, square
                corrections = [1 - beta ** state["step"] for beta in BETAS]
                size = group["lr"] * sqrt(corrections[1]) / corrections[0]
                root = square.rsqrt().reciprocal()
                table[rows] -= size * mean / (root + EPSILON)
