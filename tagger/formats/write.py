"""Tagged documents as JSON Lines, CoNLL, for annotation tools, and for people at a terminal.

A writer is a context manager. It gives a function that writes a document at once and keeps nothing
of it, so that documents can go to several writers as they come. Each tool counts the offsets of an
entity in its own way; ours are Unicode code points. A document that has an error is written as such
to JSON Lines and to a terminal, and left out elsewhere, where nothing could say so.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from tagger.corpus.conll import BOM, DOCUMENT_START
from tagger.document import Document, Entity
from tagger.files import InputError

Write = Callable[[Document], None]

MODEL_VERSION = "conllpp-tagger"  # as Label Studio shows whose predictions they are
BRAT_SUFFIXES = (".txt", ".ann", ".conf")  # of all the files that `brat_writer` writes
COLOURS = {"PER": 33, "ORG": 32, "LOC": 36, "MISC": 35}  # of ANSI: yellow, green, cyan, magenta
OTHER_COLOUR = 34  # blue

# What JSON may hold, but what programs take for the end of a line or a terminal for a command; and
# halves of surrogate pairs, which UTF-8 cannot hold.
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# What stands between two of these is a tab or ends a line for brat, which reads with splitlines().
_FRAGMENT = re.compile(r"\S+(?:[^\S\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+\S+)*")
_BRAT_LABEL = re.compile(r"[a-zA-Z0-9_-]+")
_JOINERS = "\u200c\u200d"  # in emoji, and in Persian and Indic words


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _json(value: object) -> str:
    text = _ENCODER.encode(value)
    if text.isascii() and "\x7f" not in text:
        return text
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def to_record(document: Document) -> dict[str, Any]:
    """A document as an object in JSON: id, text, entities, and the fields that came with it.

    A document with an error has its id and the error alone. Scores are rounded to four digits.
    """
    if document.error:
        return {"id": document.id, "error": document.error}
    record = {
        "id": document.id,
        "text": document.text,
        "entities": [
            {
                "start": entity.start,
                "end": entity.end,
                "label": entity.label,
                "score": round(entity.score, 4),
                "text": entity.text,
            }
            for entity in document.entities
        ],
    }
    return record | dict(document.fields) | record


@contextmanager
def jsonl_writer(file: TextIO) -> Iterator[Write]:
    """Write a line of JSON for each document, see `to_record`."""
    yield lambda document: print(_json(to_record(document)), file=file)


@contextmanager
def conll_writer(file: TextIO) -> Iterator[Write]:
    """Write a token and its tag in IOB2 a line, an empty line after each sentence.

    A -DOCSTART- line begins each document. `write` raises InputError for a document with a token
    or a label that would not be read again as one column.
    """

    def write(document: Document) -> None:
        if document.error:
            return
        blocks = [f"{DOCUMENT_START} O"]
        entities = iter(document.entities)
        entity = next(entities, None)
        for sentence in document.sentences or ():
            lines = []
            for start, end in sentence:
                token = document.text[start:end]
                if token.split() != [token] or token == DOCUMENT_START or token[0] == BOM:
                    raise InputError(
                        f"{document.id}: CoNLL cannot hold the token {token[:40]!r}, at character "
                        f"{start}; use another format"
                    )
                while entity and entity.end <= start:
                    entity = next(entities, None)
                tag = "O"
                if entity and entity.start <= start:
                    tag = f"{'B' if entity.start == start else 'I'}-{entity.label}"
                    if tag.split() != [tag]:
                        raise InputError(
                            f"{document.id}: CoNLL cannot hold the label {entity.label!r}, which "
                            "has white space; use another format"
                        )
                lines.append(f"{token} {tag}")
            blocks.append("\n".join(lines))
        file.write("\n\n".join([*filter(None, blocks), ""]))

    yield write


@contextmanager
def labelstudio_writer(file: TextIO) -> Iterator[Write]:
    """Write a list of tasks with predictions, for a project with Label Studio's template for NER.

    Each task's score is that of its least certain entity, by which Label Studio can sort. Offsets
    are code points there (HumanSignal/label-studio, web/libs/editor/src/utils/selection-tools.js),
    and a carriage return counts (docs/source/tags/text.md). The format and the names `label` and
    `text` are those of https://labelstud.io/guide/predictions and /templates/named_entity.
    """
    file.write("[")
    separator = "\n"

    def write(document: Document) -> None:
        nonlocal separator
        if document.error:
            return
        prediction: dict[str, Any] = {
            "model_version": MODEL_VERSION,
            "result": [
                {
                    "id": str(i),
                    "from_name": "label",
                    "to_name": "text",
                    "type": "labels",
                    "value": {
                        "start": entity.start,
                        "end": entity.end,
                        "text": entity.text,
                        "labels": [entity.label],
                    },
                    "score": round(entity.score, 4),
                }
                for i, entity in enumerate(document.entities)
            ],
        }
        if document.entities:
            prediction["score"] = min(result["score"] for result in prediction["result"])
        data = {"text": document.text, "id": document.id}
        task = {"data": data | dict(document.fields) | data, "predictions": [prediction]}
        file.write(f"{separator}{_json(task)}")
        separator = ",\n"

    yield write
    file.write("\n]\n")


@contextmanager
def doccano_writer(file: TextIO) -> Iterator[Write]:
    """Write a line of JSON for each document: its text, and its entities in `label`.

    doccano counts UTF-16 code units, as JavaScript does, unless a project counts grapheme clusters
    (github.com/doccano/doccano/issues/2290, and Text.ts of its component v-annotator).
    """

    def write(document: Document) -> None:
        if document.error:
            return
        record = {
            "id": document.id,
            "text": document.text,
            "label": list(_utf16_labels(document.text, document.entities)),
        }
        print(_json(record | dict(document.fields) | record), file=file)

    yield write


def _utf16_labels(text: str, entities: Sequence[Entity]) -> Iterator[tuple[int, int, str]]:
    """The start and the end of each entity in UTF-16 code units, and its label."""
    position = units = 0
    for entity in entities:
        start = units + _utf16_length(text[position : entity.start])
        position, units = entity.end, start + _utf16_length(entity.text)
        yield start, units, entity.label


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


FILE_WRITERS: dict[str, Callable[[TextIO], AbstractContextManager[Write]]] = {
    "jsonl": jsonl_writer,
    "conll": conll_writer,
    "labelstudio": labelstudio_writer,
    "doccano": doccano_writer,
}
BRAT = "brat"
OUTPUT_FORMATS = (*FILE_WRITERS, BRAT)


@contextmanager
def brat_writer(folder: Path, labels: Sequence[str]) -> Iterator[Write]:
    """Write a folder that brat opens: the text of each document, and its entities beside it.

    The files of a document have its id for a name, with other characters than letters, digits,
    `_`, `-` and `.` replaced, and a number where the name is taken. annotation.conf has the labels.
    Offsets are code points (https://brat.nlplab.org/standoff.html). A line break in an entity, or a
    tab, divides it into fragments (see there; github.com/nlplab/brat/pull/1174). brat takes the two
    characters of a Windows line end for one (github.com/nlplab/brat/issues/853), so carriage
    returns become blanks in the text. Scores are notes.

    Raises:
        InputError: brat allows no such label (server/src/projectconfig.py in its sources).
    """
    for label in labels:
        if not _BRAT_LABEL.fullmatch(label):
            raise InputError(
                f"brat cannot have the label {label!r}: it allows the letters a to z, digits, _ "
                "and - alone; use another format"
            )
    folder.mkdir()
    entities = "\n".join(labels)
    sections = f"[entities]\n{entities}\n[relations]\n[events]\n[attributes]\n"
    (folder / "annotation.conf").write_text(sections, encoding="utf-8")
    numbers = count(1)

    def write(document: Document) -> None:
        number = next(numbers)
        if document.error:
            return
        lines = []
        for i, entity in enumerate(document.entities, 1):
            found = list(_FRAGMENT.finditer(entity.text))
            offsets = ";".join(
                f"{entity.start + f.start()} {entity.start + f.end()}" for f in found
            )
            text = " ".join(fragment[0] for fragment in found)
            lines.append(f"T{i}\t{entity.label} {offsets}\t{text}\n")
            lines.append(f"#{i}\tAnnotatorNotes T{i}\t{entity.score:.4f}\n")
        name = _create(folder, document.id, number)
        text = document.text.replace("\r", " ")
        for suffix, content in ((".txt", text), (".ann", "".join(lines))):
            (folder / f"{name}{suffix}").write_text(content, encoding="utf-8", newline="\n")

    yield write


def _create(folder: Path, id: str | int | None, number: int) -> str:
    """Make an empty .txt file for the document `number` and return its name without the suffix."""
    wanted = re.sub(r"[^\w.-]+", "_", "" if id is None else str(id)).removesuffix(".txt")
    # A name has at most 255 bytes, and brat does not show those that begin with a dot.
    stem = wanted[:50].lstrip(".") or "document"
    for repeats in count():
        name = "-".join([stem, *[str(number)] * repeats])
        try:
            (folder / f"{name}.txt").open("x").close()
        except FileExistsError:
            continue
        return name
    raise AssertionError


@contextmanager
def terminal_writer(file: TextIO, colour: bool) -> Iterator[Write]:
    """Write documents for people: each entity in brackets, with its label and probability.

    What a terminal would obey is written as a Python string has it, see `printable`.

    Args:
        file: where to
        colour: use the colours of ANSI terminals
    """

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    def write(document: Document) -> None:
        parts = [paint(printable(str(document.id)), "1"), "\n"]
        position = 0
        for entity in document.entities:
            code = str(COLOURS.get(entity.label, OTHER_COLOUR))
            label = f"{printable(entity.label)} {entity.score:.2f}"
            parts += [
                printable(document.text[position : entity.start]),
                paint("[", code),
                paint(printable(entity.text), f"1;{code}"),
                paint(f" {label}]", code),
            ]
            position = entity.end
        if document.error:
            parts.append(f"error: {printable(document.error)}")
        parts += [printable(document.text[position:]).rstrip("\n"), "\n\n"]
        file.write("".join(parts))

    yield write


def printable(text: str) -> str:
    r"""Write what a terminal would obey, or could not show, as a Python string has it: `\x1b`.

    Line breaks and tabs stay, the two characters of a Windows line end as one.
    """
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode() for c in text)


def _is_harmless(character: str) -> bool:
    return (
        character.isprintable()
        or character in "\n\t"
        or character in _JOINERS
        or unicodedata.category(character) == "Zs"
    )
