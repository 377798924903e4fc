"""Batches hold each sentence once, whole, and next to no padding."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tagger.encoding.layout import Layout
from tagger.encoding.split import Split, batches, cut_by_cells
from tests.factories import make_split

lengths_of_sentences = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(lengths_of_sentences, st.integers(1, 8), st.integers(0, 9))
def test_batches_hold_every_token_once(lengths: list[int], size: int, seed: int) -> None:
    split = make_split(lengths, seed)
    context = np.random.default_rng(seed).random((sum(lengths), 3), dtype=np.float32)

    def features(sentences: np.ndarray, tokens: np.ndarray, layout: Layout) -> np.ndarray:
        assert (split.offsets[sentences] == tokens[layout.first]).all()
        found: np.ndarray = context[tokens]
        return found

    seen = []
    for sentences in batches(split.lengths, size, np.random.default_rng(seed)):
        assert 1 <= len(sentences) <= size
        batch = split.batch(sentences, features)
        expected = [
            position
            for sentence in sentences.tolist()
            for position in range(*split.offsets[sentence : sentence + 2].tolist())
        ]
        assert batch.positions.tolist() == expected
        types = split.token_types[batch.positions]
        for name in ("words", "train_tokens", "characters"):
            of_tokens = vars(batch)[name][batch.token_types]
            assert np.array_equal(of_tokens, vars(split)[name][types]), name
        assert np.array_equal(batch.context, context[batch.positions])
        assert len(batch.words) == len(set(types.tolist())), "each token type once"
        ends = np.cumsum([lengths[i] for i in sentences.tolist()])
        assert batch.layout.last.tolist() == (ends - 1).tolist()
        seen += expected
    assert sorted(seen) == list(range(sum(lengths)))


@given(lengths_of_sentences, st.integers(1, 8))
def test_batches_are_of_like_length(lengths: list[int], size: int) -> None:
    ordered = sorted(batches(np.array(lengths), size), key=lambda b: lengths[int(b[0])])
    flat = [lengths[i] for sentences in ordered for i in sentences.tolist()]
    assert flat == sorted(lengths)


@given(lengths_of_sentences, st.integers(1, 30))
def test_batches_for_tagging_hold_each_sentence_once_and_keep_to_their_size(
    lengths: list[int], cells: int
) -> None:
    cut = cut_by_cells(np.array(lengths), cells)
    flat = [number for sentences in cut for number in sentences.tolist()]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[i] for i in flat] == sorted(lengths)
    sizes = [len(sentences) * lengths[sentences[-1]] for sentences in cut]
    assert all(n <= cells for n, sentences in zip(sizes, cut, strict=True) if len(sentences) > 1)
    for sentences, others in pairwise(cut):
        assert (len(sentences) + 1) * lengths[others[0]] > cells, "none is smaller than need be"


def test_batches_differ_from_epoch_to_epoch_and_repeat_with_the_seed() -> None:
    lengths = np.array([3] * 50 + [4] * 50)

    def two_epochs(seed: int) -> list[list[list[int]]]:
        random = np.random.default_rng(seed)
        return [[b.tolist() for b in batches(lengths, 8, random)] for _ in range(2)]

    first, second = two_epochs(1)
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))
    assert two_epochs(1) == [first, second]
    assert two_epochs(2) != [first, second]


def test_a_split_reads_what_it_wrote_and_writes_the_same_bytes(tmp_path: Path) -> None:
    untagged = make_split([2, 1, 3])
    for split in (untagged, replace(untagged, tags=np.arange(6, dtype=np.int32))):
        for name in ("one", "another"):
            split.write(tmp_path / name)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "another").read_bytes()
        again = vars(Split.read(tmp_path / "one"))
        assert (again["tags"] is None) == (split.tags is None)
        for name, array in vars(split).items():
            if array is not None:
                assert np.array_equal(again[name], array)
                assert again[name].dtype == array.dtype


def test_tags_by_sentence() -> None:
    split = make_split([2, 1])
    assert split.by_sentence(np.array([1, 0, 1]), ["O", "B-X"]) == [["B-X", "O"], ["B-X"]]
