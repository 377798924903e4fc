"""Tagged documents in each format, read back by readers of our own; and hostile input files."""

import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.corpus.conll import read_conll, write_conll
from tagger.corpus.tags import spans
from tagger.document import Document, Entity
from tagger.files import InputError
from tagger.formats.read import INPUT_FORMATS, read_documents
from tagger.formats.write import (
    FILE_WRITERS,
    Write,
    brat_writer,
    conll_writer,
    doccano_writer,
    jsonl_writer,
    labelstudio_writer,
    printable,
    terminal_writer,
)

# Any characters, and often those that some program takes for two, for none, or for a line end.
# (A union of single characters would do so no longer: Hypothesis makes one set of them.)
ODD = [*"aé \n\r\t\0\x0b\x1b\x1c\x85\xa0\u0301\u200d\u2028\u202e\ufeffא😀👩", "\r\n", "Ann", " - "]
TEXTS = st.lists(st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]))).map(
    "".join
)
TOKENS = re.compile(r"\w+|\S")


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document with a sentence a line, and with some runs of its tokens as entities."""
    text = draw(TEXTS)
    sentences = []
    entities = []
    for line in re.finditer(r"[^\n]+", text):
        tokens = [token.span() for token in TOKENS.finditer(text, *line.span())]
        sentences.append(tokens)
        i = 0
        while i < len(tokens):
            length = draw(st.integers(0, 3))
            if length:
                start, end = tokens[i][0], tokens[min(i + length, len(tokens)) - 1][1]
                label = draw(st.sampled_from(["PER", "LOC"]))
                score = draw(st.floats(0, 1))
                entities.append(Entity(start, end, label, score, text[start:end]))
            i += length or 1
    id = draw(st.none() | st.integers() | TEXTS)
    return Document(text, id, {"kept": text}, sentences, entities)


DOCUMENTS = st.lists(documents(), max_size=3)
Spans = list[tuple[str, str]]  # the text of each entity, and its label


def expected(document: Document) -> Spans:
    return [(entity.text, entity.label) for entity in document.entities]


def written(
    writer: Callable[[TextIO], AbstractContextManager[Write]], documents: Sequence[Document]
) -> str:
    """What a writer writes, as it stands in a file: UTF-8."""
    file = io.StringIO()
    with writer(file) as write:
        for document in documents:
            write(document)
    return file.getvalue().encode().decode()


def json_lines(text: str) -> Iterator[dict[str, object]]:
    """The objects in JSON Lines, by a reader that also ends lines where Python's strings do."""
    return map(json.loads, text.splitlines())


@given(DOCUMENTS)
def test_json_lines_have_the_offsets_of_pythons_strings(documents: list[Document]) -> None:
    found: list[dict[str, object]] = list(json_lines(written(jsonl_writer, documents)))
    assert len(found) == len(documents)
    for record, document in zip(found, documents, strict=True):
        assert list(record) == ["id", "text", "entities", "kept"]
        text, entities = record["text"], record["entities"]
        assert isinstance(text, str)
        assert isinstance(entities, list)
        assert (record["id"], text, record["kept"]) == (document.id, document.text, document.text)
        assert [(text[e["start"] : e["end"]], e["label"]) for e in entities] == expected(document)
        for entity, tagged in zip(entities, document.entities, strict=True):
            assert entity["text"] == tagged.text
            assert entity["score"] == pytest.approx(tagged.score, abs=5e-5)


@given(DOCUMENTS)
def test_doccano_counts_utf_16_units(documents: list[Document]) -> None:
    found = list(json_lines(written(doccano_writer, documents)))
    assert len(found) == len(documents)
    for record, document in zip(found, documents, strict=True):
        text, labels = record["text"], record["label"]
        assert isinstance(text, str)
        assert isinstance(labels, list)
        units = text.encode("utf-16-le")  # two bytes each
        spans = [(units[2 * s : 2 * e].decode("utf-16-le"), label) for s, e, label in labels]
        assert (text, spans) == (document.text, expected(document))


@given(DOCUMENTS)
def test_label_studio_counts_code_points(documents: list[Document]) -> None:
    tasks = json.loads(written(labelstudio_writer, documents))
    assert len(tasks) == len(documents)
    for task, document in zip(tasks, documents, strict=True):
        code_points = list(task["data"]["text"])  # as its editor has them: [...text]
        (prediction,) = task["predictions"]
        values = [result["value"] for result in prediction["result"]]
        found = [("".join(code_points[v["start"] : v["end"]]), *v["labels"]) for v in values]
        assert found == [(v["text"], *v["labels"]) for v in values] == expected(document)
        assert ("score" in prediction) == bool(document.entities)
        assert {r["from_name"] for r in prediction["result"]} <= {"label"}
        assert task["data"]["kept"] == document.text


@given(DOCUMENTS)
def test_brat_reads_back_text_and_fragments(
    tmp_path_factory: pytest.TempPathFactory, documents: list[Document]
) -> None:
    folder = tmp_path_factory.mktemp("brat") / "folder"
    with brat_writer(folder, ["LOC", "PER"]) as write:
        for document in documents:
            write(document)
    files = sorted(path.name for path in folder.iterdir())
    assert len(files) == 2 * len(documents) + 1
    texts: dict[str, list[list[tuple[int, int, str]]]] = {}
    for path in folder.glob("*.txt"):
        text = path.read_bytes().decode()
        # brat reads the lines of codecs, which str.splitlines makes.
        lines = path.with_suffix(".ann").read_bytes().decode().splitlines()
        found = []
        for line, note in zip(lines[::2], lines[1::2], strict=True):
            (id, head, covered), (_, target, score) = line.split("\t"), note.split("\t")
            label, offsets = head.split(" ", 1)
            fragments = [tuple(map(int, pair.split(" "))) for pair in offsets.split(";")]
            assert " ".join(text[start:end] for start, end in fragments) == covered
            assert (target, 0 <= float(score) <= 1) == (f"AnnotatorNotes {id}", True)
            found.append((fragments[0][0], fragments[-1][1], label))
        texts.setdefault(text, []).append(found)
    for document in documents:
        candidates = texts[document.text.replace("\r", " ")]
        assert [(e.start, e.end, e.label) for e in document.entities] in candidates
    conf = (folder / "annotation.conf").read_text(encoding="utf-8")
    assert conf == "[entities]\nLOC\nPER\n[relations]\n[events]\n[attributes]\n"


@given(DOCUMENTS)
def test_conll_keeps_tokens_tags_and_documents(documents: list[Document]) -> None:
    documents = [
        document
        for document in documents
        if any(document.sentences or ())
        and "-DOCSTART-" not in document.text
        and "\ufeff" not in document.text
    ]
    if not documents:
        return
    sentences = read_conll("out.conll", written(conll_writer, documents).encode())
    for number, document in enumerate(documents):
        mine = [sentence for sentence in sentences if sentence.document == number]
        tokens = [[document.text[s:e] for s, e in row] for row in document.sentences or () if row]
        assert [sentence.tokens for sentence in mine] == tokens
        found = [
            (" ".join(sentence.tokens[span.start : span.end]), span.type)
            for sentence in mine
            for span in spans(sentence.tags)
        ]
        offsets = [span for row in document.sentences or () for span in row]
        assert found == [
            (" ".join(document.text[s:e] for s, e in offsets if x.start <= s < x.end), x.label)
            for x in document.entities
        ]


@pytest.mark.parametrize("text", ["-DOCSTART-", "New York", "\ufeffNew"])
def test_conll_refuses_a_token_that_would_not_be_read_again(text: str) -> None:
    document = Document(text, "a.txt", sentences=[[(0, len(text))]])
    with pytest.raises(InputError, match=re.escape(f"the token {text!r}, at")):
        written(conll_writer, [document])


def test_a_label_that_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    document = Document("Ann", "a.txt", sentences=[[(0, 3)]])
    for label in ("a b", "a\tb", "a\xa0b"):
        tagged = replace(document, entities=[Entity(0, 3, label, 0.5, "Ann")])
        with pytest.raises(InputError, match=r"a\.txt: CoNLL cannot hold the label"):
            written(conll_writer, [tagged])
        assert json.loads(written(labelstudio_writer, [tagged]))
    for label in ("a b", "Ü", "a:b", ""):
        with (
            pytest.raises(InputError, match=re.escape(f"brat cannot have the label {label!r}")),
            brat_writer(tmp_path / "brat", ["PER", label]),
        ):
            pass
    assert not (tmp_path / "brat").exists()


@given(DOCUMENTS, st.booleans())
def test_a_terminal_gets_no_command_from_the_text(documents: list[Document], colour: bool) -> None:
    text = written(lambda file: terminal_writer(file, colour), documents)
    if colour:
        text = re.sub(r"\x1b\[[0-9;]+m", "", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", text)
    for document in documents:
        for entity in document.entities:
            shown = f"[{printable(entity.text)} {entity.label} {entity.score:.2f}]"
            assert shown in text


def test_what_a_terminal_can_show_stays() -> None:
    text = "Zürich\xa0\u3000😀 👩\u200d🔬 שלום\ttab\r\nline"
    assert printable(text) == text.replace("\r\n", "\n")
    assert printable("\x1b[31m\x9b\r\u202e\0") == r"\x1b[31m\x9b\r\u202e\x00"


def test_only_json_lines_and_terminals_are_told_of_an_error(tmp_path: Path) -> None:
    broken = [Document("", "a.txt", error="a.txt: bad\x1b")]
    assert written(jsonl_writer, broken) == '{"id": "a.txt", "error": "a.txt: bad\\u001b"}\n'
    assert written(lambda file: terminal_writer(file, False), broken) == (
        "a.txt\nerror: a.txt: bad\\x1b\n\n"
    )
    assert written(conll_writer, broken) == written(doccano_writer, broken) == ""
    assert json.loads(written(labelstudio_writer, broken)) == []
    with brat_writer(tmp_path / "brat", []) as write:
        write(broken[0])
    assert [path.name for path in (tmp_path / "brat").iterdir()] == ["annotation.conf"]


def test_brats_files_stay_in_the_folder_whatever_the_ids(tmp_path: Path) -> None:
    ids = ["../../x", "/etc/passwd", "a/b.txt", "a_b.txt", "a_b", ".hidden", "", None, 7, "y" * 999]
    with brat_writer(tmp_path / "brat", []) as write:
        for id in ids:
            write(Document(f"text of {id}", id))
    assert [path.name for path in tmp_path.iterdir()] == ["brat"]
    found = {path.stem: path.read_text() for path in (tmp_path / "brat").glob("*.txt")}
    assert found == {
        "_.._x": "text of ../../x", "_etc_passwd": "text of /etc/passwd",
        "a_b": "text of a/b.txt", "a_b-4": "text of a_b.txt", "a_b-5": "text of a_b",
        "hidden": "text of .hidden", "document": "text of ", "document-8": "text of None",
        "7": "text of 7", "y" * 50: f"text of {'y' * 999}",
    }  # fmt: skip


def read(tmp_path: Path, name: str, content: bytes, **options: object) -> list[Document]:
    (tmp_path / name).write_bytes(content)
    return list(read_documents(str(tmp_path / name), **options))  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("Ann")
    scandir = os.scandir

    def refuse(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(read_documents(str(tmp_path))) == [
        Document("Ann", "a.txt"), Document("", "sub", error="sub: Permission denied")
    ]  # fmt: skip


def test_sentences_of_conll_that_are_tagged_in_parts_are_told_once_a_file(tmp_path: Path) -> None:
    long = "a O\n" * 401
    whole = "a O\n" * 400
    (tmp_path / "a.conll").write_text(
        f"-DOCSTART- O\n\nx O\n\n{whole}\n\n{long}\n{long}-DOCSTART-\nx\n"
    )
    (tmp_path / "b.conll").write_text(f"{whole}\n\n{whole}-DOCSTART-\n{whole}")
    (tmp_path / "c.conll").write_text(long)
    (tmp_path / "d.txt").write_text(long.replace("\n", " "))
    told: list[str] = []
    documents = list(read_documents(str(tmp_path), warn=told.append))
    assert [len(sentence) for sentence in documents[0].sentences or ()] == [1, 400, 401, 401]
    assert told == [
        f"{name}: this sentence has more than 400 tokens, and is tagged in parts of 400; such "
        f"sentences in this file: {count}. Put an empty line after each of its sentences"
        for name, count in (("a.conll, line 407", 2), ("c.conll, line 1", 1))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t ",
        "a\0b",
        "CR\r\nLF\rCR",
        "😀 Ann",
        "e\u0301",
        "שלום Ann",
        "x" * 10_000,
        "é\n" * 500_000,
    ],
)
def test_plain_text_is_kept_to_the_character(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "a.txt", text.encode()) == [Document(text, "a.txt")]
    assert read(tmp_path, "a", b"\xef\xbb\xbf" + text.encode()) == [Document(text, "a")]


def test_a_line_of_plain_text_is_a_document_if_asked(tmp_path: Path) -> None:
    found = read(
        tmp_path, "a.txt", "\ufeffone\r\n\n \ntwo\u2028\r2\n\xff".encode("utf-8"), by_line=True
    )
    assert found == [
        Document("one", "a.txt:1"), Document("two\u2028\r2", "a.txt:4"), Document("\xff", "a.txt:5")
    ]  # fmt: skip
    (first, second) = read(tmp_path, "b.txt", b"\xff\nAnn", by_line=True)
    assert first.error == "b.txt, line 1: byte 0xff (number 1) is not UTF-8; save the file as UTF-8"
    assert second == Document("Ann", "b.txt:2")


def test_json_lines_are_documents_with_their_fields(tmp_path: Path) -> None:
    lines = [
        '{"text": "Ann", "id": 3, "a": [1, {"b": null}], "c": 1e3, "d": "\\ud800"}',
        "",
        '{"entities": 1, "text": "\\ud83d\\ude00", "error": "x"}\r',
        f'{{"text": "", "id": "é", "n": {"9" * 4000}}}',
    ]
    found = read(tmp_path, "a.jsonl", "\n".join(["\ufeff" + lines[0], *lines[1:]]).encode())
    assert found == [
        Document("Ann", 3, {"a": [1, {"b": None}], "c": 1000.0, "d": "\ud800"}),
        Document("😀", "a.jsonl:3"),
        Document("", "é", {"n": int("9" * 4000)}),
    ]
    # What is kept is written as it was read, even what UTF-8 cannot hold.
    again = read(tmp_path, "b.jsonl", written(jsonl_writer, found).encode())
    assert again == found


DEEP = b'{"id": "x", "text": "Ann", "a": ' + b"[" * 101 + b"]" * 101 + b"}"


@pytest.mark.parametrize(
    ("line", "id", "reason"),
    [
        (b"{", None, "not JSON: Expecting property name enclosed in double quotes, at character 2"),
        (b'{"text": "Ann"} x', None, "not JSON: Extra data, at character 17"),
        (b'{"text": "\xff"}', None, "byte 0xff (number 11) is not UTF-8"),
        (b"[]", None, "an array instead of an object with a field 'text'"),
        (b"null", None, "null instead of an object"),
        (b'{"id": "x"}', "x", "no field 'text'; its fields: 'id'"),
        (b'{"id": "x", "text": 1.5}', "x", "its field 'text' is a number; it must be text"),
        (b'{"id": 7, "text": {}}', 7, "its field 'text' is an object"),
        (
            b'{"id": "x", "text": "a\\ud800"}',
            "x",
            "character 2 of its field 'text' is \\ud800, half",
        ),
        (b'{"id": "\\udfff", "text": ""}', None, "character 1 of its field 'id' is \\udfff"),
        (b'{"id": true, "text": ""}', None, "its field 'id' is true or false; it must be text or"),
        (b'{"id": 1.0, "text": ""}', None, "its field 'id' is a number; it must be text or an int"),
        (b'{"text": "", "text": "Ann"}', None, "the field 'text' is there twice in one object"),
        (b'{"text": "", "a": NaN}', None, "not JSON: NaN is no number there"),
        (b'{"text": "", "a": 1e999}', None, "the number 1e999 is too large"),
        (b'{"text": "", "a": ' + b"9" * 5000 + b"}", None, "Exceeds the limit (4300 digits)"),
        (DEEP, "x", "nested more than 100 deep"),
        (b"[" * 100_000, None, "nested more than 100 deep"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_line_of_json_is_an_error_of_its_own(
    tmp_path: Path, line: bytes, id: str | int | None, reason: str
) -> None:
    good = b'{"text": "Ann"}'
    before, found, after = read(tmp_path, "a.jsonl", b"\n".join([good, line, good]))
    assert (before, after) == (Document("Ann", "a.jsonl:1"), Document("Ann", "a.jsonl:3"))
    assert found.id == (id or "a.jsonl:2")
    assert str(found.error).startswith(f"a.jsonl, line 2: {reason}")


PIECES = st.sampled_from(
    [
        b"{",
        b"}",
        b'{"text": "Ann',
        b'"}',
        b"\n",
        b"\r",
        b"-DOCSTART-",
        b"\xff",
        b"\xef\xbb\xbf",
        b"A ",
        b"# a\n",
        b"1\tA\n",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=9)).map(b"".join), st.sampled_from(INPUT_FORMATS))
def test_any_bytes_give_documents_that_any_format_can_hold(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, format: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(content)
    for by_line in (False, True):
        found = list(read_documents(str(path), format=format, by_line=by_line))
        places = [document.id for document in found if str(document.id).startswith("bytes")]
        assert len(places) == len(set(places))
        assert all(document.error is None or document.text == "" for document in found)
        for writer in FILE_WRITERS.values():
            with suppress(InputError):  # CoNLL has no sentences here, but tokens of CoNLL files
                written(writer, found)
        good = [document.text for document in found if not document.error]
        if format == "text" and not by_line and good:
            assert good == [content.decode("utf-8-sig")]


TOKEN = TEXTS.map(lambda text: "".join(text.replace("\ufeff", "").split()) or "a")
SENTENCES = st.lists(
    st.lists(TOKEN.filter("-DOCSTART-".__ne__), min_size=1, max_size=4), min_size=1, max_size=6
)


@given(SENTENCES, st.integers(1, 3), st.booleans(), st.sampled_from(["", "# sent_id = 1\n"]))
def test_conll_files_are_read_as_the_corpus_is(
    tmp_path_factory: pytest.TempPathFactory,
    sentences: list[list[str]],
    size: int,
    marked: bool,
    comment: str,
) -> None:
    sentences[0][0] = sentences[0][0].lstrip("\ufeff") or "Ann"
    path = tmp_path_factory.getbasetemp() / "in.conll"
    tags = [["O"] * len(sentence) for sentence in sentences]
    numbers = [i // size for i in range(len(sentences))]
    write_conll(path, sentences, tags, documents=numbers)
    if not marked:
        path.write_bytes(path.read_bytes().replace(b"-DOCSTART- O\n\n", b""))
    content = path.read_bytes().replace(b"\n\n", b"\n\n" + comment.encode())
    path.write_bytes(comment.encode() + content)
    found = list(read_documents(str(path)))
    of_corpus = read_conll("in.conll", path.read_bytes())
    assert len(found) == 1 + of_corpus[-1].document
    for number, document in enumerate(found):
        mine = [sentence for sentence in of_corpus if sentence.document == number]
        assert document.id == f"in.conll:{mine[0].lines[0]}"
        tokens = [[document.text[s:e] for s, e in row] for row in document.sentences or ()]
        assert tokens == [sentence.tokens for sentence in mine]
        assert document.text == "\n".join(" ".join(sentence.tokens) for sentence in mine)


def test_conll_files_may_hold_tokens_alone_and_bad_lines(tmp_path: Path) -> None:
    content = (
        b"-DOCSTART-\n\nAnn\nleft X Y\r\n\r\n\n.\n-DOCSTART- O\nbad\n\xff\n\nit\n-DOCSTART-\nBob\n"
    )
    first, second, third = read(tmp_path, "a.conll", content)
    assert (first.text, first.id) == ("Ann left\n.", "a.conll:3")
    assert first.sentences == [[(0, 3), (4, 8)], [(9, 10)]]
    assert second.error == (
        "a.conll, line 10: byte 0xff (number 1) is not UTF-8; save the file as UTF-8"
    )
    assert (second.id, third.text, third.id) == ("a.conll:9", "Bob", "a.conll:14")
    assert read(tmp_path, "b.conll", b"\n\n") == []
    odd, end = read(
        tmp_path, "c.conll", "New York\tB-LOC\n\tO\nElena\xa0Price  O\n \t\n.\n".encode()
    )
    assert (odd.text, end.text) == ("New York Elena\xa0Price", ".")
    assert odd.sentences == [[(0, 8), (9, 20)]]


def tokens_of(documents: list[Document]) -> list[list[list[str]]]:
    return [
        [[document.text[start:end] for start, end in row] for row in document.sentences or ()]
        for document in documents
    ]


CONLLU = """\
# newdoc id = a
# sent_id = 1
# text = Elena Price can't live in Hill.
1\tElena\tElena\tPROPN\tNNP\t_\t4\tnsubj\t_\t_
2\tPrice\tPrice\tPROPN\tNNP\t_\t1\tflat\t_\t_
3-4\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
3\tca\tcan\tAUX\tMD\t_\t5\taux\t_\t_
4\tn't\tnot\tPART\tRB\t_\t5\tadvmod\t_\t_
4.1\tever\tever\tADV\tRB\t_\t_\t_\t_\t_
5\tlive\tlive\tVERB\tVB\t_\t0\troot\t_\t_

# sent_id = 2
1\t#\t#\tSYM\tNN\t_\t0\troot\t_\t_
2\t1 000\t1 000\tNUM\tCD\t_\t1\tnummod\t_\t_

# newdoc id = b
1\tHill\tHill\tPROPN\tNNP\t_\t0\troot\t_\t_
"""


def test_the_words_of_conll_u_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, "a.conllu", CONLLU.encode())
    first = [["Elena", "Price", "ca", "n't", "live"], ["#", "1 000"]]
    assert tokens_of(found) == [first, [["Hill"]]]
    assert [document.id for document in found] == ["a.conllu:4", "a.conllu:17"]
    without = CONLLU.replace("# newdoc", "# olddoc")
    assert tokens_of(read(tmp_path, "b.conll", without.encode())) == [
        first[:1], first[1:], [["Hill"]]
    ]  # fmt: skip


GERMEVAL = "#\thttp://a.example [2009-10-17]\n1\tElena\tB-PER\tO\n2\tPrice\tI-PER\tO\n\n"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (GERMEVAL * 1000, "line 2: the first column, which must have the tokens, counts them (1"),
        ("0 Elena\n1 Price\n", "line 1: the first column, which must have the tokens, counts them"),
        (f"{GERMEVAL}Ann\tx\tO\tO\n", ""),  # not of most lines
        ("1\n2\n3\n", ""),  # tokens alone
        ("1 O\n2 O\n3 O\n", ""),
        ("1 CD O\n", ""),
    ],
)
def test_a_first_column_that_counts_is_refused(tmp_path: Path, content: str, error: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    (tmp_path / "b.txt").write_text("Ann")
    *found, other = read_documents(str(tmp_path))
    assert other == Document("Ann", "b.txt")
    if error:
        (document,) = found
        assert str(document.error).startswith(f"a.conll, {error}")
        assert "`cut -f 2-`" in str(document.error)
    else:
        assert found
        assert {document.error for document in found} == {None}


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        # As many columns as a token, but the last is no tag where those of tokens are.
        ("# sent_id = 1\nAnn NNP x B-PER\n\n# a b O\n. . x O\n", [["Ann"], ["#", "."]]),
        ("# licence\n# of it\n\n#tag O\nAnn B-PER\n# O\n# of it\n", [["#tag", "Ann", "#", "#"]]),
        # Tokens alone, and tags that are written otherwise.
        ("#\n#tag\n\n# a b\nAnn\n", [["#", "#tag"], ["Ann"]]),
        ("# a b\nAnn PER\n\n#tag EVENT\nis 0\n", [["Ann"], ["#tag", "is"]]),
        # Where tabs separate columns, a comment has one, whatever its words.
        ("# a O\nNew York\tNNP\tB-LOC\n\n#\tx\tO\n", [["New York"], ["#"]]),
        ("#\n#tag\n", [["#", "#tag"]]),
        ("# a\n#tag O\n", [["#tag"]]),
        ("# a\n\n# b\n", []),
    ],
)
def test_comments_are_left_out_and_tokens_that_look_like_them_stay(
    tmp_path: Path, content: str, tokens: list[list[str]]
) -> None:
    found = read(tmp_path, "a.conll", content.encode())
    assert [row for document in tokens_of(found) for row in document] == tokens
