"""Context features: what the document of a token tells, with its words' vectors."""

import torch
from torch import Tensor
from torch.nn import functional as F

from tagger.encoding.document import CASING_SIZE
from tagger.encoding.split import Split

POSITIONS = 5  # sentences of a document: the first, the second, … and all from the fifth on
COMMON = 500  # the rank of a word that counts half in the mean of its document


def context_features(split: Split, vectors: Tensor) -> Tensor:
    """What the documents of a split tell of each token.

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

    Args:
        split: of whole documents
        vectors: by word id, [words, dimension]

    Returns:
        [tokens, context_size(dimension)] float32
    """
    own = F.embedding(split.words[split.token_types], vectors)  # [tokens, dimension]
    lengths = split.lengths
    before, after = own.roll(1, 0), own.roll(-1, 0)
    before[split.offsets[:-1]] = 0
    after[split.offsets[1:] - 1] = 0
    sides = torch.cat((before, after), dim=1)
    mentions = split.mention_ids
    counts = mentions.bincount()
    sums = sides.new_zeros(len(counts), sides.shape[1]).index_add(0, mentions, sides)
    others = counts[mentions] - 1
    has_others = (mentions > 0) & (others > 0)
    around = (sums[mentions] - sides) / others.clamp(min=1)[:, None] * has_others[:, None]

    documents, number, sizes = split.documents.unique_consecutive(
        return_inverse=True, return_counts=True
    )
    of_token = number.repeat_interleave(lengths)
    ranks = split.words[split.token_types] + 1.0
    weights = (ranks / (COMMON + ranks))[:, None].to(own)  # [tokens, 1]
    weighted = torch.cat((weights, weights * own), dim=1)
    sums = own.new_zeros(len(documents), weighted.shape[1]).index_add(0, of_token, weighted)
    topics = sums[:, 1:] / sums[:, :1]  # [documents, dimension]

    starts = (sizes.cumsum(0) - sizes)[number]
    position = torch.arange(len(split)) - starts  # of each sentence in its document, from 0
    positions = torch.cat(
        (
            F.one_hot(position.clamp(max=POSITIONS - 1), POSITIONS),
            (position + 1).log()[:, None],
            lengths.log()[:, None],
        ),
        dim=1,
    )
    return torch.cat(
        (
            split.casing_in_document.to(vectors.dtype),
            around,
            topics[of_token],
            positions.repeat_interleave(lengths, dim=0),
        ),
        dim=1,
    )


def context_size(dimension: int) -> int:
    """The number of context features of a token, for vectors of some dimension."""
    return CASING_SIZE + 3 * dimension + POSITIONS + 2
