"""What is wrong with the entities that a tagger found, by kind, so that errors can be counted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tagger.corpus.tags import Span, spans

KINDS = ("missed", "spurious", "wrong type", "wrong boundary", "wrong both")


class Error(NamedTuple):
    """A gold entity, a predicted one, or one of each that were meant for each other, not alike."""

    kind: str
    gold: Span | None
    predicted: Span | None


def find_errors(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Error]:
    """The errors of a sentence, from left to right.

    An entity that is in both, of the same tokens and type, is correct. Of the others, each gold one
    is paired with at most one predicted one that shares a token with it: first where the boundaries
    agree ("wrong type"), then where the type does ("wrong boundary"), then the rest ("wrong both");
    among several the one that shares the most tokens, then the leftmost. A gold one that is left is
    "missed", a predicted one "spurious". So every entity that is not correct is in one error.
    """
    expected, found = set(gold), set(predicted)
    missed, spurious = expected - found, found - expected
    pairs = []
    for g in missed:
        for p in spurious:
            shared = min(g.end, p.end) - max(g.start, p.start)
            if shared > 0:
                kind = (
                    "wrong type" if g[:2] == p[:2]
                    else "wrong boundary" if g.type == p.type
                    else "wrong both"
                )  # fmt: skip
                pairs.append((KINDS.index(kind), -shared, g, p))
    errors = []
    for kind_, _, g, p in sorted(pairs):
        if g in missed and p in spurious:
            missed.remove(g)
            spurious.remove(p)
            errors.append(Error(KINDS[kind_], g, p))
    errors += [Error("missed", g, None) for g in missed]
    errors += [Error("spurious", None, p) for p in spurious]
    return sorted(errors, key=lambda error: (error.gold or error.predicted, error.kind))


def count_errors(
    gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]
) -> dict[str, int]:
    """How many errors of each kind (`wrong_type` and so on) predicted tags of sentences have."""
    counts = Counter(
        error.kind
        for expected, found in zip(gold, predicted, strict=True)
        for error in find_errors(spans(expected), spans(found))
    )
    return {kind.replace(" ", "_"): counts[kind] for kind in KINDS}
