"""Batches hold each sentence once, whole, and next to no padding."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tagger.split import IGNORED, Split, batches


def make(lengths: list[int]) -> Split:
    tokens = sum(lengths)
    return Split(
        words=torch.arange(tokens, dtype=torch.int32),
        tags=torch.arange(tokens, dtype=torch.int32) % 5,
        offsets=torch.tensor([0, *np.cumsum(lengths)]),
        documents=torch.zeros(len(lengths), dtype=torch.int32),
    )


lengths_of_sentences = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(lengths_of_sentences, st.integers(1, 8), st.integers(0, 9))
def test_batches_hold_every_token_once(lengths: list[int], size: int, seed: int) -> None:
    split = make(lengths)
    seen = []
    for sentences in batches(split.lengths, size, np.random.default_rng(seed)):
        assert 1 <= len(sentences) <= size
        batch = split.batch(sentences, padding=-7)
        for row, sentence in enumerate(sentences.tolist()):
            start, end = split.offsets[sentence : sentence + 2].tolist()
            words = batch.words[row].tolist()
            padding = len(words) - (end - start)
            assert words == list(range(start, end)) + [-7] * padding
            expected = [word % 5 for word in range(start, end)] + [IGNORED] * padding
            assert batch.tags[row].tolist() == expected
        assert torch.equal(batch.words[batch.mask].long(), batch.positions)
        seen += batch.positions.tolist()
    assert sorted(seen) == list(range(sum(lengths)))


@given(lengths_of_sentences, st.integers(1, 8))
def test_batches_are_of_like_length(lengths: list[int], size: int) -> None:
    ordered = sorted(batches(torch.tensor(lengths), size), key=lambda b: lengths[int(b[0])])
    flat = [lengths[i] for sentences in ordered for i in sentences.tolist()]
    assert flat == sorted(lengths)


def test_batches_differ_from_epoch_to_epoch_and_repeat_with_the_seed() -> None:
    lengths = torch.tensor([3] * 50 + [4] * 50)

    def two_epochs(seed: int) -> list[list[list[int]]]:
        random = np.random.default_rng(seed)
        return [[b.tolist() for b in batches(lengths, 8, random)] for _ in range(2)]

    first, second = two_epochs(1)
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))
    assert two_epochs(1) == [first, second]
    assert two_epochs(2) != [first, second]


def test_a_split_reads_what_it_wrote_and_writes_the_same_bytes(tmp_path: Path) -> None:
    split = make([2, 1, 3])
    for name in ("one", "another"):
        split.write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "another").read_bytes()
    again = Split.read(tmp_path / "one")
    for name, tensor in vars(split).items():
        assert torch.equal(vars(again)[name], tensor)
        assert vars(again)[name].dtype == tensor.dtype


def test_tags_by_sentence() -> None:
    split = make([2, 1])
    assert split.sentences(torch.tensor([1, 0, 1]), ["O", "B-X"]) == [["B-X", "O"], ["B-X"]]


def test_no_sentence_is_padded_much_on_lengths_like_the_corpus() -> None:
    lengths = torch.from_numpy(np.random.default_rng(0).geometric(1 / 14.5, 14_000).clip(1, 113))
    padded = sum(int(lengths[b].max()) * len(b) for b in batches(lengths, 32))
    assert padded == pytest.approx(int(lengths.sum()), rel=0.02)
