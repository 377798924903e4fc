"""A linear-chain conditional random field: exact, batched, with constraints on the tag sequences.

Lafferty, McCallum & Pereira (ICML 2001). The loss comes from the forward and the backward variables
alpha and beta. Both recursions run in one batched product, as probabilities that are scaled to sum
to 1 at each step (Rabiner 1989), in double precision. The gradient, expected counts less those of
the gold tags, is written out, so that autograd has no loop to go through. It is exact as long as no
score of a tag is more than 700 below the highest of its token: e^-745 is 0 in double precision.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tagger.corpus.tags import is_allowed
from tagger.encoding.layout import Layout


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
    ) -> Tensor:
        highest = emissions.max(dim=1, keepdim=True).values
        likelihoods = (emissions - highest).double().exp()  # [tokens, tags]
        factors = transitions.double().exp()  # [tags, tags]
        both = torch.stack((factors, factors.T))  # forwards and backwards
        edges = torch.stack((starts, ends)).double().exp()[:, None]  # [2, 1, tags]
        observed = likelihoods[torch.from_numpy(layout.tokens)]  # [2, steps, sentences, tags]
        messages = torch.empty_like(observed)
        scales = observed.new_empty(*observed.shape[:3], 1)
        for step in range(observed.shape[1]):
            reached = torch.bmm(messages[:, step - 1], both) if step else edges
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
        weights = ((alpha[left] @ factors) * beta[left + 1]).sum(dim=1, keepdim=True)
        pairs = factors * ((alpha[left] / weights).T @ beta[left + 1])
        ctx.save_for_backward(marginals, pairs, marginals[first].sum(0), marginals[last].sum(0))
        ctx.dtype = emissions.dtype
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return *((gradient * count).to(ctx.dtype) for count in ctx.saved_tensors), None


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
            emissions, transitions, starts, ends, layout
        )
        first, last, left = map(torch.from_numpy, (layout.first, layout.last, layout.followed))
        score = emissions.gather(1, tags[:, None]).double().sum()
        score = score + transitions[tags[left], tags[left + 1]].double().sum()
        score = score + starts[tags[first]].double().sum()
        score = score + ends[tags[last]].double().sum()
        return partition - score
