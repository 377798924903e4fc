"""A split of a corpus as arrays, and its batches of sentences of like length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from tagger.encoding.layout import Layout

# See `tagger.encoding.context.Context.features`
ContextFeatures = Callable[[np.ndarray, np.ndarray, Layout], np.ndarray]
TAGS = "tags.txt"  # beside the splits: the tag set whose ids are in their `tags`, a tag a line


@dataclass(frozen=True)
class Split:
    """The sentences of a split, one after another, and the token types (distinct tokens) in them.

    token_types: the token type of each token, a row of the next three fields, [tokens] int32
    words: the word id of each token type, [types] int32
    train_tokens: the id among train's tokens of each token type, 0 for none, [types] int32
    characters: the character ids of each token type, padded, [types, longest] int32
    casing_in_document: see `tagger.encoding.document`, [tokens, CASING_SIZE] bool
    mention_ids: see `tagger.encoding.document`, [tokens] int32
    offsets: sentence i has the tokens offsets[i] to offsets[i + 1], [sentences + 1] int64
    documents: the number of each sentence's document, [sentences] int32
    tags: the gold tag ids where they are known, [tokens] int32
    """

    token_types: np.ndarray
    words: np.ndarray
    train_tokens: np.ndarray
    characters: np.ndarray
    casing_in_document: np.ndarray
    mention_ids: np.ndarray
    offsets: np.ndarray
    documents: np.ndarray
    tags: np.ndarray | None = None

    @classmethod
    def read(cls, path: Path) -> "Split":
        """The split in a safetensors file."""
        return cls(**load_file(path))

    def write(self, path: Path) -> None:
        """Write a safetensors file, without metadata: its order would differ from run to run."""
        path.write_bytes(save({k: v for k, v in vars(self).items() if v is not None}))

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.documents)

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each sentence, [sentences] int64."""
        lengths: np.ndarray = self.offsets[1:] - self.offsets[:-1]
        return lengths

    def batch(
        self,
        sentences: np.ndarray,
        context: ContextFeatures | None,
    ) -> "Batch":
        """Some sentences as a batch for the tagger.

        Args:
            sentences: their numbers, [batch] int64
            context: gives the context features, see `tagger.encoding.context.Context.features`;
                without it a token has none
        """
        lengths = self.lengths[sentences]
        ends = lengths.cumsum()
        shift = self.offsets[sentences] - (ends - lengths)  # from the batch's tokens to the split's
        positions = np.arange(ends[-1]) + shift.repeat(lengths)
        token_types = self.token_types[positions]
        occurs = np.zeros(len(self.words), dtype=bool)
        occurs[token_types] = True
        types = occurs.nonzero()[0]
        token_types = (occurs.cumsum() - 1)[token_types]
        layout = Layout.of(lengths)
        none = np.empty((len(positions), 0), dtype=np.float32)
        return Batch(
            positions=positions,
            token_types=token_types,
            words=self.words[types],
            train_tokens=self.train_tokens[types],
            characters=self.characters[types],
            context=context(sentences, positions, layout) if context else none,
            layout=layout,
        )

    def by_sentence(self, tag_ids: np.ndarray, tags: Sequence[str]) -> list[list[str]]:
        """The tags of each sentence, from the tag ids of all tokens ([tokens])."""
        flat = [tags[id_] for id_ in tag_ids.tolist()]
        return [flat[start:end] for start, end in pairwise(self.offsets.tolist())]


@dataclass(frozen=True)
class Batch:
    """Sentences of a split, one after another, and the token types that occur in them.

    positions: the number of each token in the split, [tokens] int64
    token_types: the token type of each token, a row of the next three fields, [tokens] int64
    words, train_tokens, characters: of the batch's token types, as in Split
    context: the context features of each token, [tokens, size] float32
    layout: of the sentences
    """

    positions: np.ndarray
    token_types: np.ndarray
    words: np.ndarray
    train_tokens: np.ndarray
    characters: np.ndarray
    context: np.ndarray
    layout: Layout


def batches(
    lengths: np.ndarray, size: int, random: np.random.Generator | None = None
) -> list[np.ndarray]:
    """Sentences cut into batches of like length, so that little is padding.

    Sentences are sorted by length. With `random`, sentences of one length are shuffled first, so
    that they meet others in each epoch, and the batches are shuffled afterwards.

    Returns:
        the numbers of the sentences of each batch, [size] int64 (the last cut may be smaller)
    """
    numbers = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    numbers = numbers[np.argsort(lengths[numbers], kind="stable")]
    cut = [numbers[i : i + size] for i in range(0, len(numbers), size)]
    if random is not None:
        random.shuffle(cut)
    return cut


def cut_by_cells(lengths: np.ndarray, cells: int = 2048) -> list[np.ndarray]:
    """Sentences cut into batches of like length and of some size, for tagging.

    Args:
        lengths: of the sentences, [sentences]
        cells: the most cells of a batch's grid (see `tagger.encoding.layout`), but for a longer
            sentence, which is a batch of its own

    Returns:
        the numbers of the sentences of each batch, int64
    """
    numbers = np.argsort(lengths, kind="stable")
    cut = []
    while len(numbers):
        # The last sentence of a batch is its longest.
        sizes = lengths[numbers[:cells]] * np.arange(1, min(len(numbers), cells) + 1)
        count = max(1, int(np.searchsorted(sizes, cells, "right")))
        cut.append(numbers[:count])
        numbers = numbers[count:]
    return cut
