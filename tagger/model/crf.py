"""A linear-chain conditional random field over packed sentences: exact, batched, constrained.

Lafferty, McCallum & Pereira (ICML 2001). The loss comes from forward and backward variables, both
recursions in one batched product, as probabilities scaled to 1 at each step (Rabiner 1989) in
double precision. Its gradient, expected counts less those of the gold tags, is written out, so that
autograd has no loop to go through.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from tagger.corpus.tags import is_allowed
from tagger.encoding.layout import Packing


class _LogPartition(torch.autograd.Function):
    """The logarithm of the summed exponentials of all sequences' scores, summed over sentences."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: Tensor,
        transitions: Tensor,
        starts: Tensor,
        ends: Tensor,
        packing: Packing,
    ) -> Tensor:
        highest = emissions.max(dim=1, keepdim=True).values
        likelihoods = (emissions - highest).double().exp()  # [tokens, tags]
        moves = transitions.double().exp()
        directed = torch.stack((moves, moves.T))
        edges = torch.stack((starts, ends)).double().exp()[:, None]  # [2, 1, tags]
        packed = torch.stack((likelihoods[packing.forward], likelihoods[packing.backward]))
        # Of all sequences up to a token, and of all from it on: the share of each tag there.
        shares = torch.empty_like(packed)
        scales = packed.new_empty(2, len(likelihoods), 1)
        previous = slice(0, 0)
        for start, end in pairwise(packing.steps):
            now = slice(start, end)
            previous = slice(previous.start, previous.start + end - start)
            reached = torch.bmm(shares[:, previous], directed) if start else edges
            values = reached * packed[:, now]
            torch.sum(values, dim=2, keepdim=True, out=scales[:, now])
            torch.div(values, scales[:, now], out=shares[:, now])
            previous = now
        before = torch.empty_like(likelihoods).index_copy_(0, packing.forward, shares[0])
        after = torch.empty_like(likelihoods).index_copy_(0, packing.backward, shares[1])
        closing = (before[packing.last] * edges[1]).sum(dim=1)  # [sentences]
        total = scales[0].log().sum() + closing.log().sum() + highest.double().sum()

        # What both shares count once each, the token's own likelihood, must count once.
        marginals = before * after / likelihoods
        marginals /= marginals.sum(dim=1, keepdim=True)
        left = _followed(packing)
        weights = ((before[left] @ moves) * after[left + 1]).sum(dim=1, keepdim=True)
        pairs = moves * ((before[left] / weights).T @ after[left + 1])
        ctx.save_for_backward(
            marginals, pairs, marginals[packing.first].sum(0), marginals[packing.last].sum(0)
        )
        ctx.dtype = emissions.dtype
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *((gradient * count).to(ctx.dtype) for count in ctx.saved_tensors), None


def _followed(packing: Packing) -> Tensor:
    """The tokens that another of their sentence follows."""
    is_followed = torch.ones(len(packing.forward), dtype=torch.bool, device=packing.last.device)
    is_followed[packing.last] = False
    return is_followed.nonzero()[:, 0]


class CRF(nn.Module):
    """Scores tag sequences by transition; those that a scheme does not allow score -inf.

    Args:
        tags: the tag set
        scheme: what the sequences must keep to
    """

    allowed: Tensor
    allowed_starts: Tensor
    allowed_ends: Tensor

    def __init__(self, tags: Sequence[str], scheme: str) -> None:
        super().__init__()

        def score(left: str, right: str) -> float:
            return 0.0 if is_allowed(left, right, scheme) else -torch.inf

        constraints = {
            "allowed": [[score(left, right) for right in tags] for left in tags],
            "allowed_starts": [score("O", tag) for tag in tags],
            "allowed_ends": [score(tag, "O") for tag in tags],
        }
        for name, scores in constraints.items():
            self.register_buffer(name, torch.tensor(scores), persistent=False)
        self.transitions = nn.Parameter(torch.zeros(len(tags), len(tags)))
        self.starts = nn.Parameter(torch.zeros(len(tags)))
        self.ends = nn.Parameter(torch.zeros(len(tags)))

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the transition from tag i to j, [tags, tags]; of a first and of a last tag, [tags]."""
        return (
            self.transitions + self.allowed,
            self.starts + self.allowed_starts,
            self.ends + self.allowed_ends,
        )

    def loss(self, emissions: Tensor, tags: Tensor, packing: Packing) -> Tensor:
        """The negative log-likelihood of sentences' tags, summed; float64.

        Args:
            emissions: the score of each tag at each token, [tokens, tags]
            tags: the gold tag ids, [tokens] int64; each sentence's must be allowed
            packing: of the sentences
        """
        transitions, starts, ends = self.scores()
        partition: Tensor = _LogPartition.apply(  # type: ignore[no-untyped-call]
            emissions, transitions, starts, ends, packing
        )
        left = _followed(packing)
        score = emissions.gather(1, tags[:, None]).double().sum()
        score = score + transitions[tags[left], tags[left + 1]].double().sum()
        score = score + starts[tags[packing.first]].double().sum()
        score = score + ends[tags[packing.last]].double().sum()
        return partition - score

    @torch.no_grad()
    def decode(self, emissions: Tensor, packing: Packing) -> Tensor:
        """The allowed tag sequence of the highest score for each sentence (Viterbi 1967).

        Args:
            emissions: the score of each tag at each token, [tokens, tags]
            packing: of the sentences

        Returns:
            tag ids, [tokens] int64
        """
        transitions, starts, ends = self.scores()
        packed = emissions[packing.forward]
        score = packed.new_empty(0)
        pointers = []  # by step from the second: the best tag before each, [rows, tags]
        finals = []  # by step: the scores of the sentences that end there, [sentences, tags]
        for start, end in pairwise(packing.steps):
            if start:
                rows = end - start  # the first of those before: longer sentences come first
                finals.append(score[rows:])
                best, pointer = (score[:rows, :, None] + transitions).max(dim=1)
                pointers.append(pointer)
            else:
                best = starts
            score = best + packed[start:end]
        finals.append(score)
        path = torch.empty(len(packed), dtype=torch.int64, device=packed.device)
        tags = path[:0]
        for step in range(len(finals) - 1, -1, -1):
            if len(tags):
                tags = pointers[step].gather(1, tags[:, None])[:, 0]
            tags = torch.cat((tags, (finals[step] + ends).argmax(dim=1)))
            path[packing.steps[step] : packing.steps[step + 1]] = tags
        return torch.empty_like(path).index_copy_(0, packing.forward, path)
