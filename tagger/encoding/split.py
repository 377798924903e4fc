"""A split of a corpus as tensors, and its batches of sentences of like length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from tagger.encoding.layout import Layout

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

    token_types: Tensor
    words: Tensor
    train_tokens: Tensor
    characters: Tensor
    casing_in_document: Tensor
    mention_ids: Tensor
    offsets: Tensor
    documents: Tensor
    tags: Tensor | None = None

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
    def lengths(self) -> Tensor:
        """The number of tokens of each sentence, [sentences] int64."""
        return self.offsets.diff()

    def batch(self, sentences: Tensor, context: Tensor) -> "Batch":
        """Some sentences as a batch for the tagger.

        Args:
            sentences: their numbers, [batch] int64
            context: the context features of all tokens of the split, [tokens, size]
        """
        lengths = self.lengths[sentences]
        ends = lengths.cumsum(0)
        shift = self.offsets[sentences] - (ends - lengths)  # from the batch's tokens to the split's
        positions = torch.arange(int(ends[-1])) + shift.repeat_interleave(lengths)
        types, token_types = self.token_types[positions].unique(return_inverse=True)
        return Batch(
            positions=positions,
            token_types=token_types,
            words=self.words[types],
            train_tokens=self.train_tokens[types],
            characters=self.characters[types],
            context=context[positions],
            layout=Layout.of(lengths),
        )

    def by_sentence(self, tag_ids: Tensor, tags: Sequence[str]) -> list[list[str]]:
        """The tags of each sentence, from the tag ids of all tokens ([tokens])."""
        flat = [tags[id_] for id_ in tag_ids.tolist()]
        return [flat[start:end] for start, end in pairwise(self.offsets.tolist())]


@dataclass(frozen=True)
class Batch:
    """Sentences of a split, one after another, and the token types that occur in them.

    positions: the number of each token in the split, [tokens] int64
    token_types: the token type of each token, a row of the next three fields, [tokens] int64
    words, train_tokens, characters: of the batch's token types, as in Split
    context: the context features of each token, [tokens, size]
    layout: of the sentences
    """

    positions: Tensor
    token_types: Tensor
    words: Tensor
    train_tokens: Tensor
    characters: Tensor
    context: Tensor
    layout: Layout

    def to(self, device: torch.device) -> "Batch":
        """The same batch with the tokens' tensors on `device`. Positions and layout stay."""
        names = ("token_types", "words", "train_tokens", "characters", "context")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def batches(lengths: Tensor, size: int, random: np.random.Generator | None = None) -> list[Tensor]:
    """Sentences cut into batches of like length, so that little is padding.

    Sentences are sorted by length. With `random`, sentences of one length are shuffled first, so
    that they meet others in each epoch, and the batches are shuffled afterwards.

    Returns:
        the numbers of the sentences of each batch, [size] int64 (the last cut may be smaller)
    """
    numbers = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    numbers = numbers[np.argsort(lengths.numpy()[numbers], kind="stable")]
    cut = [torch.from_numpy(numbers[i : i + size]) for i in range(0, len(numbers), size)]
    if random is not None:
        random.shuffle(cut)
    return cut
