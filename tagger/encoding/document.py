"""What its document tells of a token that its sentence does not."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from tagger.encoding.split import Split


def elsewhere(sentences: Sequence[Sequence[str]], documents: Sequence[int]) -> Tensor:
    """How each token of a split is written elsewhere in its document, [tokens, ELSEWHERE] bool.

    Whether the same word, in any casing, comes again: in lower case; capitalised inside a sentence;
    capitalised where any word would be; in capitals, in a line of capitals and in another; or
    otherwise. Last, whether the token stands in a line of capitals itself. A name at the start of
    a sentence or in a headline is told by its mentions elsewhere (Chieu & Ng, CoNLL 2003).

    Args:
        sentences: the tokens of each
        documents: of each sentence, its document
    """
    types, tokens, words = _words(sentences, documents)
    lengths = [len(sentence) for sentence in sentences]
    in_capitals = np.repeat([is_in_capitals(sentence) for sentence in sentences], lengths)
    is_first = np.zeros(len(tokens), dtype=bool)
    is_first[np.cumsum([0, *lengths[:-1]])] = True
    kinds = np.array([_kind(type_) for type_ in types])[tokens]
    kinds += (kinds == CAPITALISED) & (is_first | in_capitals)
    kinds += (kinds == CAPITALS) & ~in_capitals
    counts = np.bincount(words * KINDS + kinds, minlength=(words.max() + 1) * KINDS)
    is_own = np.arange(KINDS) == kinds[:, None]
    again = counts.reshape(-1, KINDS)[words] > is_own
    return torch.from_numpy(np.column_stack((again, in_capitals)))


LOWER, CAPITALISED, CAPITALS, OTHERWISE = 0, 1, 3, 5  # 2 and 4: where any word would be, not a line
KINDS = 6
ELSEWHERE = KINDS + 1


def _kind(token: str) -> int:
    """Which of the first truths of `elsewhere` a token makes true of the others, by its letters."""
    if token.islower():
        return LOWER
    if token.isupper() and len(token) > 1:
        return CAPITALS
    return CAPITALISED if token[:1].isupper() else OTHERWISE


def is_in_capitals(tokens: Sequence[str]) -> bool:
    """Whether a sentence has letters, and none in lower case."""
    text = " ".join(tokens)
    return text.isupper()


def names(sentences: Sequence[Sequence[str]], documents: Sequence[int]) -> Tensor:
    """The number of the name that each token of a split mentions, 0 for none, [tokens] int32.

    Tokens of one document that are the same word, in any casing, mention one name. A token without
    a capital mentions none.
    """
    types, tokens, words = _words(sentences, documents)
    is_name = np.array([any(map(str.isupper, type_)) for type_ in types])
    return torch.from_numpy(np.where(is_name[tokens], words + 1, 0).astype(np.int32))


def _words(
    sentences: Sequence[Sequence[str]], documents: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens as numbers.

    Returns:
        the types (distinct tokens); of each token, its type; and of each token a number that it
        shares with those of its document which are the same word, in any casing
    """
    flat = np.array([token for sentence in sentences for token in sentence], dtype=object)
    tokens, types = pd.factorize(flat)
    words, lowered = pd.factorize(np.array([type_.lower() for type_ in types], dtype=object))
    of_document = np.repeat(documents, [len(sentence) for sentence in sentences])
    numbers = pd.factorize(of_document.astype(np.int64) * len(lowered) + words[tokens])[0]
    return types, tokens, numbers


PLACES = 5  # sentences of a document: the first, … and all from the fifth on
COMMON = 500  # the rank of a word that counts half in the mean of its document


def context(split: Split, vectors: Tensor) -> Tensor:
    """What the documents of a split tell of each token.

    How it is written elsewhere (`elsewhere`); for a name, the mean vector of what stands before its
    other mentions and of what stands after them, zeros where a sentence begins or ends; the mean
    vector of its document, in which common words count less; and where in it its sentence stands:
    one of PLACES, the logarithm of the number of sentences up to it, and that of its own tokens.

    In that mean the word of rank r, from 1, counts r / (COMMON + r). It is the weight
    a / (a + frequency) of Arora, Liang & Ma (ICLR 2017), where the order of words is that of their
    frequency, as in GloVe's vectors, and the frequency falls as 1 / r (Zipf). An unknown word has
    the last rank.

    Args:
        split: of whole documents
        vectors: by word id, [words, dimension]

    Returns:
        [tokens, size_of_context(dimension)] float32
    """
    own = F.embedding(split.words[split.types], vectors)  # [tokens, dimension]
    lengths = split.lengths
    before, after = own.roll(1, 0), own.roll(-1, 0)
    before[split.offsets[:-1]] = 0
    after[split.offsets[1:] - 1] = 0
    sides = torch.cat((before, after), dim=1)
    counts = split.names.bincount()
    sums = sides.new_zeros(len(counts), sides.shape[1]).index_add(0, split.names, sides)
    others = counts[split.names] - 1
    is_again = (split.names > 0) & (others > 0)
    around = (sums[split.names] - sides) / others.clamp(min=1)[:, None] * is_again[:, None]

    documents, number, sizes = split.documents.unique_consecutive(
        return_inverse=True, return_counts=True
    )
    of_token = number.repeat_interleave(lengths)
    ranks = split.words[split.types] + 1.0
    weights = (ranks / (COMMON + ranks))[:, None].to(own)  # [tokens, 1]
    both = torch.cat((weights, weights * own), dim=1)
    sums = own.new_zeros(len(documents), both.shape[1]).index_add(0, of_token, both)
    topics = sums[:, 1:] / sums[:, :1]

    starts = (sizes.cumsum(0) - sizes)[number]
    place = torch.arange(len(split)) - starts  # [sentences], from 0
    places = torch.cat(
        (
            F.one_hot(place.clamp(max=PLACES - 1), PLACES),
            (place + 1).log()[:, None],
            lengths.log()[:, None],
        ),
        dim=1,
    )
    return torch.cat(
        (
            split.elsewhere.to(vectors.dtype),
            around,
            topics[of_token],
            places.repeat_interleave(lengths, dim=0),
        ),
        dim=1,
    )


def size_of_context(dimension: int) -> int:
    """The number of values that `context` gives a token, for vectors of some dimension."""
    return ELSEWHERE + 3 * dimension + PLACES + 2
