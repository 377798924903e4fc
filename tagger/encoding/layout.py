"""How the sentences of a batch are laid out in a grid, for a recursion that goes step by step.

A row of the grid is a step, a column a sentence. There are two grids: in the forward one the first
step has the first token of each sentence, in the backward one the last. The sentences of a batch
are of like length (see `tagger.encoding.split.batches`), so little of a grid is padding: 1 % in
training on conllpp. Padding comes after the end of a sentence, so no cell of the sentence depends
on it; what is computed in it is not read.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """Where the tokens of some sentences, one sentence after another, stand in the two grids.

    tokens: the token in each cell of the forward and of the backward grid; the cells after the end
        of a sentence repeat its last token there, [2, steps, sentences] int64
    cells: the cell of each token in the flattened forward and backward grid, [2, tokens] int64
    sentences: the sentence of each token, [tokens] int64
    first, last: the first and the last token of each sentence, [sentences] int64
    followed: the tokens that are not the last of their sentence, [tokens - sentences] int64
    """

    tokens: np.ndarray
    cells: np.ndarray
    sentences: np.ndarray
    first: np.ndarray
    last: np.ndarray
    followed: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Layout":
        """The layout of sentences of some lengths ([sentences] int64, each at least 1)."""
        last = lengths.cumsum() - 1
        first = last + 1 - lengths
        steps = np.minimum(np.arange(lengths.max())[:, None], lengths - 1)
        sentences = np.arange(len(lengths)).repeat(lengths)
        before = np.arange(len(sentences)) - first[sentences]  # tokens before each in a sentence
        after = last[sentences] - np.arange(len(sentences))
        return cls(
            tokens=np.stack((first + steps, last - steps)),
            cells=np.stack((before, after)) * len(lengths) + sentences,
            sentences=sentences,
            first=first,
            last=last,
            followed=after.nonzero()[0],
        )
