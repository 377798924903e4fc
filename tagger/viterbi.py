"""The best sequence of tags among those that a scheme allows (Viterbi 1967)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tagger.tags import is_allowed


def constraints(tags: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Scores of IOB2 transitions, 0 if allowed and -inf if not: from tag i to j, start, end.

    Returns:
        transitions [tags, tags], starts [tags] and ends [tags], float32
    """

    def score(left: str, right: str) -> float:
        return 0.0 if is_allowed(left, right, "IOB2") else -torch.inf

    transitions = torch.tensor([[score(left, right) for right in tags] for left in tags])
    starts = torch.tensor([score("O", tag) for tag in tags])
    ends = torch.tensor([score(tag, "O") for tag in tags])
    return transitions, starts, ends


def decode(
    emissions: Tensor, lengths: Tensor, transitions: Tensor, starts: Tensor, ends: Tensor
) -> Tensor:
    """The best tag sequence of each sentence: the highest sum of its emissions and transitions.

    Args:
        emissions: [batch, longest, tags]; what stands after a sentence's length has no effect
        lengths: [batch] int64, each at least 1
        transitions: from tag i to tag j, [tags, tags]
        starts: of a sentence with each tag, [tags]
        ends: of a sentence with each tag, [tags]

    Returns:
        tag ids, [batch, longest] int64; those after a sentence's length mean nothing
    """
    batch, longest, tags = emissions.shape
    score = starts + emissions[:, 0]  # of the best sequence that ends in each tag, [batch, tags]
    stay = torch.arange(tags, device=emissions.device).expand(batch, tags)
    pointers = []  # for each step from the second: the best tag before each, [batch, tags]
    for step in range(1, longest):
        best, pointer = (score[:, :, None] + transitions).max(dim=1)
        is_token = (step < lengths)[:, None]
        score = torch.where(is_token, best + emissions[:, step], score)
        pointers.append(torch.where(is_token, pointer, stay))
    tag = (score + ends).argmax(dim=1)  # [batch]
    path = [tag]
    for pointer in reversed(pointers):
        tag = pointer.gather(1, tag[:, None])[:, 0]
        path.append(tag)
    return torch.stack(path[::-1], dim=1)
