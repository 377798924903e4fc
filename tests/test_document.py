"""What a document tells of a token, against a slow reading of its words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.slices import is_in_capitals
from tagger.encoding.context import COMMON, POSITIONS, Context, context_size
from tagger.encoding.document import CASINGS
from tagger.encoding.layout import Layout
from tests.factories import ENCODER, TOKENS, encode, make_split

documents_of_sentences = st.lists(
    st.lists(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6), min_size=1, max_size=7),
    min_size=1,
    max_size=4,
)
DIMENSION = 3
VECTORS = np.random.default_rng(0).normal(size=(20, DIMENSION)).astype(np.float32)


def casings_of(sentences: list[str]) -> list[list[set[int]]]:
    """The values that are true of each token, as a set of their numbers."""
    tokens = [sentence.split() for sentence in sentences]
    rows = iter(encode([tokens]).casing_in_document)
    return [[set(next(rows).nonzero()[0].tolist()) for _ in sentence] for sentence in tokens]


def test_how_a_token_is_written_elsewhere_in_its_document() -> None:
    sentences = ["MAY MEETS BUSH", "May met Bush .", "He may meet Mr. Bush"]
    headline, first, second = casings_of(sentences)
    assert headline == [{0, 2, 6}, {6}, {1, 6}]
    assert first[0] == {0, 3}
    assert first[2] == {1, 3}, "its own mention does not count, the other does"
    assert second[1] == {2, 3}
    assert second[4] == {1, 3}
    assert casings_of(["NATO met", "the NATO of 5"])[1] == [set(), {4}, set(), set()]
    assert casings_of(["5 , 5"]) == [[{5}, set(), {5}]]


def kind(token: str, is_first: bool, in_capitals: bool) -> int:
    """Which truth a token makes true of the same word elsewhere."""
    if token.islower():
        return 0
    if token.isupper() and len(token) > 1:
        return 3 if in_capitals else 4
    if token[:1].isupper():
        return 2 if is_first or in_capitals else 1
    return 5


@given(documents_of_sentences)
def test_casing_in_document_is_what_a_slow_reader_finds(documents: list[list[list[str]]]) -> None:
    expected = []
    for document in documents:
        mentions = [
            (i, j, token.lower(), kind(token, j == 0, is_in_capitals(sentence)))
            for i, sentence in enumerate(document)
            for j, token in enumerate(sentence)
        ]
        for i, j, word, _ in mentions:
            others = {k for a, b, other, k in mentions if other == word and (a, b) != (i, j)}
            in_capitals = is_in_capitals(document[i])
            expected.append([*(k in others for k in range(CASINGS)), in_capitals])
    assert encode(documents).casing_in_document.tolist() == expected


@pytest.mark.parametrize("text", ["EU - 1996", "A", "U.S. 2"])
def test_a_line_of_capitals(text: str) -> None:
    assert is_in_capitals(text.split())
    assert not is_in_capitals([*text.split(), "a"])


def test_a_line_without_letters_is_none_of_capitals() -> None:
    assert not is_in_capitals(["1996", "-"])


def test_a_name_is_a_word_with_a_capital_in_any_casing_within_its_document() -> None:
    documents = [[["May", "may", "MAY"], ["5", "May", "Bush"]], [["May", "Bush", "BUSH", "MAY"]]]
    split = encode(documents)
    may, none, again, number, once_more, single, *others = split.mention_ids.tolist()
    assert none == number == 0
    assert single == 0, "a name that the document mentions once is not elsewhere in it"
    assert may == again == once_more
    assert others[0] == others[3]
    assert others[1] == others[2]
    assert len({0, may, *others}) == 4


def vector(token: str | None) -> list[float]:
    return (
        [0.0] * DIMENSION
        if token is None
        else VECTORS[ENCODER.vocabulary.look_up(token).id].tolist()
    )


def mean(vectors: list[list[float]], weights: list[float] | None = None) -> list[float]:
    columns = list(zip(*vectors, strict=True)) or [(0.0,)] * DIMENSION
    weights = weights or [1.0] * len(columns[0])
    return [
        sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights)
        for column in columns
    ]


def weight(token: str) -> float:
    rank = ENCODER.vocabulary.look_up(token).id + 1
    return rank / (COMMON + rank)


def features_of(documents: list[list[list[str]]], vectors: np.ndarray) -> np.ndarray:
    """The features of all tokens of some documents."""
    split = encode(documents)
    layout = Layout.of(split.lengths)
    tokens = np.arange(len(split.token_types))
    return Context.of(split, vectors).features(np.arange(len(split)), tokens, layout)


@given(documents_of_sentences)
def test_context_is_what_a_slow_reader_finds(documents: list[list[list[str]]]) -> None:
    expected = []
    for document in documents:
        lengths = [len(sentence) for sentence in document]
        casing = encode([document]).casing_in_document
        truths = np.split(casing, np.cumsum(lengths)[:-1])
        tokens = [token for sentence in document for token in sentence]
        topic = mean([vector(token) for token in tokens], [weight(token) for token in tokens])
        mentions = [
            (place, i, token, sentence[i - 1] if i else None, [*sentence, None][i + 1])
            for place, sentence in enumerate(document)
            for i, token in enumerate(sentence)
            if any(map(str.isupper, token))
        ]
        for place, sentence in enumerate(document):
            for i, token in enumerate(sentence):
                others = [
                    mention
                    for mention in mentions
                    if any(map(str.isupper, token))
                    and mention[2].lower() == token.lower()
                    and mention[:2] != (place, i)
                ]
                expected.append(
                    [
                        *map(float, truths[place][i].tolist()),
                        *mean([vector(before) for *_, before, _ in others]),
                        *mean([vector(after) for *_, after in others]),
                        *topic,
                        *(float(min(place, POSITIONS - 1) == k) for k in range(POSITIONS)),
                        math.log(place + 1),
                        math.log(len(sentence)),
                    ]
                )
    found = features_of(documents, VECTORS)
    assert found.shape == (len(expected), context_size(DIMENSION))
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@given(documents_of_sentences, st.sampled_from([1, 7, 1000]), st.sampled_from(["<f4", "<f2"]))
def test_a_document_alone_tells_bit_for_bit_what_it_tells_among_others(
    documents: list[list[list[str]]], group: int, precision: str
) -> None:
    vectors = VECTORS.astype(precision)
    alone = [features_of([document], vectors) for document in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagger.encoding.document.GROUP", group)
        together = features_of(documents, vectors)
    assert np.array_equal(together, np.concatenate(alone))


def test_a_sentence_tells_bit_for_bit_in_a_batch_what_it_tells_alone() -> None:
    split = make_split([3, 9, 1, 4, 4])
    found = Context.of(split, VECTORS)
    together = split.batch(np.array([3, 1, 4]), found.features).context
    alone = [split.batch(np.array([number]), found.features).context for number in (3, 1, 4)]
    assert np.array_equal(together, np.concatenate(alone))
