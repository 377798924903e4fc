"""The tagger: a bidirectional LSTM over word vectors, characters and documents, and a CRF.

After Lample et al. (NAACL 2016) and Ma & Hovy (ACL 2016). With everything but the word vectors
switched off it is the classroom's: an LSTM and log-softmax over the tags.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from tagger.encoding.document import context, size_of_context
from tagger.encoding.layout import Packing
from tagger.encoding.split import Batch, Split, batches
from tagger.files import InputError
from tagger.model.crf import CRF
from tagger.model.lstm import BiLSTM

CONFIG, WEIGHTS = "config.json", "weights.safetensors"  # in the folder of a model

CHARACTER_SIZE = 30  # of a character's embedding
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
        document: whether what its document tells of a token is an input
        crf: whether transitions are learned and sequences trained as a whole, or each token alone
        hidden: size of the LSTM's state in each direction
        layers: of the LSTM
        dropout: the probability that a value is dropped before each layer and before the tags
        recurrent_dropout: the same between the steps of the LSTM
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
        document: bool,
        crf: bool,
        hidden: int,
        layers: int,
        dropout: float,
        recurrent_dropout: float,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "tags": list(tags),
            "scheme": scheme,
            "forms": forms,
            "characters": characters,
            "filters": filters,
            "document": document,
            "crf": crf,
            "hidden": hidden,
            "layers": layers,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
        }
        self.register_buffer("vectors", vectors, persistent=False)
        size = vectors.shape[1]
        self.forms = self.characters = None
        if forms:
            # Sparse: of some 20,000 a batch has a few hundred, and the others need no update.
            self.forms = nn.Embedding(forms + 1, size, sparse=True)
            nn.init.zeros_(self.forms.weight)
        if characters:
            # 0 is what stands beyond both ends of a token, 1 an unknown character.
            self.characters = nn.Embedding(characters + 2, CHARACTER_SIZE)
            self.filters = nn.Linear(KERNEL * CHARACTER_SIZE, filters)
            size += filters
        if document:
            size += size_of_context(vectors.shape[1])
        sizes = [size] + [2 * hidden] * layers
        self.lstms = nn.ModuleList(BiLSTM(n, hidden, recurrent_dropout) for n in sizes[:-1])
        self.output = nn.Linear(sizes[-1], len(tags))
        self.crf = CRF(tags, scheme).requires_grad_(crf)

    def forward(self, batch: Batch, executor: Executor | None = None) -> Tensor:
        """The score of each tag at each token of a batch, [tokens, tags], where the CRF is.

        An executor of `workers` trains the directions of the LSTM side by side.
        """
        # By type, since most types of a batch come more than once: [types, size]
        types = F.embedding(batch.words, self.vectors)
        if self.forms is not None:
            types = types + self.forms(batch.forms)
        parts = [types]
        if self.characters is not None:
            parts.append(self.read_characters(batch))
        states = F.embedding(batch.types, torch.cat(parts, dim=1))  # [tokens, size]
        if self.config["document"]:
            states = torch.cat((states, batch.context), dim=1)
        for lstm in self.lstms:
            states = lstm(self.drop(states, batch), batch.packing, executor)
        emissions: Tensor = self.output(self.drop(states, batch))
        return emissions.to(self.crf.transitions.device)

    def read_characters(self, batch: Batch) -> Tensor:
        """A convolution over the characters of each type, and the largest value of each filter.

        Its padding is not read. Returns [types, filters].
        """
        assert self.characters is not None
        is_character = batch.characters > 0
        # Each character of each type with its neighbours, 0 for none: [characters, KERNEL]
        windows = F.pad(batch.characters, (KERNEL // 2, KERNEL // 2)).unfold(1, KERNEL, 1)
        windows = windows[is_character]
        # What a filter makes of a window is a sum over its places, of products that depend on
        # the character there alone: few characters are multiplied, not many windows.
        weights = self.filters.weight.unflatten(1, (KERNEL, CHARACTER_SIZE))
        products = torch.einsum("ce,fke->kcf", self.characters.weight, weights)
        rows = windows + len(products[0]) * torch.arange(KERNEL, device=windows.device)
        # [characters, filters]
        filtered = F.embedding_bag(rows, products.flatten(0, 1), mode="sum")
        lengths = is_character.sum(dim=1)
        largest = torch.segment_reduce(filtered, "max", lengths=lengths, unsafe=True)
        return largest + self.filters.bias

    def drop(self, states: Tensor, batch: Batch) -> Tensor:
        """In training, the states ([tokens, size]) without those that are dropped at random.

        What is dropped is dropped from every token of a sentence (Gal & Ghahramani, NeurIPS 2016).
        Drawn on the CPU, it is the same on every device.
        """
        dropout = self.config["dropout"]
        if not self.training or dropout == 0:
            return states
        kept = torch.rand(len(batch.packing.first), states.shape[1]) >= dropout
        scale: Tensor = kept.to(states) / (1 - dropout)
        return states * scale.index_select(0, batch.packing.sentences)

    def context(self, split: Split) -> Tensor:
        """What the documents of a split tell of its tokens, if that is an input; on the CPU."""
        if self.config["document"]:
            return context(split, self.vectors.cpu())
        return torch.empty(len(split.types), 0)

    def loss(self, emissions: Tensor, tags: Tensor, packing: Packing) -> Tensor:
        """The negative log-likelihood of gold tag ids ([tokens] int64), the mean over tokens."""
        if self.config["crf"]:
            return self.crf.loss(emissions, tags, packing) / len(tags)
        return F.cross_entropy(emissions, tags)

    def tag(
        self,
        split: Split,
        gold: Tensor | None = None,
        batch_size: int = 64,
        executor: Executor | None = None,
    ) -> tuple[Tensor, float]:
        """The best allowed tags of a split's tokens, and the mean loss of the gold ones.

        Args:
            split: the sentences
            gold: ids of the tagger's own tags, [tokens] int64; without, the loss is 0
            batch_size: sentences at a time; it does not change the tags
            executor: of `workers`, to tag several batches at a time

        Returns:
            tag ids in the split's order, [tokens] int64 on the CPU; the loss over all tokens
        """
        self.eval()
        device = self.vectors.device
        tags = torch.empty(len(split.types), dtype=torch.int64)
        of_tokens = self.context(split)

        @torch.no_grad()  # here, since it is a thread's own setting
        def tag(sentences: Tensor) -> float:
            batch = split.batch(sentences, of_tokens).to(device)
            emissions = self(batch)
            tags[batch.positions] = self.crf.decode(emissions, batch.packing)
            if gold is None:
                return 0.0
            loss = self.loss(emissions, gold[batch.positions], batch.packing)
            return loss.item() * len(batch.positions)

        every = map if executor is None else executor.map
        return tags, sum(every(tag, batches(split.lengths, batch_size))) / len(tags)

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
