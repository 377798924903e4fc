"""The tagger: a bidirectional LSTM over word vectors, characters and documents, and a CRF.

After Lample et al. (NAACL 2016) and Ma & Hovy (ACL 2016). docs/model.md has the formulas. With all
but the word vectors switched off it is a classroom's model: an LSTM and log-softmax over the tags.
"""

from concurrent.futures import Executor

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tagger.encoding.context import context_size
from tagger.encoding.layout import Layout
from tagger.encoding.split import Batch
from tagger.encoding.vocabulary import FIRST, PADDING
from tagger.model.configuration import TaggerConfiguration
from tagger.model.crf import CRF
from tagger.model.lstm import BiLSTM

CHARACTER_SIZE = 30  # the size of a character's vector
KERNEL = 3  # the number of characters that a filter spans


class BiLSTMCRF(nn.Module):
    """Scores the tags of the tokens of some sentences.

    Args:
        vectors: by word id, [words + 2, dimension]; they are neither trained nor stored
        configuration: what the tagger is made of
    """

    vectors: Tensor

    def __init__(self, vectors: Tensor, configuration: TaggerConfiguration) -> None:
        super().__init__()
        self.configuration = configuration
        self.register_buffer("vectors", vectors, persistent=False)
        size = vectors.shape[1]
        self.train_tokens = self.characters = None
        if configuration.train_token_count:
            # Sparse: a batch has a few hundred of some 20,000 tokens, the others need no update.
            self.train_tokens = nn.Embedding(configuration.train_token_count + 1, size, sparse=True)
            nn.init.zeros_(self.train_tokens.weight)
        if configuration.character_count:
            self.characters = nn.Embedding(configuration.character_count + FIRST, CHARACTER_SIZE)
            self.filters = nn.Linear(KERNEL * CHARACTER_SIZE, configuration.filters)
            size += configuration.filters
        if configuration.document:
            size += context_size(vectors.shape[1])
        sizes = [size] + [2 * configuration.hidden] * configuration.layers
        self.lstms = nn.ModuleList(
            BiLSTM(n, configuration.hidden, configuration.recurrent_dropout) for n in sizes[:-1]
        )
        self.output = nn.Linear(sizes[-1], len(configuration.tags))
        self.crf = CRF(configuration.tags, configuration.scheme).requires_grad_(configuration.crf)

    def to_device(self, device: torch.device) -> "BiLSTMCRF":
        """Move the model to a device, all but the CRF.

        The CRF stays on the CPU: its recursion is many small steps, which start sooner there.
        """
        self.to(device)
        self.crf.cpu()
        return self

    def dense_parameters(self) -> list[nn.Parameter]:
        """The trained parameters whose gradient is dense."""
        sparse = set(map(id, self.sparse_parameters()))
        return [p for p in self.parameters() if p.requires_grad and id(p) not in sparse]

    def sparse_parameters(self) -> list[nn.Parameter]:
        """The trained parameters whose gradient is sparse: the trained vectors of tokens."""
        return [] if self.train_tokens is None else list(self.train_tokens.parameters())

    def forward(self, batch: Batch, executor: Executor | None = None) -> Tensor:
        """The emissions: the score of each tag at each token, [tokens, tags], on the CRF's device.

        An executor of `configure_threads` trains the directions of the LSTM side by side.
        """
        words, train_tokens, characters, token_types, context = (
            torch.from_numpy(array).to(self.vectors.device)
            for array in (
                batch.words, batch.train_tokens, batch.characters, batch.token_types, batch.context,
            )
        )  # fmt: skip
        # By token type, since most of them come more than once in a batch: [types, size]
        types = F.embedding(words, self.vectors)
        if self.train_tokens is not None:
            types = types + self.train_tokens(train_tokens)
        parts = [types]
        if self.characters is not None:
            parts.append(self.character_features(characters))
        states = F.embedding(token_types, torch.cat(parts, dim=1))  # [tokens, size]
        if self.configuration.document:
            states = torch.cat((states, context), dim=1)
        for lstm in self.lstms:
            states = lstm(self.drop(states, batch.layout), batch.layout, executor)
        emissions: Tensor = self.output(self.drop(states, batch.layout))
        return emissions.to(self.crf.transitions.device)

    @torch.no_grad()
    def score(self, batch: Batch) -> np.ndarray:
        """The emissions of a model that is not in training, [tokens, tags] float32."""
        emissions: np.ndarray = self(batch).numpy()
        return emissions

    def character_features(self, characters: Tensor) -> Tensor:
        """A convolution over the characters of each token type, and the maximum of each filter.

        Args:
            characters: character ids, padded, [types, longest]; padding is not read

        Returns:
            [types, filters]
        """
        assert self.characters is not None
        is_character = characters != PADDING
        # Each character of each type with its neighbours, PADDING for none: [characters, KERNEL]
        windows = F.pad(characters, (KERNEL // 2, KERNEL // 2), value=PADDING).unfold(1, KERNEL, 1)
        windows = windows[is_character]
        # The value of a filter at a window is a sum over the window's places, of products that
        # depend on the character there alone. So known characters are multiplied, not windows.
        weights = self.filters.weight.unflatten(1, (KERNEL, CHARACTER_SIZE))
        products = torch.einsum("ce,fke->kcf", self.characters.weight, weights)
        rows = windows + len(products[0]) * torch.arange(KERNEL, device=windows.device)
        # [characters, filters]
        filtered = F.embedding_bag(rows, products.flatten(0, 1), mode="sum")
        lengths = is_character.sum(dim=1)
        largest = torch.segment_reduce(filtered, "max", lengths=lengths, unsafe=True)
        return largest + self.filters.bias

    def drop(self, states: Tensor, layout: Layout) -> Tensor:
        """The states ([tokens, size]) after dropout, which is applied in training alone.

        A value is dropped from every token of a sentence (Gal & Ghahramani, NeurIPS 2016). The mask
        is drawn on the CPU, so it is the same on every device.
        """
        dropout = self.configuration.dropout
        if not self.training or dropout == 0:
            return states
        kept = torch.rand(len(layout.first), states.shape[1]) >= dropout
        mask: Tensor = kept.to(states) / (1 - dropout)  # [sentences, size]
        return states * mask.index_select(0, torch.from_numpy(layout.sentences).to(states.device))

    def loss(self, emissions: Tensor, tags: Tensor, layout: Layout) -> Tensor:
        """The negative log-likelihood of gold tag ids ([tokens] int64), the mean over tokens."""
        if self.configuration.crf:
            return self.crf.loss(emissions, tags, layout) / len(tags)
        return F.cross_entropy(emissions, tags)
