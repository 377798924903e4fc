"""Tags of entities: what each scheme allows, the spans they mark, and how one is told from another.

A tag is `O` or a prefix and a type (`B-PER`). The schemes, after Ramshaw & Marcus (1995), Tjong
Kim Sang & Veenstra (1999) and Ratinov & Roth (2009):

* IOB1: `I-` marks a token of an entity; `B-` only the first of one that follows another of its type
* IOB2: `B-` marks the first token of every entity, `I-` the others
* BIOES: as IOB2, with `E-` for the last token of an entity and `S-` for the only one
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

PREFIXES = {"IOB2": "BI", "IOB1": "BI", "BIOES": "BIES"}  # by scheme
CONLL_TYPES = ("PER", "ORG", "LOC", "MISC")


class Span(NamedTuple):
    """An entity: its first token, the token after its last, and its type."""

    start: int
    end: int
    type: str


def parse(tag: str) -> tuple[str, str]:
    """The prefix and the type of a tag; `O` has no type.

    Raises:
        ValueError: `tag` is neither `O` nor a prefix of some scheme, a hyphen and a type.
    """
    prefix, _, type_ = tag.partition("-")
    if tag != "O" and (prefix not in ("B", "I", "E", "S") or type_ in ("", "O")):
        raise ValueError(f"{tag!r} is not a tag: expected O, or B-, I-, E- or S- and a type")
    return prefix, type_


def is_allowed(left: str, right: str, scheme: str) -> bool:
    """Whether `right` may follow `left`. The start and the end of a sentence count as `O`."""
    (left_prefix, left_type), (right_prefix, right_type) = parse(left), parse(right)
    if {left_prefix, right_prefix} - {"O", *PREFIXES[scheme]}:
        return False
    in_entity = left_prefix != "O" and left_type == right_type
    if scheme == "IOB1":
        return right_prefix != "B" or in_entity
    if scheme == "IOB2":
        return right_prefix != "I" or in_entity
    # BIOES: an entity that B- opened goes on, with its type, until its E-.
    is_open = left_prefix in ("B", "I")
    goes_on = right_prefix in ("I", "E")
    return is_open == goes_on and (not is_open or left_type == right_type)


def transitions(tags: Sequence[str]) -> Iterable[tuple[str, str]]:
    """The pairs of neighbours in a sentence's tags, its start and its end among them."""
    return pairwise(("O", *tags, "O"))


def detect_scheme(sentences: Iterable[Sequence[str]]) -> str | None:
    """The scheme that all the sentences' tags keep to, IOB2 where several do; None if none."""
    pairs = {pair for tags in sentences for pair in transitions(tags)}
    for scheme in PREFIXES:
        if all(is_allowed(left, right, scheme) for left, right in pairs):
            return scheme
    return None


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of a sentence, in any scheme, by the rules of the CoNLL scorer (conlleval).

    An entity starts where the type changes, at `B-` and `S-`, and after `E-` and `S-`; so an
    invalid sequence is repaired, never dropped.
    """
    found = []
    start = 0
    for i, (left, right) in enumerate(transitions(tags)):
        (left_prefix, left_type), (right_prefix, right_type) = parse(left), parse(right)
        is_boundary = (
            left_type != right_type or left_prefix in ("E", "S") or right_prefix in ("B", "S")
        )
        if is_boundary:
            if left_prefix != "O":
                found.append(Span(start, i, left_type))
            start = i
    return found


def to_iob2(tags: Sequence[str]) -> list[str]:
    """The same entities in IOB2."""
    result = ["O"] * len(tags)
    for start, end, type_ in spans(tags):
        result[start:end] = [f"B-{type_}"] + [f"I-{type_}"] * (end - start - 1)
    return result


def to_bioes(tags: Sequence[str]) -> list[str]:
    """The same entities in BIOES."""
    result = to_iob2(tags)
    for start, end, type_ in spans(tags):
        result[end - 1] = f"{'S' if end - start == 1 else 'E'}-{type_}"
    return result


def tag_set(types: Iterable[str], scheme: str = "IOB2") -> list[str]:
    """The tags of some types: CoNLL's in the order of the hub's data sets, others by name."""
    known = {type_: i for i, type_ in enumerate(CONLL_TYPES)}
    ordered = sorted(set(types), key=lambda type_: (known.get(type_, len(known)), type_))
    return ["O", *(f"{prefix}-{type_}" for type_ in ordered for prefix in PREFIXES[scheme])]


def types_of(tags: Iterable[str]) -> list[str]:
    """The types that occur in some tags, each once, in the order of their first tag."""
    return list(dict.fromkeys(parse(tag)[1] for tag in tags if tag != "O"))
