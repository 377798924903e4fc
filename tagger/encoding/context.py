"""Context features: what the document of a token tells, with its words' vectors."""

from dataclasses import dataclass

import numpy as np

from tagger.encoding.document import CASING_SIZE, groups, starts_of_runs
from tagger.encoding.layout import Layout
from tagger.encoding.split import Split

POSITIONS = 5  # sentences of a document: the first, the second, … and all from the fifth on
COMMON = 500  # the rank of a word that counts half in the mean of its document


@dataclass(frozen=True)
class Context:
    """What is summed over the documents of a split, from which the features of a token follow.

    The values of a token are, in this order:

    * how its word is written elsewhere in the document (`casing_in_document`);
    * if it mentions a name, the mean vector of the tokens before the other mentions of the name,
      and of the tokens after them, with zeros for the edge of a sentence and where there is no
      other mention;
    * the mean vector of the document, in which common words count less;
    * where its sentence stands in the document: one of POSITIONS, the logarithm of the number of
      sentences up to it, and the logarithm of the number of its tokens.

    In the mean of a document the word of rank r, from 1, counts r / (COMMON + r). This is the
    weight a / (a + frequency) of Arora, Liang & Ma (ICLR 2017), if words are in the order of their
    frequency, as those of GloVe are, and the frequency falls as 1 / r (Zipf). An unknown word has
    the last rank.

    No sum goes beyond a document, so its features are the same bits in every split.

    split: of whole documents
    vectors: by token type, [types, dimension] float32
    mentions: the number of mentions by mention id, [mention ids] int64
    sides: the sum over the mentions of the vectors before and after them, by mention id,
        [mention ids, 2 * dimension] float32
    topics: the mean vector of each document, [documents, dimension] float32
    documents: the row in `topics` of each sentence, [sentences] int64
    positions: the values of each sentence's position, [sentences, POSITIONS + 2] float32
    """

    split: Split
    vectors: np.ndarray
    mentions: np.ndarray
    sides: np.ndarray
    topics: np.ndarray
    documents: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, split: Split, vectors: np.ndarray) -> "Context":
        """The context of a split.

        Args:
            split: of whole documents
            vectors: by word id, [words + 2, dimension] float32 or float16
        """
        edges = starts_of_runs(split.documents)
        starts = edges[:-1]
        documents = np.arange(len(starts)).repeat(edges[1:] - starts)
        position = np.arange(len(split)) - starts[documents]  # of a sentence in its document
        logarithms = np.log(np.column_stack((position + 1, split.lengths)))
        dimension = vectors.shape[1]
        mentions = np.bincount(split.mention_ids)
        context = cls(
            split=split,
            vectors=vectors[split.words].astype(np.float32),
            mentions=mentions,
            sides=np.zeros((len(mentions), 2 * dimension), dtype=np.float32),
            topics=np.empty((len(starts), dimension), dtype=np.float32),
            documents=documents,
            positions=np.column_stack(
                (np.minimum(position, POSITIONS - 1)[:, None] == np.arange(POSITIONS), logarithms)
            ).astype(np.float32),
        )
        tokens = split.offsets[edges]  # where each document starts
        for start, end in groups(tokens):
            context._sum(start, end, tokens[start : end + 1])
        return context

    def _sum(self, start: int, end: int, tokens: np.ndarray) -> None:
        """Fill the rows of some documents in `topics`, and of their mentions in `sides`.

        Args:
            start: the first of the documents
            end: the document after the last one
            tokens: the first token of each, and the token after the last document
        """
        split = self.split
        chosen = slice(tokens[0], tokens[-1])
        own = self._vectors(chosen)
        ranks = split.words[split.token_types[chosen]] + np.float32(1)
        weights = (ranks / (COMMON + ranks))[:, None]
        sums = np.add.reduceat(np.hstack((weights, weights * own)), tokens[:-1] - tokens[0])
        self.topics[start:end] = sums[:, 1:] / sums[:, :1]

        ids = split.mention_ids[chosen]
        mentions = ids.nonzero()[0]
        if len(mentions):
            first, end_ = np.searchsorted(split.offsets, (tokens[0], tokens[-1]))
            offsets = split.offsets[first : end_ + 1] - tokens[0]
            sides = _sides(own, offsets[:-1], offsets[1:] - 1)
            mentions = mentions[ids[mentions].argsort(kind="stable")]
            starts = starts_of_runs(ids[mentions])[:-1]
            self.sides[ids[mentions[starts]]] = np.add.reduceat(sides[mentions], starts)

    def _vectors(self, tokens: slice | np.ndarray) -> np.ndarray:
        """The vectors of some tokens, [tokens, dimension] float32."""
        vectors: np.ndarray = self.vectors[self.split.token_types[tokens]]
        return vectors

    def features(self, sentences: np.ndarray, tokens: np.ndarray, layout: Layout) -> np.ndarray:
        """The features of the tokens of some sentences.

        Args:
            sentences: their numbers in the split, [batch]
            tokens: the numbers of their tokens in the split, [tokens]
            layout: of the sentences

        Returns:
            [tokens, context_size(dimension)] float32
        """
        ids = self.split.mention_ids[tokens]
        sides = _sides(self._vectors(tokens), layout.first, layout.last)
        others = np.maximum(self.mentions[ids] - 1, 1).astype(np.float32)[:, None]
        around = np.where(ids[:, None] > 0, (self.sides[ids] - sides) / others, np.float32(0))
        of_token = sentences[layout.sentences]
        return np.concatenate(
            (
                self.split.casing_in_document[tokens],
                around,
                self.topics[self.documents[of_token]],
                self.positions[of_token],
            ),
            axis=1,
            dtype=np.float32,
        )


def _sides(own: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The vectors before and after each token, zeros at the edge of a sentence.

    Args:
        own: the tokens' vectors, [tokens, dimension]
        first: the first token of each sentence, [sentences]
        last: the last token of each sentence, [sentences]

    Returns:
        [tokens, 2 * dimension]
    """
    dimension = own.shape[1]
    sides = np.empty((len(own), 2 * dimension), own.dtype)
    sides[1:, :dimension] = own[:-1]
    sides[:-1, dimension:] = own[1:]
    sides[first, :dimension] = 0
    sides[last, dimension:] = 0
    return sides


def context_size(dimension: int) -> int:
    """The number of context features of a token, for vectors of some dimension."""
    return CASING_SIZE + 3 * dimension + POSITIONS + 2
