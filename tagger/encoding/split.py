"""A split of the corpus as tensors, stored flat, and its batches of sentences of like length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from tagger.encoding.layout import Packing


@dataclass(frozen=True)
class Split:
    """The sentences of a split, one after another, and the types (distinct tokens) they are of.

    types: the type of each token, a row of the next three, [tokens] int32
    words: the word id of each type, [types] int32
    forms: the form id of each type, [types] int32
    characters: the character ids of each type, padded, [types, longest] int32
    elsewhere: how each token is written elsewhere in its document, [tokens, ELSEWHERE] bool
    names: the name that each token mentions, alike within a document, 0 for none, [tokens] int32
    tags: tag ids, [tokens] int32
    offsets: sentence i is tokens offsets[i] to offsets[i + 1], [sentences + 1] int64
    documents: the document that each sentence belongs to, [sentences] int32
    """

    types: Tensor
    words: Tensor
    forms: Tensor
    characters: Tensor
    elsewhere: Tensor
    names: Tensor
    tags: Tensor
    offsets: Tensor
    documents: Tensor

    @classmethod
    def read(cls, path: Path) -> "Split":
        """The split in a safetensors file."""
        return cls(**load_file(path))

    def write(self, path: Path) -> None:
        """Write a safetensors file, without metadata: its order would differ from run to run."""
        path.write_bytes(save(vars(self)))

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.documents)

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each sentence, [sentences] int64."""
        return self.offsets.diff()

    def batch(self, sentences: Tensor, context: Tensor) -> "Batch":
        """Some sentences ([batch] int64) for the tagger, with the context of the split's tokens."""
        lengths = self.lengths[sentences]
        ends = lengths.cumsum(0)
        shift = self.offsets[sentences] - (ends - lengths)  # from the batch's tokens to the split's
        positions = torch.arange(int(ends[-1])) + shift.repeat_interleave(lengths)
        types, inverse = self.types[positions].unique(return_inverse=True)
        return Batch(
            positions=positions,
            types=inverse,
            words=self.words[types],
            forms=self.forms[types],
            characters=self.characters[types],
            context=context[positions],
            packing=Packing.of(lengths),
        )

    def sentences(self, tags: Tensor, names: Sequence[str]) -> list[list[str]]:
        """Tag ids of all tokens ([tokens]) as names, by sentence."""
        flat = [names[tag] for tag in tags.tolist()]
        return [flat[start:end] for start, end in pairwise(self.offsets.tolist())]


@dataclass(frozen=True)
class Batch:
    """Sentences of a split, one after another, and the types that occur in them.

    positions: where in the split the tokens stand, [tokens] int64
    types: the type of each token, a row of the next three, [tokens] int64
    words, forms, characters: of the batch's types, as in Split
    context: what their documents tell of its tokens, [tokens, size]
    packing: how the tokens are packed
    """

    positions: Tensor
    types: Tensor
    words: Tensor
    forms: Tensor
    characters: Tensor
    context: Tensor
    packing: Packing

    def to(self, device: torch.device) -> "Batch":
        """The same batch with what the layers read on `device`; the positions stay."""
        fields = vars(self).items()
        return replace(self, **{k: v.to(device) for k, v in fields if k != "positions"})


def batches(lengths: Tensor, size: int, random: np.random.Generator | None = None) -> list[Tensor]:
    """Sentences cut into batches of like length, so that few steps have few rows.

    Sentences are sorted by length; with `random`, those of one length are shuffled, so that they
    meet others each time, and then the batches.

    Returns:
        for each batch its sentences, [size] int64 (the batch of the longest may be smaller)
    """
    numbers = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    numbers = numbers[np.argsort(lengths.numpy()[numbers], kind="stable")]
    cut = [torch.from_numpy(numbers[i : i + size]) for i in range(0, len(numbers), size)]
    if random is not None:
        random.shuffle(cut)
    return cut
