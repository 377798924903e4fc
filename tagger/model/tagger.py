"""The tagger: a bidirectional LSTM over word vectors, characters and documents, and a CRF.

After Lample et al. (NAACL 2016) and Ma & Hovy (ACL 2016). docs/model.md has the formulas. With all
but the word vectors switched off it is a classroom's model: an LSTM and log-softmax over the tags.
"""

from concurrent.futures import Executor

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tagger.encoding.layout import Layout
from tagger.encoding.split import Batch, Split, batches
from tagger.encoding.vocabulary import FIRST, PADDING
from tagger.model.configuration import TaggerConfiguration
from tagger.model.context import context_features, context_size
from tagger.model.crf import CRF
from tagger.model.lstm import BiLSTM
from tagger.model.threads import parallel_map

CHARACTER_SIZE = 30  # the size of a character's vector
KERNEL = 3  # the number of characters that a filter spans


class Tagger(nn.Module):
    """Gives every token of some sentences a tag.

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

    def to_device(self, device: torch.device) -> "Tagger":
        """Move the tagger to a device, all but the CRF.

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
        # By token type, since most of them come more than once in a batch: [types, size]
        types = F.embedding(batch.words, self.vectors)
        if self.train_tokens is not None:
            types = types + self.train_tokens(batch.train_tokens)
        parts = [types]
        if self.characters is not None:
            parts.append(self.character_features(batch.characters))
        states = F.embedding(batch.token_types, torch.cat(parts, dim=1))  # [tokens, size]
        if self.configuration.document:
            states = torch.cat((states, batch.context), dim=1)
        for lstm in self.lstms:
            states = lstm(self.drop(states, batch.layout), batch.layout, executor)
        emissions: Tensor = self.output(self.drop(states, batch.layout))
        return emissions.to(self.crf.transitions.device)

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
        return states * mask.index_select(0, layout.sentences.to(states.device))

    def context(self, split: Split) -> Tensor:
        """The context features of all tokens of a split, [tokens, size] on the CPU.

        Where they are no input there are none: [tokens, 0].
        """
        if self.configuration.document:
            return context_features(split, self.vectors.cpu())
        return torch.empty(len(split.token_types), 0)

    def loss(self, emissions: Tensor, tags: Tensor, layout: Layout) -> Tensor:
        """The negative log-likelihood of gold tag ids ([tokens] int64), the mean over tokens."""
        if self.configuration.crf:
            return self.crf.loss(emissions, tags, layout) / len(tags)
        return F.cross_entropy(emissions, tags)

    def tag(
        self,
        split: Split,
        gold: Tensor | None = None,
        *,
        context: Tensor | None = None,
        batch_size: int = 64,
        executor: Executor | None = None,
    ) -> tuple[Tensor, float]:
        """The best allowed tags of a split's tokens, and the mean loss of the gold ones.

        Args:
            split: the sentences
            gold: ids of the tagger's own tags, [tokens] int64; without them the loss is 0
            context: of `Tagger.context`, if it is known already
            batch_size: the number of sentences at a time; the tags do not depend on it
            executor: of `configure_threads`, to tag several batches at a time

        Returns:
            tag ids in the split's order, [tokens] int64 on the CPU; the mean loss over all tokens
        """
        self.eval()
        device = self.vectors.device
        tags = torch.empty(len(split.token_types), dtype=torch.int64)
        if context is None:
            context = self.context(split)

        @torch.no_grad()  # here, since PyTorch keeps this setting by thread
        def tag(sentences: Tensor) -> float:
            batch = split.batch(sentences, context).to(device)
            emissions = self(batch)
            tags[batch.positions] = self.crf.decode(emissions, batch.layout)
            if gold is None:
                return 0.0
            loss = self.loss(emissions, gold[batch.positions], batch.layout)
            return loss.item() * len(batch.positions)

        losses = parallel_map(executor, tag, batches(split.lengths, batch_size))
        return tags, sum(losses) / len(tags)
