"""The encoder: from tokens to the arrays that the tagger reads."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from tagger.corpus.conll import MAX_TOKENS
from tagger.encoding.document import document_features
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
        """Sentences as arrays.

        Args:
            sentences: the tokens of each; one sentence or more, of one token or more each. For
                those of more than MAX_TOKENS see `encode_types`
            documents: the number of each sentence's document; neighbours with the same number are
                a document, which must be whole, since the tagger reads it

        Raises:
            InputError: a sentence has no token, or an empty one.
        """
        tokens = list(chain.from_iterable(sentences))
        types = sorted(set(tokens))
        rows = {token: row for row, token in enumerate(types)}
        token_types = np.array([rows[token] for token in tokens], dtype=np.int32)
        lengths = np.array([len(sentence) for sentence in sentences])
        return self.encode_types(types, token_types, lengths, np.array(documents))

    def encode_types(
        self,
        types: Sequence[str],
        token_types: np.ndarray,
        lengths: np.ndarray,
        documents: np.ndarray,
    ) -> Split:
        """Sentences as arrays, from token types (distinct tokens) and their rows.

        A sentence of more than MAX_TOKENS tokens becomes several of the split, in one document:
        memory grows with the longest sentence of a batch. Each but the last has MAX_TOKENS.

        Args:
            types: sorted, each once
            token_types: the row in `types` of each token, [tokens] int32
            lengths: the number of tokens of each sentence, [sentences] int64
            documents: the number of each sentence's document, [sentences], see `encode`

        Raises:
            InputError: a sentence has no token, or an empty one.
        """
        offsets = np.append(0, lengths.cumsum())
        is_bad = lengths == 0
        if types and not types[0]:
            is_bad[np.searchsorted(offsets, np.flatnonzero(token_types == 0), "right") - 1] = True
        if is_bad.any():
            number = int(is_bad.argmax())
            tokens = [types[row] for row in token_types[slice(*offsets[number : number + 2])]]
            raise InputError(
                f"sentence {number} (from 0) has no token, or an empty one: {tokens!r}; leave out "
                "what is empty"
            )
        numbers = np.append(0, np.cumsum(documents[1:] != documents[:-1]))
        parts = -(-lengths // MAX_TOKENS)
        numbers = numbers.repeat(parts)
        place = np.arange(len(numbers)) - (parts.cumsum() - parts).repeat(parts)  # in a sentence
        offsets = np.append(offsets[:-1].repeat(parts) + place * MAX_TOKENS, offsets[-1])
        casing, mentions = document_features(types, token_types, offsets, numbers)
        return Split(
            token_types=token_types,
            words=np.array([self.vocabulary.look_up(t).id for t in types], dtype=np.int32),
            train_tokens=np.array([self.train_tokens.get(t, 0) for t in types], dtype=np.int32),
            characters=character_ids(types, self.characters),
            casing_in_document=casing,
            mention_ids=mentions,
            offsets=offsets,
            documents=numbers.astype(np.int32),
        )
