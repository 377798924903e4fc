"""CoNLL files against the reader of `datasets`, and read again after they were written."""

from itertools import groupby
from pathlib import Path

import datasets
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tagger.corpus.conll import SPLITS, ConllFile, ConllLayout, check_tags, read_conll, write_conll
from tagger.files import InputError
from tests.conftest import INPUTS

BOM = "\ufeff"
# What str.split takes for white space, line breaks among them.
WHITE_SPACE = "\t\n\v\f\r \x1c\x1d\x1e\x1f\x85\xa0\u2000\u2028\u2029\u3000"
ODD = f'#"\\\0\x1b\u00ad\u0301\u200b\u200e\u2060{BOM}'  # which some programs leave out
BLANKS = [c for c in WHITE_SPACE if c not in "\t\n\r"]
# Any characters, every other one odd. (Of a union of characters st.text would draw evenly.)
TOKENS = (
    st.lists(
        st.sampled_from([*ODD, *BLANKS])
        | st.characters(codec="utf-8", exclude_characters="\t\n\r"),
        min_size=1,
    )
    .map(lambda characters: "".join(characters).strip())
    .filter(lambda token: token not in ("", "-DOCSTART-") and BOM not in (token[0], token[-1]))
)
TAGS = st.sampled_from(["O", "B-PER", "I-PER", "S-X-Y"])
SENTENCES = st.lists(st.lists(st.tuples(TOKENS, TAGS, TAGS), min_size=1, max_size=5), min_size=1)

Row = tuple[str, ...]


@example(sentences=[[("a b", "O", "O")]], size=1)
@given(sentences=SENTENCES, size=st.integers(1, 3))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[Row]], size: int
) -> None:
    """The sentences stand in documents of `size` sentences."""
    path = tmp_path_factory.getbasetemp() / "predictions.conll"
    documents = [i // size for i in range(len(sentences))]
    columns = [[[row[i] for row in rows] for rows in sentences] for i in range(3)]
    write_conll(path, *columns, documents=documents)
    found = read_conll("predictions.conll", path.read_bytes(), tag_columns=2)
    assert [list(zip(*s.columns, strict=True)) for s in found] == sentences
    assert [s.document for s in found] == documents
    assert [[s.tokens for s in found], [s.tags for s in found]] == [columns[0], columns[2]]
    lines = path.read_text(encoding="utf-8").split("\n")
    for sentence in found:
        for token, number in zip(sentence.tokens, sentence.lines, strict=True):
            assert lines[number - 1].startswith((f"{token} ", f"{token}\t"))


@pytest.mark.parametrize("split", SPLITS)
def test_the_sample_is_read_as_datasets_reads_it(tmp_path: Path, split: str) -> None:
    path = INPUTS / "corpora/sample" / f"{split}.conll"
    table = datasets.load_dataset(
        "conll",
        data_files=str(path),
        split="train",
        column_names=["tokens", "tags"],
        skip_docstart=False,
        cache_dir=str(tmp_path),
    )
    is_start = [tokens == ["-DOCSTART-"] for tokens in table["tokens"]]
    expected = [
        (tokens, tags, sum(is_start[:i]) - 1)
        for i, (tokens, tags) in enumerate(zip(table["tokens"], table["tags"], strict=True))
        if not is_start[i]
    ]
    found = read_conll(str(path), path.read_bytes())
    assert [(s.tokens, s.tags, s.document) for s in found] == expected


@given(st.lists(st.sampled_from(["a O", "b x B-X", "-DOCSTART-", "-DOCSTART- O", "", " \t", "c"])))
def test_lines_are_grouped_into_sentences_or_refused_at_the_first_bad_one(
    lines: list[str],
) -> None:
    widths = [len(line.split()) for line in lines]
    is_token = ["DOCSTART" not in line and bool(line.strip()) for line in lines]
    first = next((w for w, token in zip(widths, is_token, strict=True) if token), 0)
    bad = [i for i, w in enumerate(widths, 1) if is_token[i - 1] and w != max(first, 2)]
    data = "\n".join(lines).encode()
    if bad or not first:
        with pytest.raises(InputError, match=f"line {bad[0]}: " if bad else "holds no sentence"):
            read_conll("x", data)
        return
    blocks = [
        [number for number, _ in block]
        for token, block in groupby(enumerate(is_token, 1), key=lambda line: line[1])
        if token
    ]
    found = read_conll("x", data)
    assert [list(s.lines) for s in found] == blocks


def test_it_does_not_matter_how_many_lines_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that comes again is not split again."""
    lines = ["a O", "# O", "b B-X", "", " O", "a O", "", "# x y", "# O", "b B-X", "a O", " O", ""]
    data = "\n".join(lines * 3).encode()
    expected = read_conll("x", data)
    assert [s.tokens for s in expected] == [["a", "#", "b"], ["", "a"], ["#", "b", "a", ""]] * 3
    for most in (1, 2, 3):
        monkeypatch.setattr("tagger.corpus.conll.MOST_KNOWN", most)
        assert read_conll("x", data) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", BOM])
def test_a_bad_byte_is_found_by_line_in_any_layout(end: str, mark: str) -> None:
    data = f"{mark}é O{end}{end}Z".encode() + b"\xfcrich O"
    with pytest.raises(InputError, match=r"^x, line 3: byte 0xfc is not UTF-8; save the file as"):
        read_conll("x", data)


@pytest.mark.parametrize("character", WHITE_SPACE.replace("\n", "").replace("\r", ""))
def test_white_space_of_ascii_separates_columns_and_other_stays_in_the_token(
    character: str,
) -> None:
    (sentence,) = read_conll("x", f"é{character}b B-X\nc{character}d O".encode())
    first = ["é", "c"] if character.isascii() else [f"é{character}b", f"c{character}d"]
    assert sentence.columns == (first, ["B-X", "O"])
    (sentence,) = read_conll("x", f"é{character}B-X\nc{character}O".encode())
    assert sentence.columns == (["é", "c"], ["B-X", "O"]), "where nothing else does"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n", "x, line 1: 'a' has no tag; a line needs at least 3 columns"),
        ("\na O\n", "x, line 2: 'a O' has too few tags; a line needs at least 3 columns"),
        (
            "a x O O\n\nb\tO O\n",
            r"x, line 3: 3 columns, but the lines before it have 4: 'b\\tO O'; give each line",
        ),
    ],
)
def test_predictions_without_two_tags_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_conll("x", text.encode(), tag_columns=2)


@pytest.mark.parametrize("line", ["-DOCSTART- B-PER", "-DOCSTART- NNP I-NP S-LOC"])
def test_an_entity_is_not_taken_for_the_start_of_a_document(line: str) -> None:
    with pytest.raises(InputError, match=f"^x, line 2: '{line}' starts a document, and cannot be"):
        read_conll("x", f"a O\n{line}\nb O\n".encode())


@pytest.mark.parametrize(
    ("line", "layout"),
    [("1 -DOCSTART- B-PER", ConllLayout(token=1)), ("-DOCSTART- B-PER x", ConllLayout(tag=1))],
)
def test_nor_is_it_where_columns_are_named(line: str, layout: ConllLayout) -> None:
    with pytest.raises(InputError, match=f"^x, line 2: '{line}' starts a document, and cannot be"):
        ConllFile("x", f"a b O\n{line}\n".encode(), layout=layout).read()


@pytest.mark.parametrize("line", ["-DOCSTART-", "-DOCSTART- O", "-DOCSTART- -X- -X- O"])
def test_any_other_line_with_the_mark_starts_a_document(line: str) -> None:
    found = read_conll("x", f"{line}\n\na O\n\n{line}\n\nb O\n".encode())
    assert [sentence.document for sentence in found] == [0, 1]


def test_tags_are_checked_in_every_column_of_tags() -> None:
    check_tags(read_conll("x", b"a NNP O B-X\nb ? I-X O\n", tag_columns=2))
    with pytest.raises(InputError, match=r"x, line 2: 'P' is not a tag: .*; in the sentence: a b$"):
        check_tags(read_conll("x", b"a NNP O B-X\nb ? P O\n", tag_columns=2))


@pytest.mark.parametrize(
    "token",
    ["", " ", " a", "a\tb", "a\nb", "a\rb", "a\xa0", "a\u2028", "-DOCSTART-", f"{BOM}a", f"a{BOM}"],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, token: str) -> None:
    with pytest.raises(InputError, match=r"x\.conll: .* cannot be written as 2 columns"):
        write_conll(tmp_path / "x.conll", [[token]], [["O"]], documents=[0])
