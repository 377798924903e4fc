"""The tagger: a bidirectional LSTM over word vectors, characters and casing, and a CRF.

After Lample et al. (NAACL 2016) and Ma & Hovy (ACL 2016). With everything but the word vectors
switched off it is the classroom's: an LSTM and log-softmax over the tags.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from tagger.crf import CRF
from tagger.split import Batch, Split, batches
from tagger.stage import InputError
from tagger.vocabulary import CASINGS, ELSEWHERE

CONFIG, WEIGHTS = "config.json", "weights.safetensors"  # in the folder of a model

CHARACTER_SIZE = 30  # of a character's embedding
CASING_SIZE = 8  # of a casing's embedding
KERNEL = 3  # characters that a filter spans


class Tagger(nn.Module):
    """Gives every token of some sentences a tag.

    Args:
        vectors: of words by word id, [words + 2, dimension]; neither trained nor stored
        tags: the tag set
        scheme: of the tags, which no sequence breaks
        forms: how many tokens have a trained vector, added to their word's, which starts at zero;
            0 for none
        characters: how many characters are known, 0 for no convolution over characters (Santos &
            Zadrozny, ICML 2014)
        filters: of that convolution
        casing: whether the casing of a token is an input
        document: whether how a token is written elsewhere in its document is an input
        crf: whether transitions are learned and sequences trained as a whole, or each token alone
        hidden: size of the LSTM's state in each direction
        layers: of the LSTM
        dropout: the probability that a value is dropped before each layer and before the tags
    """

    vectors: Tensor

    def __init__(
        self,
        vectors: Tensor,
        *,
        tags: Sequence[str],
        scheme: str,
        forms: int,
        characters: int,
        filters: int,
        casing: bool,
        document: bool,
        crf: bool,
        hidden: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "tags": list(tags),
            "scheme": scheme,
            "forms": forms,
            "characters": characters,
            "filters": filters,
            "casing": casing,
            "document": document,
            "crf": crf,
            "hidden": hidden,
            "layers": layers,
            "dropout": dropout,
        }
        self.register_buffer("vectors", vectors, persistent=False)
        size = vectors.shape[1]
        self.forms = self.characters = self.casings = None
        if forms:
            # Sparse: of some 20,000 a batch has a few hundred, and the others need no update.
            self.forms = nn.Embedding(forms + 1, size, sparse=True)
            nn.init.zeros_(self.forms.weight)
        if characters:
            self.characters = nn.Embedding(characters + 2, CHARACTER_SIZE, padding_idx=0)
            self.filters = nn.Conv1d(CHARACTER_SIZE, filters, KERNEL, padding=KERNEL // 2)
            size += filters
        if casing:
            self.casings = nn.Embedding(CASINGS, CASING_SIZE)
            size += CASING_SIZE
        if document:
            size += ELSEWHERE
        sizes = [size] + [2 * hidden] * layers
        # Layer by layer: the dropout between the layers of one nn.LSTM is cuDNN's own, with random
        # numbers that are not the seed's alone.
        self.lstms = nn.ModuleList(nn.LSTM(n, hidden, bidirectional=True) for n in sizes[:-1])
        self.output = nn.Linear(sizes[-1], len(tags))
        self.crf = CRF(tags, scheme).requires_grad_(crf)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Batch) -> Tensor:
        """The score of each tag at each token of a batch, [tokens, tags]."""
        # By type, since most types of a batch come more than once: [types, size]
        types = F.embedding(batch.words, self.vectors)
        if self.forms is not None:
            types = types + self.forms(batch.forms)
        parts = [types]
        if self.characters is not None:
            is_padding = (batch.characters == 0)[:, None]
            # [types, character size, longest] to [types, filters, longest]
            filtered = self.filters(self.characters(batch.characters).transpose(1, 2))
            # The largest of the token's own characters, however wide the padding
            parts.append(filtered.masked_fill(is_padding, -torch.inf).amax(dim=2))
        if self.casings is not None:
            parts.append(self.casings(batch.casings))
        states = F.embedding(batch.types, torch.cat(parts, dim=1))  # [tokens, size]
        if self.config["document"]:
            states = torch.cat((states, batch.elsewhere.to(states.dtype)), dim=1)
        order = batch.packing.forward
        for lstm in self.lstms:
            packed = self.dropout(states).index_select(0, order)
            packed = lstm(PackedSequence(packed, batch.packing.batch_sizes))[0].data
            states = torch.empty_like(packed).index_copy(0, order, packed)
        emissions: Tensor = self.output(self.dropout(states))
        return emissions

    def loss(self, emissions: Tensor, tags: Tensor, batch: Batch) -> Tensor:
        """The negative log-likelihood of gold tag ids ([tokens] int64), the mean over tokens."""
        if self.config["crf"]:
            return self.crf.loss(emissions, tags, batch.packing) / len(tags)
        return F.cross_entropy(emissions, tags)

    @torch.no_grad()
    def tag(
        self, split: Split, gold: Tensor | None = None, batch_size: int = 128
    ) -> tuple[Tensor, float]:
        """The best allowed tags of a split's tokens, and the mean loss of the gold ones.

        Args:
            split: the sentences
            gold: ids of the tagger's own tags, [tokens] int64; without, the loss is 0
            batch_size: sentences at a time; it does not change the tags

        Returns:
            tag ids in the split's order, [tokens] int64 on the CPU; the loss over all tokens
        """
        self.eval()
        device = self.vectors.device
        tags = torch.empty(len(split.types), dtype=torch.int64)
        total = 0.0
        for sentences in batches(split.lengths, batch_size):
            batch = split.batch(sentences).to(device)
            emissions = self(batch)
            positions = batch.positions.cpu()
            tags[positions] = self.crf.decode(emissions, batch.packing).cpu()
            if gold is not None:
                loss = self.loss(emissions, gold[positions].to(device), batch)
                total += loss.item() * len(positions)
        return tags, total / len(tags)

    def save(self, folder: Path) -> None:
        """Write the weights, and the configuration that rebuilds the model, to a new folder."""
        folder.mkdir()
        words, dimension = self.vectors.shape
        config = self.config | {"vectors": {"words": words - 2, "dimension": dimension}}
        text = json.dumps(config, indent=2, sort_keys=True)
        (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")
        (folder / WEIGHTS).write_bytes(save(self.state_dict()))

    @property
    def tags(self) -> list[str]:
        """The tag set, in the tagger's own scheme."""
        tags: list[str] = self.config["tags"]
        return tags

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
        tagger = cls(vectors, **config)
        tagger.load_state_dict(load_file(folder / WEIGHTS))
        return tagger
