"""A named-entity tagger: a bidirectional LSTM and a CRF over static word vectors.

The package holds what it takes to tag, and what training and scoring share with it: the network
with its loss, tags, and CoNLL files. `tagger.corpus` knows tags and CoNLL files, `tagger.encoding`
turns tokens into numbers, `tagger.model` turns those into scores and tags, `tagger.predict` puts
the three together, and `tagger.apply` tags texts:

    from tagger import Tagger

    tagger = Tagger.load("data/tagger")
    for document in tagger.tag(["Elena Price lives in Hill ."]):
        print(document.entities)
"""

from typing import Any

__all__ = ["Document", "Entity", "Tagger"]


def __getattr__(name: str) -> Any:
    """The classes above, imported when they are asked for: stages use parts that need less."""
    if name == "Tagger":
        from tagger.apply import Tagger

        return Tagger
    if name in ("Document", "Entity"):
        from tagger import document

        return getattr(document, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
