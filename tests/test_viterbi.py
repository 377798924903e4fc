"""Decoding against enumeration of every sequence."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.tags import is_allowed, tag_set, transitions
from tagger.viterbi import constraints, decode

TAGS = tag_set(["PER", "LOC"])


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_decode_finds_the_best_allowed_sequence(seed: int, lengths: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    emissions = torch.randn(len(lengths), max(lengths), len(TAGS), generator=generator)
    scores = constraints(TAGS)
    paths = decode(emissions, torch.tensor(lengths), *scores)
    for i, length in enumerate(lengths):
        allowed = (
            sequence
            for sequence in itertools.product(range(len(TAGS)), repeat=length)
            if all(
                is_allowed(left, right, "IOB2")
                for left, right in transitions([TAGS[tag] for tag in sequence])
            )
        )
        best = max(
            allowed,
            key=lambda sequence: sum(emissions[i, t, tag].item() for t, tag in enumerate(sequence)),
        )
        assert paths[i, :length].tolist() == list(best)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_decode_counts_learned_transitions_too(seed: int, lengths: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    tags = 4
    emissions = torch.randn(len(lengths), max(lengths), tags, generator=generator)
    between = torch.randn(tags, tags, generator=generator)
    starts, ends = torch.randn(2, tags, generator=generator)

    def total(i: int, sequence: tuple[int, ...]) -> float:
        scores = [emissions[i, t, tag] for t, tag in enumerate(sequence)]
        scores += [between[pair] for pair in itertools.pairwise(sequence)]
        scores += [starts[sequence[0]], ends[sequence[-1]]]
        return sum(score.item() for score in scores)

    paths = decode(emissions, torch.tensor(lengths), between, starts, ends)
    for i, length in enumerate(lengths):
        every = itertools.product(range(tags), repeat=length)
        best = max(total(i, sequence) for sequence in every)
        assert total(i, tuple(paths[i, :length].tolist())) == pytest.approx(best, abs=1e-5)
