"""The errors that a tagger makes with entities, paired and sorted into kinds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tagger.corpus.tags import Span, spans

KINDS = ("missed", "spurious", "wrong type", "wrong boundary", "wrong both")


class Error(NamedTuple):
    """A gold entity, a predicted one, or a pair of both that overlap but differ."""

    kind: str
    gold: Span | None
    predicted: Span | None


def find_errors(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Error]:
    """Find the errors of a sentence, from left to right.

    An entity is correct if it is both gold and predicted, with the same tokens and type. Of the
    others, each gold entity is paired with at most one predicted entity that shares a token with
    it: first those with the same boundaries ("wrong type"), then those of the same type ("wrong
    boundary"), then the rest ("wrong both"). If there are several candidates, the one that shares
    the most tokens is taken, then the leftmost. A gold entity without a partner is "missed", a
    predicted one "spurious". So every entity that is not correct is in exactly one error.
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
    """Count the errors of each kind in all sentences, by kind with underscores (`wrong_type`)."""
    counts = Counter(
        error.kind
        for expected, found in zip(gold, predicted, strict=True)
        for error in find_errors(spans(expected), spans(found))
    )
    return {kind.replace(" ", "_"): counts[kind] for kind in KINDS}
