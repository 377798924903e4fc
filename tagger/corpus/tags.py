"""Tags of tokens in named-entity recognition: their schemes, and the entities that they mark.

A tag is `O`, outside of any entity, or a prefix and an entity type (`B-PER`). The schemes, after
Ramshaw & Marcus (1995), Tjong Kim Sang & Veenstra (1999) and Ratinov & Roth (2009):

* IOB1: `I-` marks the tokens of an entity, and `B-` only the first token of an entity that directly
  follows another one of the same type
* IOB2: `B-` marks the first token of every entity, `I-` the others
* BIOES: as IOB2, with `E-` for the last token of an entity and `S-` for the only one
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

PREFIXES = {"IOB2": "BI", "IOB1": "BI", "BIOES": "BIES"}  # of each scheme
CONLL_ENTITY_TYPES = ("PER", "ORG", "LOC", "MISC")


class Span(NamedTuple):
    """An entity in a sentence: its tokens are those from `start` to before `end`."""

    start: int
    end: int
    type: str


@lru_cache(4096)
def parse(tag: str) -> tuple[str, str]:
    """The prefix and the entity type of a tag; the type of `O` is the empty string.

    Raises:
        ValueError: `tag` is neither `O` nor a prefix of some scheme, a hyphen and an entity type.
    """
    prefix, _, type_ = tag.partition("-")
    if tag != "O" and (prefix not in ("B", "I", "E", "S") or type_ in ("", "O")):
        raise ValueError(f"{tag!r} is not a tag: expected O, or B-, I-, E- or S- and a type")
    return prefix, type_


def is_tag(text: str) -> bool:
    """Whether a text is a tag of some scheme, see `parse`."""
    try:
        return bool(parse(text))
    except ValueError:
        return False


def names_of_tags(metadata: Mapping[bytes, bytes] | None, column: str) -> list[str] | None:
    """The names of a column's numbered tags, if `datasets` wrote the table (as a ClassLabel).

    Args:
        metadata: of the table's schema in parquet or Arrow
        column: the one with the tags of each sentence

    Raises:
        ValueError: the metadata is damaged.
    """
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        feature = features.get("info", {}).get("features", {}).get(column, {})
        if isinstance(feature, list):
            (feature,) = feature
        names: list[str] | None = feature.get("feature", feature).get("names")
    except (AttributeError, RecursionError) as error:
        raise ValueError(f"the metadata of `datasets` is damaged: {error}") from error
    return names


def is_allowed(left: str, right: str, scheme: str) -> bool:
    """Whether the tag `right` may follow the tag `left` in a scheme.

    `O` stands for the start and for the end of a sentence.
    """
    (left_prefix, left_type), (right_prefix, right_type) = parse(left), parse(right)
    if {left_prefix, right_prefix} - {"O", *PREFIXES[scheme]}:
        return False
    in_entity = left_prefix != "O" and left_type == right_type
    if scheme == "IOB1":
        return right_prefix != "B" or in_entity
    if scheme == "IOB2":
        return right_prefix != "I" or in_entity
    # BIOES: an entity that starts with B- continues, with the same type, up to its E-.
    is_unfinished = left_prefix in ("B", "I")
    continues = right_prefix in ("I", "E")
    return is_unfinished == continues and (not is_unfinished or left_type == right_type)


def transitions(tags: Sequence[str]) -> Iterable[tuple[str, str]]:
    """The pairs of neighbouring tags in a sentence, with `O` before and after it."""
    return pairwise(("O", *tags, "O"))


def count_invalid_transitions(sentences: Iterable[Sequence[str]]) -> dict[str, int]:
    """How many pairs of neighbouring tags each scheme does not allow, with the sentences' ends."""
    pairs = Counter(pair for tags in sentences for pair in transitions(tags))
    return {
        scheme: sum(n for (left, right), n in pairs.items() if not is_allowed(left, right, scheme))
        for scheme in PREFIXES
    }


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities that tags in any scheme mark, by the rules of the CoNLL scorer (conlleval).

    An entity starts where the type changes, at `B-` and `S-`, and after `E-` and `S-`. So also an
    invalid sequence gives entities: `O I-PER` gives the same as `O B-PER`.
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
    """The tags in IOB2 that mark the same entities (see `spans`)."""
    return iob2(spans(tags), len(tags))


def iob2(entities: Iterable[Span], length: int) -> list[str]:
    """The tags in IOB2 of a sentence of some length that has these entities."""
    result = ["O"] * length
    for start, end, type_ in entities:
        result[start:end] = [f"B-{type_}"] + [f"I-{type_}"] * (end - start - 1)
    return result


def tag_set(entity_types: Iterable[str], scheme: str = "IOB2") -> list[str]:
    """All tags of some entity types in a scheme, `O` first.

    PER, ORG, LOC and MISC come first, in the order of the CoNLL data sets on the Hugging Face Hub;
    the other types follow by name.
    """
    rank = {entity_type: i for i, entity_type in enumerate(CONLL_ENTITY_TYPES)}
    ordered = sorted(set(entity_types), key=lambda name: (rank.get(name, len(rank)), name))
    return ["O", *(f"{prefix}-{name}" for name in ordered for prefix in PREFIXES[scheme])]


def types_of(tags: Iterable[str]) -> list[str]:
    """The entity types that occur in some tags, each once, in the order of their first tag."""
    return list(dict.fromkeys(parse(tag)[1] for tag in tags if tag != "O"))
