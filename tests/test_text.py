"""Raw text is split into sentences of tokens, by rules that hold for any text."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tagger.text
from benchmarks.text import RawText, detokenize, shares_found
from stages.download import download
from tagger.corpus.conll import MAX_TOKENS
from tagger.text import split_text, split_words
from tests.conftest import INPUTS, MIRROR


def tokens_of(text: str, *, wrapped: bool = False) -> list[list[str]]:
    return [[text[a:b] for a, b in tokens] for tokens in split_text(text, wrapped=wrapped)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # as NLTK 3.10's NLTKWordTokenizer split these invented sentences
        (
            "The quick brown fox jumps over the lazy dog.",
            "The quick brown fox jumps over the lazy dog .",
        ),
        (
            "Ann's sister, who lives in Oslo, didn't call.",
            "Ann 's sister , who lives in Oslo , did n't call .",
        ),
        (
            "It cost $3.50 (or 20%) more; nobody knew why!",
            "It cost $ 3.50 ( or 20 % ) more ; nobody knew why !",
        ),
        (
            '"We\'ll see," said the well-known Mr. Brown.',
            '" We \'ll see , " said the well-known Mr. Brown .',
        ),
        (
            "They've sold 1,250 tickets at 12:30 p.m. on Monday.",
            "They 've sold 1,250 tickets at 12:30 p.m. on Monday .",
        ),
        (
            "Is it the players' fault, or the coach's?",
            "Is it the players ' fault , or the coach 's ?",
        ),
        (
            "Wait... what is J. R. Smith's plan [again]?",
            "Wait ... what is J. R. Smith 's plan [ again ] ?",
        ),
    ],
)
def test_words_are_those_of_nltk(text: str, expected: str) -> None:
    assert [text[a:b] for a, b in split_words(text, 0, len(text))] == expected.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Hyphens, slashes, numbers and scores.
        ("A U.S.-led team won 6-3 6- 4", "A U.S.-led team won 6-3 6- 4"),
        ("two- and three-year-olds", "two- and three-year-olds"),
        ("and/or 3/4 1996/97 1-1/2", "and / or 3/4 1996/97 1-1/2"),
        ("1.25/1.30 on 2020-02-29", "1.25 / 1.30 on 2020-02-29"),
        ("-5 +3 .576 90%", "- 5 +3 .576 90 %"),
        ("1996–97 or Rome–Oslo", "1996–97 or Rome – Oslo"),
        ("10,20 and a,b", "10,20 and a , b"),
        ("US$5m €3 £2", "US$ 5m € 3 £ 2"),
        # Apostrophes and quotes, straight and curly.
        ("O'Brien's o'clock", "O'Brien 's o'clock"),
        ("don’t can't I’d’ve", "do n’t ca n't I ’d ’ve"),
        ("‘Well’ “so”", "‘ Well ’ “ so ”"),
        ("in the '90s 'N'Djamena'", "in the ' 90s ' N'Djamena '"),
        ("Inc.'s IT'S", "Inc. 's IT 'S"),
        # Full stops.
        ("Mr. T. Jones (U.S.) met Dr. No", "Mr. T. Jones ( U.S. ) met Dr. No"),
        ("from the U.S.", "from the U.S."),
        ("from Acme Inc.", "from Acme Inc ."),
        ("1. first", "1. first"),
        ("so.. well.... and…", "so .. well .... and …"),
        # Runs of punctuation.
        ("he -- a---b — c", "he -- a --- b — c"),
        ("((a)) **b** !!! ?!", "( ( a ) ) ** b ** !!! | ? !"),
        # The web.
        (
            "See https://example.org/a?b=c,d. Mail a.b@example.com, @you #tag",
            "See https://example.org/a?b=c,d . | Mail a.b@example.com , @you #tag",
        ),
        ("(www.example.org)", "( www.example.org )"),
        # Other scripts, emoji, marks; what shows nothing.
        ("👩‍🚀👍🏽 ok❤️", "👩‍🚀👍🏽 ok ❤️"),
        ("हिन्दी में। नमस्ते।", "हिन्दी में । | नमस्ते ।"),
        ("中文没有空格。第二句，对。", "中文没有空格 。 | 第二句 ， 对 。"),
        ("\u200fשלום, \u202bעולם\u202c؟", "שלום , עולם ؟"),
        ("\ufeffa\0b\u200bc\xa0d", "a b c d"),
        ("cafe\u0301 (\u0301)\u0308", "cafe\u0301 (\u0301 )\u0308"),
        ("x\ud800y", "x\ud800y"),
        # Sentences.
        ("He left. She stayed! Why? No idea.", "He left . | She stayed ! | Why ? | No idea ."),
        ('"Why?" he asked. "No." She ran.', '" Why ? " he asked . | " No . " | She ran .'),
        ("(He left.) She stayed.", "( He left . ) | She stayed ."),
        ("in Boston, Mass. The end.", "in Boston , Mass . | The end ."),
        ("the U.S. He is a U.S. citizen.", "the U.S. | He is a U.S. citizen ."),
        ("Acme Inc. Chairman J. A. Li spoke.", "Acme Inc. Chairman J. A. Li spoke ."),
        ("No. 1 on Aug. 5. Jan. was cold.", "No. 1 on Aug. 5 . | Jan. was cold ."),
        ("all lower. still two.", "all lower . | still two ."),
        ("Yahoo! said ... well.", "Yahoo ! said ... well ."),
        ("A Headline\nIt has\r\n\r\nEnd.\u2028x\x85y", "A Headline | It has | End . | x | y"),
    ],
)  # fmt: skip
def test_texts(text: str, expected: str) -> None:
    assert tokens_of(text) == [sentence.split() for sentence in expected.split(" | ")]


def test_in_wrapped_text_an_empty_line_ends_a_sentence() -> None:
    text = "One that goes\r\non. Two\n\nA title\n \t\nThree."
    expected = [["One", "that", "goes", "on", "."], ["Two"], ["A", "title"], ["Three", "."]]
    assert tokens_of(text, wrapped=True) == expected


INVISIBLE = "\ufeff\u200b\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def is_left_out(char: str) -> bool:
    """White space, control characters, and what the module's docstring says shows nothing."""
    return char.isspace() or unicodedata.category(char) == "Cc" or char in INVISIBLE


ANY = st.characters(codec=None)  # surrogates, too
LIKELY = st.sampled_from(
    [
        *"aZé1 .,'\"-()/:$!?\n\r\t\0*@#’”…—。\u0301\u200d\u0e31\U0001e8d0\ud800😀",
        *[
            "n't",
            "'s",
            "Mr.",
            "U.S.",
            "Inc.",
            "http://",
            "www.",
            "1,000",
            "...",
            "--",
            "\r\n",
            "The",
        ],
    ]
)
texts = st.one_of(st.text(ANY), st.lists(st.one_of(LIKELY, ANY)).map("".join))


@given(texts, st.booleans())
@example("", False)
@example(" \0\n", True)
def test_no_character_is_lost_or_invented(text: str, wrapped: bool) -> None:
    sentences = split_text(text, wrapped=wrapped)
    assert all(sentences), "no sentence is empty"
    left = 0
    for start, end in [span for sentence in sentences for span in sentence]:
        assert left <= start < end
        assert all(map(is_left_out, text[left:start]))
        assert not any(map(is_left_out, text[start:end]))
        left = end
        between_marks = end < len(text) and unicodedata.category(text[end])[0] == "M"
        assert not between_marks, "a mark stays with its base"
    assert all(map(is_left_out, text[left:]))


def test_every_space_and_mark_of_unicode_is_known() -> None:
    for code in [*range(0x20000), *range(0xE0000, 0xE0200)]:  # there are none elsewhere
        char = chr(code)
        if is_left_out(char):
            assert split_text(f"a{char}") == [[(0, 1)]], hex(code)
        elif unicodedata.category(char)[0] == "M":
            assert split_text(f"({char}") == [[(0, 2)]], hex(code)


N = 20_000


@pytest.mark.parametrize(
    ("unit", "tokens"),
    [
        ("a", 1), (".", 1), ('"', 1), (" ", 0), ("\n", 0), ("\u0301", 1), ("a.", 1), ("1,", 2),
        ("http://", 1), ("😀\u200d", 1), ("a'", None), ("n't", None), ("A. ", N + 1),
        ('."', 2 * N), (". (", 2 * N), ("\n ", 0), ("中。", 2 * N), ("Mr. ", N + 1), ("b, ", 2 * N),
    ],
)  # fmt: skip
def test_hostile_texts_end(unit: str, tokens: int | None) -> None:
    """With quadratic time, some of these would take ten seconds each."""
    assert split_text(unit * N + "\u0301")  # where what a run begins may come to nothing
    sentences = split_text(unit * N)
    assert tokens in (None, sum(map(len, sentences)))
    assert max(map(len, sentences), default=0) <= MAX_TOKENS


def test_long_sentences_are_cut_after_a_comma_where_there_is_one() -> None:
    word = "word " * (MAX_TOKENS - 10)
    first, second = split_text(f"{word}, {word}")
    assert (len(first), len(second)) == (MAX_TOKENS - 9, MAX_TOKENS - 10)
    without = split_text("word " * (2 * MAX_TOKENS + 1))
    assert [len(sentence) for sentence in without] == [MAX_TOKENS, MAX_TOKENS, 1]
    exact = split_text("word , " * (MAX_TOKENS // 2))
    assert [len(sentence) for sentence in exact] == [MAX_TOKENS]


def test_detokenized_text_holds_the_tokens() -> None:
    sentences = [
        "MEETING IN ROME",
        '" We do n\'t know , " she said ( again ) .',
        "The players ' fees rose 5 % to US$ 3 and / or less .",
    ]
    tokens = [sentence.split() for sentence in sentences]
    text, spans = detokenize(tokens)
    assert text == (
        'MEETING IN ROME\n"We don\'t know," she said (again). '
        "The players' fees rose 5% to US$3 and/or less."
    )
    assert [[text[a:b] for a, b in sentence] for sentence in spans] == tokens
    assert split_text(text) == spans


@pytest.mark.slow
@pytest.mark.skipif(not MIRROR.is_dir(), reason=f"no mirror of conllpp at {MIRROR}")
def test_tokens_and_sentences_of_conllpp_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONLLPP_MIRROR", str(MIRROR / "conllpp"))
    download(INPUTS / "corpora/conllpp", tmp_path / "corpus", corpus="conllpp", held_out=0.1)
    table = pd.read_parquet(tmp_path / "corpus/validation.parquet")
    documents = [
        RawText(*detokenize(rows["tokens"].map(list)), entities=set())
        for _, rows in table.groupby("document")
    ]
    tokens, sentences = shares_found(documents, [split_text(d.text) for d in documents])
    assert tokens > 0.999
    assert sentences > 0.985


def operations(tree: Any) -> Iterator[tuple[str, Any]]:
    """The operations of a parsed regular expression, at any depth, with their arguments."""
    if isinstance(tree, _parser.SubPattern):
        yield from ((str(name), argument) for name, argument in tree)
    if isinstance(tree, _parser.SubPattern | list | tuple):
        for part in tree:
            yield from operations(part)


def test_the_patterns_mean_the_same_in_each_python() -> None:
    """Python up to 3.11.4, which Debian 12 has, matches wrongly what is atomic and branches.

    See python/cpython#106052. Single characters are matched rightly.
    """
    patterns = [one for one in vars(tagger.text).values() if isinstance(one, re.Pattern)]
    found = [use for one in patterns for use in operations(_parser.parse(one.pattern, one.flags))]
    atomic = [argument for name, argument in found if name == "POSSESSIVE_REPEAT"]
    assert len(atomic) > 10
    for _, _, repeated in atomic:
        ((name, _),) = repeated
        assert str(name) in ("IN", "LITERAL", "NOT_LITERAL")
    assert "ATOMIC_GROUP" not in dict(found)
