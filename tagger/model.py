"""The tagger: a bidirectional LSTM over frozen word vectors, and log-softmax over the tags."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tagger.split import IGNORED, Batch, Split, batches
from tagger.stage import InputError
from tagger.viterbi import constraints, decode

CONFIG, WEIGHTS = "config.json", "weights.safetensors"  # in the folder of a model


class Tagger(nn.Module):
    """Tags the tokens of sentences with IOB2 tags.

    Args:
        vectors: by word id, [words + 2, dimension]; the last is padding's. They are not trained,
            nor stored with the weights.
        tags: the tag set, `O` first
        hidden: size of the LSTM's state in each direction
        layers: of the LSTM
        dropout: the probability that a value is dropped before each layer and before the tags
    """

    vectors: Tensor
    transitions: Tensor
    starts: Tensor
    ends: Tensor

    def __init__(
        self, vectors: Tensor, tags: Sequence[str], *, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.tags = list(tags)
        self.config = {"hidden": hidden, "layers": layers, "dropout": dropout}
        self.register_buffer("vectors", vectors, persistent=False)
        sizes = [vectors.shape[1]] + [2 * hidden] * layers
        # Layer by layer: the dropout between the layers of one nn.LSTM is cuDNN's own, with random
        # numbers that are not the seed's alone.
        self.lstms = nn.ModuleList(
            nn.LSTM(size, hidden, batch_first=True, bidirectional=True) for size in sizes[:-1]
        )
        self.output = nn.Linear(sizes[-1], len(self.tags))
        self.dropout = nn.Dropout(dropout)
        for name, scores in zip(("transitions", "starts", "ends"), constraints(tags), strict=True):
            self.register_buffer(name, scores, persistent=False)

    @property
    def padding(self) -> int:
        """The word id of padding."""
        return len(self.vectors) - 1

    def forward(self, batch: Batch) -> Tensor:
        """The log-probability of each tag, [batch, longest, tags]."""
        states = F.embedding(batch.words, self.vectors)  # [batch, longest, dimension]
        lengths = batch.lengths.cpu()
        for lstm in self.lstms:
            # Packed, the backward direction starts at each sentence's own end: a sentence's tags
            # do not depend on what it is batched with.
            packed = pack_padded_sequence(
                self.dropout(states), lengths, batch_first=True, enforce_sorted=False
            )
            states, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True)
        return F.log_softmax(self.output(self.dropout(states)), dim=-1)

    def loss(self, emissions: Tensor, tags: Tensor) -> Tensor:
        """The negative log-likelihood of the tags ([batch, longest]), the mean over tokens."""
        return F.nll_loss(emissions.flatten(0, 1), tags.flatten(), ignore_index=IGNORED)

    @torch.no_grad()
    def tag(self, split: Split, batch_size: int = 128) -> tuple[Tensor, float]:
        """The tags of a split's tokens by masked Viterbi, and the mean loss of the gold ones.

        Returns:
            tag ids in the split's order, [tokens] int64 on the CPU; the loss over all tokens
        """
        self.eval()
        tags = torch.empty_like(split.tags, dtype=torch.int64)
        total = 0.0
        for sentences in batches(split.lengths.cpu(), batch_size):
            batch = split.batch(sentences.to(split.words.device), self.padding)
            emissions = self(batch)
            path = decode(emissions, batch.lengths, self.transitions, self.starts, self.ends)
            tags[batch.positions] = path[batch.mask]
            total += self.loss(emissions, batch.tags).item() * len(batch.positions)
        return tags.cpu(), total / len(tags)

    def save(self, folder: Path) -> None:
        """Write the weights, and the configuration that rebuilds the model, to a new folder."""
        folder.mkdir()
        words, dimension = self.vectors.shape
        config = self.config | {
            "tags": self.tags,
            "vectors": {"words": words - 2, "dimension": dimension},
        }
        text = json.dumps(config, indent=2, sort_keys=True)
        (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")
        (folder / WEIGHTS).write_bytes(save(self.state_dict()))

    @classmethod
    def load(cls, folder: Path, vectors: Tensor) -> "Tagger":
        """The model in a folder, on the CPU, with the word vectors that it was trained with.

        Raises:
            InputError: the vectors have another shape than those that it was trained with.
        """
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        expected = config.pop("vectors")
        words, dimension = vectors.shape
        if (words - 2, dimension) != (expected["words"], expected["dimension"]):
            raise InputError(
                f"{folder / CONFIG}: the model was trained with {expected['words']} vectors of "
                f"{expected['dimension']} dimensions, not {words - 2} of {dimension}; "
                "train it anew"
            )
        tagger = cls(vectors, config.pop("tags"), **config)
        tagger.load_state_dict(load_file(folder / WEIGHTS))
        return tagger
