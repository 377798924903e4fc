"""Tokens have word ids and character ids, whatever they are made of."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.corpus.conll import MAX_TOKENS
from tagger.encoding.encoder import Encoder
from tagger.encoding.vocabulary import LONGEST, Match, Vocabulary, character_ids
from tagger.files import InputError, write_lines
from tests.factories import ENCODER


def test_a_token_is_looked_up_as_it_stands_then_in_lower_case() -> None:
    vocabulary = Vocabulary(["may", "May", "us"])
    assert vocabulary.look_up("May") == Match(1, "exact")
    assert vocabulary.look_up("MAY") == Match(0, "lower")
    assert vocabulary.look_up("them") == Match(3, "unknown")
    assert vocabulary.padding == 4


@given(st.lists(st.text(min_size=1)))
def test_any_token_has_character_ids_of_one_width(tokens: list[str]) -> None:
    ids = character_ids(tokens, {"a": 2, "b": 3})
    assert ids.shape == (len(tokens), LONGEST)
    for row, token in zip(ids.tolist(), tokens, strict=True):
        length = min(len(token), LONGEST)
        assert set(row[:length]) <= {1, 2, 3}
        assert row[length:] == [0] * (LONGEST - length)
        assert row[0] == {"a": 2, "b": 3}.get(token[0], 1)


def test_character_ids_keep_both_ends_of_a_long_token() -> None:
    ids = {"a": 2, "z": 3}
    short, long = character_ids(["az?", "a" * 5000 + "z" * 5000], ids).tolist()
    assert short[:4] == [2, 3, 1, 0]
    assert long == [2] * 12 + [3] * 12


def test_an_encoder_reads_what_it_saved(tmp_path: Path) -> None:
    write_lines(tmp_path / "words.txt", ["the", "may"])
    encoder = Encoder.fit(["the", "may"], [["The", "x\u2028y"], ["May", "The"]])
    encoder.save(tmp_path)
    again = Encoder.load(tmp_path, tmp_path)
    assert again.vocabulary.rows == encoder.vocabulary.rows
    assert again.train_tokens == encoder.train_tokens == {"May": 1, "The": 2, "x\u2028y": 3}
    assert again.characters == encoder.characters
    assert list(again.characters.values()) == list(range(2, 2 + len(set("TheMayx\u2028y"))))


@pytest.mark.parametrize("sentences", [[["a"], []], [["a"], ["b", ""]]])
def test_what_is_empty_is_refused(sentences: list[list[str]]) -> None:
    with pytest.raises(InputError, match=r"sentence 1 \(from 0\) has no token, or an empty one: "):
        ENCODER.encode(sentences, [0, 0])


def test_a_number_that_comes_again_is_another_document() -> None:
    sentences = [["May"], ["the"], ["MAY"], ["a"]]
    split, same = (ENCODER.encode(sentences, numbers) for numbers in ([7, 8, 7, 8], [1, 2, 3, 4]))
    for name, array in vars(split).items():
        assert array is vars(same)[name] is None or np.array_equal(array, vars(same)[name]), name


def test_encoding_gives_each_token_its_ids() -> None:
    encoder = Encoder.fit(["the", "may"], [["The", "May"]])
    split = encoder.encode([["the", "May", "?"], ["MAY", "May"]], [4, 5])
    types = split.token_types
    assert split.words[types].tolist() == [0, 1, 2, 1, 1]
    assert split.train_tokens[types].tolist() == [0, 1, 0, 0, 1]
    assert types[1] == types[4]
    assert split.offsets.tolist() == [0, 3, 5]
    assert split.documents.tolist() == [0, 1]
    assert split.tags is None


def test_a_long_sentence_becomes_several_of_one_document() -> None:
    long = ["May"] * (2 * MAX_TOKENS + 1)
    split = ENCODER.encode([["a"], long, ["b"], long[:MAX_TOKENS]], [3, 3, 3, 4])
    assert split.lengths.tolist() == [1, MAX_TOKENS, MAX_TOKENS, 1, 1, MAX_TOKENS]
    assert split.documents.tolist() == [0, 0, 0, 0, 0, 1]
    cut = ENCODER.encode(
        [["a"], *(long[:n] for n in (MAX_TOKENS, MAX_TOKENS, 1)), ["b"], long[:MAX_TOKENS]],
        [3, 3, 3, 3, 3, 4],
    )
    for name, array in vars(split).items():
        assert array is vars(cut)[name] is None or np.array_equal(array, vars(cut)[name]), name
