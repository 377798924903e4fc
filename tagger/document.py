"""Documents and the entities in them: what goes into a tagger, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entity:
    """A named entity in the text of a document.

    Attributes:
        start: its first character, counted in Unicode code points from the start of the text
        end: the character after its last one
        label: its type, such as PER
        score: the calibrated probability that exactly this entity is there, from 0 to 1
        text: the document's `text[start:end]`
    """

    start: int
    end: int
    label: str
    score: float
    text: str


@dataclass(frozen=True)
class Document:
    """A text, and what is known about it.

    Attributes:
        text: the text as it was read, to the character
        id: that of its JSON line; else the name of its file, and the number of its line where a
            file may hold several documents
        fields: what else its JSON line held; it is kept in the output
        sentences: by sentence the start and the end of each token in the text, in code points, in
            the order of the text; they do not overlap. None where it has not been split yet
        entities: in the order of the text; they do not overlap
        error: why it could not be tagged; None if it could
    """

    text: str
    id: str | int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    sentences: Sequence[Sequence[tuple[int, int]]] | None = None
    entities: Sequence[Entity] = ()
    error: str | None = None
