"""A split of the corpus as tensors, stored flat, and its batches of sentences of like length."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

SPLITS = ("train", "validation", "test")
IGNORED = -1  # the tag id of padding


@dataclass(frozen=True)
class Split:
    """The sentences of a split, one after another.

    words: word ids, [tokens] int32
    tags: tag ids, [tokens] int32
    offsets: sentence i is tokens offsets[i] to offsets[i + 1], [sentences + 1] int64
    documents: the document that each sentence belongs to, [sentences] int32
    """

    words: Tensor
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

    def to(self, device: torch.device) -> "Split":
        """The same split with its tensors on `device`."""
        return Split(**{name: tensor.to(device) for name, tensor in vars(self).items()})

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.documents)

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each sentence, [sentences] int64."""
        return self.offsets.diff()

    def batch(self, sentences: Tensor, padding: int) -> "Batch":
        """Some sentences ([batch] int64), padded to the longest with `padding` and IGNORED."""
        lengths = self.lengths[sentences]
        steps = torch.arange(int(lengths.max()), device=lengths.device)
        mask = steps < lengths[:, None]  # [batch, longest]
        positions = (self.offsets[sentences][:, None] + steps)[mask]  # [tokens of the batch]
        words = self.words.new_full(mask.shape, padding).masked_scatter(mask, self.words[positions])
        tags = self.tags.new_full(mask.shape, IGNORED).masked_scatter(mask, self.tags[positions])
        return Batch(words, tags.long(), lengths, mask, positions)

    def sentences(self, tags: Tensor, names: Sequence[str]) -> list[list[str]]:
        """Tag ids of all tokens ([tokens]) as names, by sentence."""
        flat = [names[tag] for tag in tags.tolist()]
        offsets = self.offsets.tolist()
        return [flat[a:b] for a, b in pairwise(offsets)]


@dataclass(frozen=True)
class Batch:
    """Sentences of a split side by side.

    words: [batch, longest] int32, padded
    tags: [batch, longest] int64, padded with IGNORED
    lengths: [batch] int64
    mask: which positions are tokens, [batch, longest] bool
    positions: where in the split those tokens stand, in the order of the mask, [tokens] int64
    """

    words: Tensor
    tags: Tensor
    lengths: Tensor
    mask: Tensor
    positions: Tensor


def batches(lengths: Tensor, size: int, random: np.random.Generator | None = None) -> list[Tensor]:
    """Sentences cut into batches of like length, so that next to nothing is padding.

    Sentences are sorted by length; with `random`, those of one length are shuffled, so that they
    meet others each time, and then the batches.

    Returns:
        for each batch its sentences, [size] int64 (the longest batch may be smaller)
    """
    numbers = np.arange(len(lengths)) if random is None else random.permutation(len(lengths))
    numbers = numbers[np.argsort(lengths.numpy()[numbers], kind="stable")]
    cut = [torch.from_numpy(numbers[i : i + size]) for i in range(0, len(numbers), size)]
    if random is not None:
        random.shuffle(cut)
    return cut
