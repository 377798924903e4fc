"""Words and their ids: the rows of the word vectors, then an unknown word's, then padding's.

Word vectors are a folder with `words.txt`, a word a line, and `vectors.npy`, their vectors,
[words, dimension] float32.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

WORDS, VECTORS = "words.txt", "vectors.npy"


class Match(NamedTuple):
    """A token's word id, and how it was found: "exact", "lower" (in lower case) or "unknown"."""

    id: int
    how: str


class Vocabulary:
    """The words that have a vector, in the order of its rows."""

    def __init__(self, words: Sequence[str]) -> None:
        self.rows = {word: row for row, word in enumerate(words)}
        self.unknown = len(words)
        self.padding = len(words) + 1

    def look_up(self, token: str) -> Match:
        """The word id of the token as it stands, else of the token in lower case, else unknown.

        Vectors of lower-case words never match a capital, so with them every token is lower-cased.
        With cased vectors `May` is not `may`.
        """
        if (row := self.rows.get(token)) is not None:
            return Match(row, "exact")
        if (row := self.rows.get(token.lower())) is not None:
            return Match(row, "lower")
        return Match(self.unknown, "unknown")


def read_vectors(embeddings: Path) -> np.ndarray:
    """The vectors by word id, [words + 2, dimension] float32.

    After those of the words come that of an unknown word, the mean of all, and that of padding,
    zeros, which no model reads: the ids are those of the notebook that this project grew from.
    """
    vectors = np.load(embeddings / VECTORS, mmap_mode="r")
    mean = vectors.mean(axis=0, dtype=np.float64, keepdims=True)
    table = np.empty((len(vectors) + 2, vectors.shape[1]), dtype=np.float32)
    table[:-2] = vectors
    table[-2] = mean
    table[-1] = 0
    return table


LONGEST = 24  # The number of characters of a token that the tagger reads.
PADDING, UNKNOWN, FIRST = 0, 1, 2  # character ids: the first known character has FIRST


def character_ids(tokens: Sequence[str], ids: Mapping[str, int]) -> np.ndarray:
    """The ids of the characters of tokens, padded to LONGEST. Of a longer token both ends are read.

    Args:
        tokens: none of them empty
        ids: by character; the others are UNKNOWN

    Returns:
        [tokens, LONGEST] int32
    """
    read = [t if len(t) <= LONGEST else t[: LONGEST // 2] + t[-LONGEST // 2 :] for t in tokens]
    is_character = np.arange(LONGEST) < np.array([len(token) for token in read])[:, None]
    table = np.full(is_character.shape, PADDING, dtype=np.int32)
    table[is_character] = [ids.get(character, UNKNOWN) for character in "".join(read)]
    return table
