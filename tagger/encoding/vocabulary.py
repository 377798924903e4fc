"""Words and their ids: rows of the word vectors, then one for unknown words and one for padding."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

WORDS, VECTORS = "words.txt", "vectors.npy"  # in the folder of embeddings
TAGS, FORMS, CHARACTERS = "tags.txt", "forms.txt", "characters.txt"  # in the folder of the index


class Match(NamedTuple):
    """Where a token was found: its word id, and whether as it stands, in lower case, or not."""

    id: int
    how: str  # "exact", "lower" or "unknown"


class Vocabulary:
    """The words that have a vector, in the order of its rows."""

    def __init__(self, words: Sequence[str]) -> None:
        self.rows = {word: row for row, word in enumerate(words)}
        self.unknown = len(words)
        self.padding = len(words) + 1

    def look_up(self, token: str) -> Match:
        """The word id of a token: of the very token, else of it in lower case, else unknown.

        In vectors of lower-case words the first never finds a capital, so all tokens are
        lower-cased; in cased vectors `May` is not `may`.
        """
        if (row := self.rows.get(token)) is not None:
            return Match(row, "exact")
        if (row := self.rows.get(token.lower())) is not None:
            return Match(row, "lower")
        return Match(self.unknown, "unknown")


def read_vectors(embeddings: Path) -> np.ndarray:
    """The vectors by word id, [words + 2, dimension] float32: the words', their mean, zeros."""
    vectors = np.load(embeddings / VECTORS, mmap_mode="r")
    mean = vectors.mean(axis=0, dtype=np.float64, keepdims=True)
    table = np.empty((len(vectors) + 2, vectors.shape[1]), dtype=np.float32)
    table[:-2] = vectors
    table[-2] = mean
    table[-1] = 0
    return table


LONGEST = 24  # characters of a token that the tagger reads: of a longer one both ends


def characters(token: str, ids: Mapping[str, int]) -> list[int]:
    """The character ids of a token, padded with 0 to LONGEST; 1 is an unknown character's."""
    if len(token) > LONGEST:
        token = token[: LONGEST // 2] + token[-LONGEST // 2 :]
    found = [ids.get(character, 1) for character in token]
    return found + [0] * (LONGEST - len(found))
