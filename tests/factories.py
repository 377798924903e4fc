"""Made-up sentences as the tagger reads them, and configurations of taggers for them."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tagger.corpus.tags import tag_set
from tagger.encoding.encoder import Encoder
from tagger.encoding.split import Split
from tagger.model.configuration import TaggerConfiguration

WORDS = ["the", "may", "bush", "a", "b", "bb", "5", ".", "u.s.", "zeros"]
TOKENS = [
    "the", "The", "THE", "may", "May", "MAY", "Bush", "BUSH", "a", "A", "B", "bb", "Bb", "BB", "5",
    ".", "U.S.", "Zürich", "zürich", "x" * 30, "1996-08-22", "ǅ", "\u200b",
]  # fmt: skip
ENCODER = Encoder.fit(WORDS, [TOKENS[::2]])
FULL = TaggerConfiguration(
    tags=tuple(tag_set(["PER", "LOC"], "BIOES")),
    scheme="BIOES",
    train_token_count=len(ENCODER.train_tokens),
    character_count=len(ENCODER.characters),
    filters=7,
    document=True,
    crf=True,
    hidden=5,
    layers=2,
    dropout=0.5,
    recurrent_dropout=0.25,
)
CLASSROOM = replace(
    FULL,
    tags=tuple(tag_set(["PER", "LOC"])),
    scheme="IOB2",
    train_token_count=0,
    character_count=0,
    document=False,
    crf=False,
    layers=1,
)
each_model = pytest.mark.parametrize("configuration", [FULL, CLASSROOM], ids=["full", "classroom"])


def encode(documents: Sequence[Sequence[Sequence[str]]]) -> Split:
    """Documents of sentences of tokens as a split, encoded by ENCODER."""
    sentences = [sentence for document in documents for sentence in document]
    numbers = [number for number, document in enumerate(documents) for _ in document]
    return ENCODER.encode(sentences, numbers)


def make_split(lengths: Sequence[int], seed: int = 0) -> Split:
    """A split of sentences of some lengths, with tokens drawn from TOKENS, as one document."""
    drawn = random.Random(seed)
    return encode([[drawn.choices(TOKENS, k=length) for length in lengths]])
