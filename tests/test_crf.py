"""The CRF against enumeration of every tag sequence: loss and gradient."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tagger.corpus.tags import is_allowed, tag_set, transitions
from tagger.encoding.layout import Layout
from tagger.model.crf import CRF

lengths_of_sentences = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def sequences(tags: list[str], scheme: str, length: int) -> list[tuple[int, ...]]:
    """The tag ids of all sequences that the scheme allows."""
    return [
        ids
        for ids in itertools.product(range(len(tags)), repeat=length)
        if all(
            is_allowed(left, right, scheme) for left, right in transitions([tags[i] for i in ids])
        )
    ]


def score(crf: CRF, emissions: Tensor, ids: tuple[int, ...]) -> Tensor:
    total = crf.starts[ids[0]] + crf.ends[ids[-1]]
    for position, tag in enumerate(ids):
        total = total + emissions[position, tag]
    for left, right in itertools.pairwise(ids):
        total = total + crf.transitions[left, right]
    return total


@settings(max_examples=40)
@given(
    lengths_of_sentences,
    st.sampled_from(["IOB2", "BIOES"]),
    st.sampled_from([1.0, 30.0]),
    st.integers(0, 2**31),
)
def test_loss_and_gradient_are_those_of_enumeration(
    lengths: list[int], scheme: str, spread: float, seed: int
) -> None:
    torch.manual_seed(seed)
    tags = tag_set(["A", "B"] if scheme == "IOB2" else ["A"], scheme)
    crf = CRF(tags, scheme).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    emissions = torch.randn(sum(lengths), len(tags), dtype=torch.double) * spread
    emissions.requires_grad_()
    gold: list[int] = []
    losses = []
    for some in emissions.split(lengths):
        allowed = sequences(tags, scheme, len(some))
        scores = torch.stack([score(crf, some, ids) for ids in allowed])
        chosen = int(torch.randint(len(allowed), ()))
        gold += allowed[chosen]
        losses.append(scores.logsumexp(0) - scores[chosen])
    layout = Layout.of(np.array(lengths))
    expected = torch.stack(losses).sum()
    loss = crf.loss(emissions, torch.tensor(gold), layout)
    torch.testing.assert_close(loss, expected)
    leaves = (emissions, *crf.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(loss, leaves, materialize_grads=True),
        torch.autograd.grad(expected, leaves, materialize_grads=True),
        atol=1e-9,
        rtol=1e-7,
    )


def test_a_sentence_of_certain_tags_neither_overflows_nor_underflows() -> None:
    crf = CRF(tag_set(["A"], "BIOES"), "BIOES")
    emissions = torch.full((200, 5), -300.0)
    emissions[:, 0] = 300.0
    emissions.requires_grad_()
    layout = Layout.of(np.array([150, 50]))
    loss = crf.loss(emissions, torch.zeros(200, dtype=torch.int64), layout)
    (gradient,) = torch.autograd.grad(loss, emissions)
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() < 1e-6
