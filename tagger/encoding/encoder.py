"""The encoder: from tokens to the tensors that the tagger reads."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tagger.encoding.document import casing_in_document, mention_ids
from tagger.encoding.split import Split
from tagger.encoding.vocabulary import FIRST, WORDS, Vocabulary, character_ids
from tagger.files import InputError, read_lines, write_lines

TRAIN_TOKENS, CHARACTERS = "train_tokens.txt", "characters.txt"


class Encoder:
    """Knows the words that have a vector, and the tokens and characters of train.

    Args:
        words: in the order of the vectors' rows
        train_tokens: the distinct tokens of train; the first has id 1, and 0 is any other token's
        characters: the distinct characters of train
    """

    def __init__(
        self, words: Sequence[str], train_tokens: Sequence[str], characters: Sequence[str]
    ) -> None:
        self.vocabulary = Vocabulary(words)
        self.train_tokens = {token: id_ for id_, token in enumerate(train_tokens, 1)}
        self.characters = {character: id_ for id_, character in enumerate(characters, FIRST)}

    @classmethod
    def fit(cls, words: Sequence[str], train: Iterable[Sequence[str]]) -> "Encoder":
        """The encoder for some words, and the tokens and characters of train's sentences."""
        train_tokens = sorted(set(chain.from_iterable(train)))
        return cls(words, train_tokens, sorted(set("".join(train_tokens))))

    def save(self, folder: Path) -> None:
        """Write the tokens and characters of train to a folder; the words stay with the vectors."""
        write_lines(folder / TRAIN_TOKENS, list(self.train_tokens))
        write_lines(folder / CHARACTERS, list(self.characters))

    @classmethod
    def load(cls, folder: Path, embeddings: Path) -> "Encoder":
        """The encoder that was saved to a folder, with the words of the embeddings' folder."""
        paths = (embeddings / WORDS, folder / TRAIN_TOKENS, folder / CHARACTERS)
        return cls(*map(read_lines, paths))

    def encode(self, sentences: Sequence[Sequence[str]], documents: Sequence[int]) -> Split:
        """Sentences as tensors.

        Args:
            sentences: the tokens of each; one sentence or more, of one token or more each
            documents: the number of each sentence's document; neighbours with the same number are
                a document, which must be whole, since the tagger reads it

        Raises:
            InputError: a sentence has no token, or an empty one.
        """
        for number, sentence in enumerate(sentences):
            if not len(sentence) or not all(sentence):
                raise InputError(
                    f"sentence {number} (from 0) has no token, or an empty one: {list(sentence)!r}"
                    "; leave out what is empty"
                )
        documents = [i for i, (_, group) in enumerate(groupby(documents)) for _ in group]
        tokens = list(chain.from_iterable(sentences))
        token_types = sorted(set(tokens))
        row = {token: i for i, token in enumerate(token_types)}

        def of_types(function: Callable[[str], object]) -> Tensor:
            return torch.tensor([function(token) for token in token_types], dtype=torch.int32)

        return Split(
            token_types=torch.tensor([row[token] for token in tokens], dtype=torch.int32),
            words=of_types(lambda token: self.vocabulary.look_up(token).id),
            train_tokens=of_types(lambda token: self.train_tokens.get(token, 0)),
            characters=of_types(lambda token: character_ids(token, self.characters)),
            casing_in_document=torch.from_numpy(casing_in_document(sentences, documents)),
            mention_ids=torch.from_numpy(mention_ids(sentences, documents)),
            offsets=torch.from_numpy(np.cumsum([0, *map(len, sentences)])),
            documents=torch.tensor(documents, dtype=torch.int32),
        )
