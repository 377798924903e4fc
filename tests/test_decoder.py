"""The decoder against enumeration of every tag sequence, and against the CRF that is trained."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.corpus.tags import Span, is_allowed, spans, tag_set, transitions
from tagger.encoding.layout import Layout
from tagger.model.crf import CRF
from tagger.model.decoder import BLOCK, Decoder

lengths_of_sentences = st.lists(st.integers(1, 4), min_size=1, max_size=4)
schemes = st.sampled_from(["IOB2", "BIOES"])
temperatures = st.floats(0.5, 3.0)
seeds = st.integers(0, 2**32 - 1)


class Model(NamedTuple):
    """A decoder, and the emissions and the layout of some sentences for it."""

    tags: list[str]
    decoder: Decoder
    emissions: np.ndarray
    lengths: list[int]

    @property
    def layout(self) -> Layout:
        return Layout.of(np.array(self.lengths))


def make_model(
    types: Sequence[str], scheme: str, lengths: list[int], seed: int, spread: float = 2.0
) -> Model:
    random = np.random.default_rng(seed)

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
        return random.normal(scale=scale, size=shape).astype(np.float32)

    tags = tag_set(types, scheme)
    n = len(tags)
    decoder = Decoder(tags, scheme, draw(n, n), draw(n), draw(n))
    return Model(tags, decoder, draw(sum(lengths), n, scale=spread), lengths)


def enumerate_sequences(
    model: Model, scheme: str, sentence: int
) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """All sequences that the scheme allows, and their scores."""
    start = sum(model.lengths[:sentence])
    emissions = model.emissions[start : start + model.lengths[sentence]].astype(np.float64)
    decoder, sequences, scores = model.decoder, [], []
    for ids in itertools.product(range(len(model.tags)), repeat=len(emissions)):
        pairs = transitions([model.tags[i] for i in ids])
        if all(is_allowed(left, right, scheme) for left, right in pairs):
            score = float(decoder.starts[ids[0]]) + float(decoder.ends[ids[-1]])
            score += sum(float(row[i]) for row, i in zip(emissions, ids, strict=True))
            score += sum(float(decoder.transitions[pair]) for pair in itertools.pairwise(ids))
            sequences.append(ids)
            scores.append(score)
    return sequences, np.array(scores)


def every_span(length: int, types: Sequence[str]) -> list[Span]:
    pairs = itertools.combinations(range(length + 1), 2)
    return [Span(start, end, type_) for start, end in pairs for type_ in types]


@settings(max_examples=40, deadline=None)
@given(lengths_of_sentences, schemes, temperatures, st.sampled_from([2.0, 30.0]), seeds)
def test_tags_and_probabilities_are_those_of_enumeration(
    lengths: list[int], scheme: str, temperature: float, spread: float, seed: int
) -> None:
    types = ["A", "B"] if scheme == "IOB2" else ["A"]
    model = make_model(types, scheme, lengths, seed, spread)
    gold: list[int] = []
    best: list[int] = []
    logarithms = 0.0
    asked, expected = [], []
    random = np.random.default_rng(seed)
    for sentence, length in enumerate(lengths):
        sequences, scores = enumerate_sequences(model, scheme, sentence)
        best += sequences[scores.argmax()]
        scaled = (scores - scores.max()) / temperature
        shares = np.exp(scaled) / np.exp(scaled).sum()
        chosen = random.integers(len(sequences))
        gold += sequences[chosen]
        logarithms += scaled[chosen] - np.log(np.exp(scaled).sum())
        found = [set(spans([model.tags[i] for i in ids])) for ids in sequences]
        asked.append(every_span(length, types))
        expected += [
            sum(share for share, some in zip(shares, found, strict=True) if span in some)
            for span in asked[-1]
        ]
    decoder, layout = model.decoder, model.layout
    assert decoder.decode(model.emissions, layout).tolist() == best
    found_logarithm = decoder.log_likelihood(model.emissions, np.array(gold), layout, temperature)
    assert found_logarithm == pytest.approx(logarithms, rel=1e-9, abs=1e-9)
    probabilities = decoder.span_probabilities(model.emissions, layout, asked, temperature)
    assert list(map(len, probabilities)) == list(map(len, asked))
    assert list(itertools.chain(*probabilities)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=9), schemes, seeds)
def test_tags_and_likelihood_are_those_of_the_crf_in_training(
    lengths: list[int], scheme: str, seed: int
) -> None:
    torch.manual_seed(seed)
    tags = tag_set(["A", "B", "C"], scheme)
    crf = CRF(tags, scheme)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    # Few values, so that sequences tie
    emissions = torch.randint(3, (sum(lengths), len(tags))).float()
    layout = Layout.of(np.array(lengths))
    decoder = Decoder(
        tags, scheme, *(np.asarray(p.detach()) for p in (crf.transitions, crf.starts, crf.ends))
    )
    best = decoder.decode(emissions.numpy(), layout)
    entities = decoder.spans(best, layout)
    cuts = np.cumsum(lengths)[:-1]
    assert entities == [spans([tags[i] for i in ids]) for ids in np.split(best, cuts)]
    likelihood = decoder.log_likelihood(emissions.numpy(), best, layout)
    loss = crf.loss(emissions, torch.from_numpy(best), layout).item()
    assert likelihood == pytest.approx(-loss, rel=1e-6)


def test_of_equal_sequences_the_lowest_tags_win() -> None:
    tags = tag_set(["A", "B"])
    decoder = Decoder(tags, "IOB2", np.zeros((5, 5)), np.zeros(5), np.zeros(5))
    emissions = np.zeros((6, 5), dtype=np.float32)
    assert decoder.decode(emissions, Layout.of(np.array([4, 2]))).tolist() == [0] * 6
    emissions[[1, 5], 1:] = 1
    assert decoder.decode(emissions, Layout.of(np.array([4, 2]))).tolist() == [0, 1, 0, 0, 0, 1]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=70),
    schemes,
    st.sampled_from([1, 4, 40]),
    seeds,
)
def test_a_sentence_has_the_same_bits_alone_and_in_any_batch(
    lengths: list[int], scheme: str, types: int, seed: int
) -> None:
    names = [f"T{i}" for i in range(types)]
    model = make_model(names, scheme, lengths, seed)
    if types == 40:
        assert len(model.tags) ** 2 > BLOCK
    random = np.random.default_rng(seed)
    asked = []
    for length in lengths:
        possible = every_span(length, names[:2])
        drawn = random.integers(len(possible), size=random.integers(4))
        asked.append([possible[i] for i in drawn])
    decoder = model.decoder
    tags = decoder.decode(model.emissions, model.layout)
    together = decoder.span_probabilities(model.emissions, model.layout, asked, 1.5)
    ends = np.cumsum(lengths)
    for number in random.permutation(len(lengths))[:8]:
        tokens = slice(ends[number] - lengths[number], ends[number])
        layout = Layout.of(np.array([lengths[number]]))
        emissions = model.emissions[tokens].copy()
        assert decoder.decode(emissions, layout).tolist() == tags[tokens].tolist()
        alone = decoder.span_probabilities(emissions, layout, [asked[number]], 1.5)
        assert alone == [together[number]]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 60), schemes, temperatures, seeds)
def test_a_token_is_outside_or_in_one_entity(
    length: int, scheme: str, temperature: float, seed: int
) -> None:
    # No sequence has O at the token in the middle, and of the entities that hold it each has one
    model = make_model(["A", "B"], scheme, [length], seed)
    model.emissions[length // 2, 0] = -1e5
    holding = [
        span for span in every_span(length, ["A", "B"]) if span.start <= length // 2 < span.end
    ]
    (found,) = model.decoder.span_probabilities(
        model.emissions, model.layout, [holding], temperature
    )
    assert sum(found) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_sentences_of_thousands_of_tokens_and_large_scores(scheme: str) -> None:
    model = make_model(["A"], scheme, [5000, 1, 3000], 0)
    tags = model.tags
    inside = tags.index("I-A")
    emissions = model.emissions
    emissions[1000:3000, inside] = 300
    emissions[999, tags.index("B-A")] = 300
    emissions[3000, tags.index("E-A" if scheme == "BIOES" else "I-A")] = 300
    emissions[3001, tags.index("O")] = 300
    ids = model.decoder.decode(emissions, model.layout)
    sentences = [spans([tags[i] for i in some]) for some in np.split(ids, [5000, 5001])]
    assert Span(999, 3001, "A") in sentences[0]
    found = model.decoder.span_probabilities(emissions, model.layout, sentences, 2.0)
    assert all(0 < probability <= 1 for some in found for probability in some)
    assert found[0][sentences[0].index(Span(999, 3001, "A"))] == pytest.approx(1, abs=1e-9)
    likelihood = model.decoder.log_likelihood(emissions, ids, model.layout)
    assert -1e5 < likelihood < 0
    # Scores that contradict what the scheme allows give a number, too
    emissions[:, inside] = 1e6
    (first, *_) = model.decoder.span_probabilities(
        emissions, model.layout, [[Span(0, 5000, "A")], [Span(0, 1, "A")], []]
    )
    assert 0 <= first[0] <= 1


def test_without_spans_there_is_nothing_to_do() -> None:
    model = make_model(["A"], "IOB2", [2, 3], 0)
    assert model.decoder.span_probabilities(model.emissions, model.layout, [[], []]) == [[], []]
