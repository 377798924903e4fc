"""Made-up sentences as the tagger reads them."""

import random
from collections.abc import Sequence

from tagger.encoding.encoder import Encoder
from tagger.encoding.split import Split

WORDS = ["the", "may", "bush", "a", "b", "bb", "5", ".", "u.s.", "zeros"]
TOKENS = [
    "the", "The", "THE", "may", "May", "MAY", "Bush", "BUSH", "a", "A", "B", "bb", "Bb", "BB", "5",
    ".", "U.S.", "Zürich", "zürich", "x" * 30, "1996-08-22", "ǅ", "\u200b",
]  # fmt: skip
ENCODER = Encoder.fit(WORDS, [TOKENS[::2]])


def encode(documents: Sequence[Sequence[Sequence[str]]]) -> Split:
    """Documents of sentences of tokens as a split, encoded by ENCODER."""
    sentences = [sentence for document in documents for sentence in document]
    numbers = [number for number, document in enumerate(documents) for _ in document]
    return ENCODER.encode(sentences, numbers)


def make_split(lengths: Sequence[int], seed: int = 0) -> Split:
    """A split of sentences of some lengths, with tokens drawn from TOKENS, as one document."""
    drawn = random.Random(seed)
    return encode([[drawn.choices(TOKENS, k=length) for length in lengths]])
