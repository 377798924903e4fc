"""A linear-chain conditional random field: exact, batched, with constraints on the tag sequences.

Lafferty, McCallum & Pereira (ICML 2001). The loss comes from the forward and the backward variables
alpha and beta. Both recursions run in one batched product, as probabilities that are scaled to sum
to 1 at each step (Rabiner 1989), in double precision. The gradient, expected counts less those of
the gold tags, is written out, so that autograd has no loop to go through. It is exact as long as no
score of a tag is more than 700 below the highest of its token: e^-745 is 0 in double precision.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tagger.encoding.layout import Layout
from tagger.model.constraints import MANY_TAGS, Blocks, allowed_transitions


class _AllPairs:
    """Products with the factors of all transitions, exp(score) of tag i before tag j.

    Args:
        transitions: the scores, [tags, tags]
    """

    def __init__(self, transitions: Tensor) -> None:
        self.factors = transitions.double().exp()
        self.both = torch.stack((self.factors, self.factors.T))  # forwards and backwards

    def step(self, messages: Tensor) -> Tensor:
        """Both recursions' next messages, [2, sentences, tags], from those before."""
        return torch.bmm(messages, self.both)

    def forwards(self, alpha: Tensor) -> Tensor:
        """The sum over the tags before each tag, [rows, tags]."""
        return alpha @ self.factors

    def counts(self, alpha: Tensor, beta: Tensor) -> Tensor:
        """The sum over rows of alpha of tag i times beta of tag j, times the factor: [i, j]."""
        return self.factors * (alpha.T @ beta)


class _AllowedPairs:
    """The same as `_AllPairs`, but what is not allowed is not computed.

    Args:
        transitions: the scores, [tags, tags]
        blocks: of the tag set
    """

    def __init__(self, transitions: Tensor, blocks: Blocks) -> None:
        self.closed, self.open, self.left, self.right = map(
            torch.from_numpy, (blocks.closed, blocks.open, blocks.left, blocks.right)
        )
        self.block = transitions[self.closed[:, None], self.open].double().exp()
        self.pairs = transitions[self.left, self.right].double().exp()

    def step(self, messages: Tensor) -> Tensor:
        return torch.stack((self.forwards(messages[0]), self._backwards(messages[1])))

    def forwards(self, alpha: Tensor) -> Tensor:
        reached = torch.zeros_like(alpha)
        reached.index_copy_(1, self.open, alpha.index_select(1, self.closed) @ self.block)
        return reached.index_add_(1, self.right, alpha.index_select(1, self.left) * self.pairs)

    def _backwards(self, beta: Tensor) -> Tensor:
        reached = torch.zeros_like(beta)
        reached.index_copy_(1, self.closed, beta.index_select(1, self.open) @ self.block.T)
        return reached.index_add_(1, self.left, beta.index_select(1, self.right) * self.pairs)

    def counts(self, alpha: Tensor, beta: Tensor) -> Tensor:
        found = alpha.new_zeros(alpha.shape[1], beta.shape[1])
        in_block = alpha.index_select(1, self.closed).T @ beta.index_select(1, self.open)
        found[self.closed[:, None], self.open] = self.block * in_block
        in_pairs = (alpha.index_select(1, self.left) * beta.index_select(1, self.right)).sum(dim=0)
        found[self.left, self.right] = self.pairs * in_pairs
        return found


class _LogPartition(torch.autograd.Function):
    """The logarithm of the partition function, summed over sentences; a float64 scalar."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        starts: Tensor,
        ends: Tensor,
        layout: Layout,
        blocks: Blocks | None,
    ) -> Tensor:
        highest = emissions.max(dim=1, keepdim=True).values
        likelihoods = (emissions - highest).double().exp()  # [tokens, tags]
        products = _AllowedPairs(transitions, blocks) if blocks else _AllPairs(transitions)
        edges = torch.stack((starts, ends)).double().exp()[:, None]  # [2, 1, tags]
        observed = likelihoods[torch.from_numpy(layout.tokens)]  # [2, steps, sentences, tags]
        messages = torch.empty_like(observed)
        scales = observed.new_empty(*observed.shape[:3], 1)
        for step in range(observed.shape[1]):
            reached = products.step(messages[:, step - 1]) if step else edges
            values = reached * observed[:, step]
            torch.sum(values, dim=2, keepdim=True, out=scales[:, step])
            torch.div(values, scales[:, step], out=messages[:, step])
        # [tokens, tags]: of all sequences up to a token, and of all from it on, the share of those
        # that have each tag there
        alpha, beta = (
            message.flatten(0, 1)[cells]
            for message, cells in zip(messages, torch.from_numpy(layout.cells), strict=True)
        )
        first, last, left = map(torch.from_numpy, (layout.first, layout.last, layout.followed))
        closing = (alpha[last] * edges[1]).sum(dim=1)  # [sentences]
        scaled = _log(scales[0].flatten()[torch.from_numpy(layout.cells[0])]).sum()
        total: Tensor = scaled + _log(closing).sum() + highest.double().sum()

        # Alpha and beta both count the token's own likelihood, which must count once.
        marginals = alpha * beta / likelihoods
        marginals /= marginals.sum(dim=1, keepdim=True)
        weights = (products.forwards(alpha[left]) * beta[left + 1]).sum(dim=1, keepdim=True)
        pairs = products.counts(alpha[left] / weights, beta[left + 1])
        ctx.save_for_backward(marginals, pairs, marginals[first].sum(0), marginals[last].sum(0))
        ctx.dtype = emissions.dtype
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *((gradient * count).to(ctx.dtype) for count in ctx.saved_tensors), None, None


def _log(values: Tensor) -> Tensor:
    """The natural logarithm, by operations whose rounding IEEE 754 fixes.

    `torch.log` in double precision is MKL's. It starts from the processor's approximation of 1 / x
    (the instruction rcpps), even where MKL_CBWR is COMPATIBLE, and Intel's and AMD's processors
    approximate it differently. `torch.xlogy(1, x)`, which is 1 · log(x), takes Sleef's logarithm.
    """
    return torch.xlogy(1.0, values)


class CRF(nn.Module):
    """Scores tag sequences by their transitions. What the scheme does not allow scores -inf.

    Args:
        tags: the tag set
        scheme: the scheme that sequences must keep to, see `tagger.corpus.tags`
    """

    allowed: Tensor
    allowed_starts: Tensor
    allowed_ends: Tensor

    def __init__(self, tags: Sequence[str], scheme: str) -> None:
        super().__init__()

        allowed = allowed_transitions(tags, scheme)
        self.blocks = Blocks.of(tags, scheme) if len(tags) > MANY_TAGS else None
        outside = tags.index("O")
        constraints = {
            "allowed": allowed,
            "allowed_starts": allowed[outside],
            "allowed_ends": allowed[:, outside],
        }
        for name, is_allowed in constraints.items():
            scores = torch.from_numpy(np.where(is_allowed, np.float32(0), np.float32(-np.inf)))
            self.register_buffer(name, scores, persistent=False)
        self.transitions = nn.Parameter(torch.zeros(len(tags), len(tags)))
        self.starts = nn.Parameter(torch.zeros(len(tags)))
        self.ends = nn.Parameter(torch.zeros(len(tags)))

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """The scores with the constraints in them.

        Returns:
            of the transition from tag i to tag j, [tags, tags]; of a first tag and of a last tag,
            [tags] each
        """
        return (
            self.transitions + self.allowed,
            self.starts + self.allowed_starts,
            self.ends + self.allowed_ends,
        )

    def loss(self, emissions: Tensor, tags: Tensor, layout: Layout) -> Tensor:
        """The negative log-likelihood of the tags, summed over sentences; a float64 scalar.

        Args:
            emissions: the score of each tag at each token, [tokens, tags]
            tags: the gold tag ids, [tokens] int64; those of each sentence must be allowed
            layout: of the sentences
        """
        transitions, starts, ends = self.scores()
        partition: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
            emissions, transitions, starts, ends, layout, self.blocks
        )
        first, last, left = map(torch.from_numpy, (layout.first, layout.last, layout.followed))
        score = emissions.gather(1, tags[:, None]).double().sum()
        score = score + transitions[tags[left], tags[left + 1]].double().sum()
        score = score + starts[tags[first]].double().sum()
        score = score + ends[tags[last]].double().sum()
        return partition - score
