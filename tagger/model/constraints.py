"""Which tag may follow which: what a conditional random field need not compute.

With many entity types most pairs of tags are not allowed: `I-X` follows only `B-X` and `I-X`. What
is allowed is a block, in which each of some tags may be followed by each of some others, and a few
pairs for each type. In BIOES the block has a quarter of all pairs, and in IOB2 a half.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagger.corpus.tags import is_allowed, parse

# With more tags, products over the block and the pairs take less time than products over all pairs
# of tags. With fewer they would take more.
MANY_TAGS = 128


def allowed_transitions(tags: Sequence[str], scheme: str) -> np.ndarray:
    """Whether each tag may be followed by each, [tags, tags] bool, see `is_allowed`."""
    prefixes, types = zip(*map(parse, tags), strict=True)
    kinds = sorted(set(prefixes))

    def tag(prefix: str, type_: str) -> str:
        return "O" if prefix == "O" else f"{prefix}-{type_}"

    # Of two tags by the number of their prefixes, of different types and of the same one
    table = np.array(
        [
            [[is_allowed(tag(p, "A"), tag(q, type_), scheme) for q in kinds] for p in kinds]
            for type_ in ("B", "A")
        ]
    )
    numbers = np.array([kinds.index(prefix) for prefix in prefixes])
    ids = {type_: id_ for id_, type_ in enumerate(types)}
    of_type = np.array([ids[type_] for type_ in types])
    is_same = (of_type[:, None] == of_type).astype(np.int8)
    allowed: np.ndarray = table[is_same, numbers[:, None], numbers]
    return allowed


@dataclass(frozen=True)
class Blocks:
    """The allowed transitions as a block and pairs, each transition once.

    closed, open: each tag of `closed`, after which no entity has to go on, may be followed by each
        of `open`, which continues none: tag ids, in order
    left, right: the other transitions, tag ids, in the order of `right`
    """

    closed: np.ndarray
    open: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, tags: Sequence[str], scheme: str) -> "Blocks":
        """The allowed transitions of a tag set with `O`, in IOB2 or BIOES."""
        allowed = allowed_transitions(tags, scheme)
        outside = tags.index("O")
        closed, open_ = np.flatnonzero(allowed[:, outside]), np.flatnonzero(allowed[outside])
        block = np.ix_(closed, open_)
        assert allowed[block].all()
        allowed[block] = False
        right, left = allowed.T.nonzero()
        return cls(closed, open_, left, right)

    def reversed(self) -> "Blocks":
        """The same transitions from right to left."""
        order = self.left.argsort(kind="stable")
        return Blocks(self.open, self.closed, self.right[order], self.left[order])

    @property
    def groups(self) -> tuple[np.ndarray, np.ndarray]:
        """The tags that occur in `right`, and where each occurs first."""
        tags, starts = np.unique(self.right, return_index=True)
        return tags, starts
