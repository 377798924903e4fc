"""What its document tells of a token that its sentence does not."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tagger.split import Split


def elsewhere(sentences: Sequence[Sequence[str]]) -> list[list[list[bool]]]:
    """How each token of a document is written elsewhere in it, by sentence: ELSEWHERE truths each.

    Whether the same word, in any casing, comes again: in lower case; capitalised inside a sentence;
    capitalised where any word would be; in capitals, in a line of capitals and in another; or
    otherwise. Last, whether the token stands in a line of capitals itself. A name at the start of
    a sentence or in a headline is told by its mentions elsewhere (Chieu & Ng, CoNLL 2003).
    """
    lines_of_capitals = [is_in_capitals(tokens) for tokens in sentences]
    kinds: list[list[int]] = []
    counts: Counter[tuple[str, int]] = Counter()
    for tokens, in_capitals in zip(sentences, lines_of_capitals, strict=True):
        kinds.append([_kind(token, i == 0, in_capitals) for i, token in enumerate(tokens)])
        counts.update((token.lower(), kind) for token, kind in zip(tokens, kinds[-1], strict=True))
    return [
        [
            [counts[token.lower(), k] > (k == kind) for k in range(ELSEWHERE - 1)] + [in_capitals]
            for token, kind in zip(tokens, some, strict=True)
        ]
        for tokens, some, in_capitals in zip(sentences, kinds, lines_of_capitals, strict=True)
    ]


ELSEWHERE = 7


def is_in_capitals(tokens: Sequence[str]) -> bool:
    """Whether a sentence has letters, and none in lower case."""
    text = " ".join(tokens)
    return text.isupper()


def _kind(token: str, is_first: bool, in_capitals: bool) -> int:
    """Which of the first six truths of `elsewhere` a token makes true of the others."""
    if token.islower():
        return 0
    if token.isupper() and len(token) > 1:
        return 3 if in_capitals else 4
    if token[:1].isupper():
        return 2 if is_first or in_capitals else 1
    return 5


def names(sentences: Sequence[Sequence[str]], documents: Sequence[int]) -> list[int]:
    """For each token of a split the number of the name that it mentions, from 1, or 0 for none.

    Tokens of one document that are the same word, in any casing, mention one name. A token without
    a capital mentions none.
    """
    numbers: dict[tuple[int, str], int] = {}
    return [
        numbers.setdefault((document, token.lower()), len(numbers) + 1)
        if any(character.isupper() for character in token)
        else 0
        for document, tokens in zip(documents, sentences, strict=True)
        for token in tokens
    ]


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
