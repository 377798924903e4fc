"""The optimizer of the token vectors is PyTorch's, but for the last bits."""

import torch
from torch import nn

from stages.sparse_adam import SparseAdam


def test_it_updates_as_pytorchs_does() -> None:
    torch.manual_seed(0)
    start = torch.randn(20, 3)
    tables = []
    for optimizer_class in (SparseAdam, torch.optim.SparseAdam):
        table = nn.Embedding.from_pretrained(start.clone(), freeze=False, sparse=True)
        optimizer = optimizer_class(table.parameters(), lr=0.1)
        generator = torch.Generator().manual_seed(1)
        for step in range(5):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            rows = torch.randint(12, (8,), generator=generator)  # some come more than once
            (table(rows) * torch.randn(8, 3, generator=generator)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        tables.append(table.weight.detach())
    torch.testing.assert_close(*tables)
    assert torch.equal(tables[0][12:], start[12:]), "rows without a gradient stay"
    assert not torch.isclose(tables[0][:12], start[:12]).all(dim=1).any()


def test_a_gradient_of_zero_moves_nothing() -> None:
    table = nn.Embedding(3, 2, sparse=True)
    before = table.weight.detach().clone()
    (table(torch.tensor([1])) * 0).sum().backward()
    SparseAdam(table.parameters(), lr=0.1).step()
    assert torch.equal(table.weight, before)
