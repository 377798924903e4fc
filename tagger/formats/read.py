"""Documents from plain text, JSON Lines and CoNLL files, one after the other.

Whatever is wrong with one document becomes its `error`, and the documents after it are still read.
Only the document that is being read is in memory. All files are UTF-8. A byte order mark at the
start of a file is dropped; everything else stays in the text as it is, line ends among it.
"""

import codecs
import json
import math
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from tagger.corpus.conll import DOCUMENT_START, MAX_TOKENS, NEW_DOCUMENT
from tagger.corpus.tags import is_tag
from tagger.document import Document
from tagger.files import InputError

STANDARD_INPUT = "-"
INPUT_FORMATS = ("text", "jsonl", "conll")
SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".conll": "conll", ".conllu": "conll"}
HEAD = 1000  # lines of a CoNLL file that tell what its columns are
DEEPEST = 100  # levels of the value of a field in JSON; far below what Python's json can write
WRITTEN_FIELDS = {"entities", "error"}  # of the output, which the input cannot set


def read_documents(
    source: str,
    *,
    format: str | None = None,
    by_line: bool = False,
    output: os.stat_result | None = None,
    skipped: Counter[str] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Iterator[Document]:
    """The documents of a file, of standard input, or of all files in a folder and its subfolders.

    The files of a folder come in the order of their names, and those of its subfolders after them;
    links to folders are not followed.
    A document without an id of its own gets that of its place: the name of its file (in a folder:
    its path from there) and, where a file can hold several, a colon and its line.

    Args:
        source: the path, or `-` for standard input
        format: one of INPUT_FORMATS, for every file; if None, a file's suffix says it. In a folder,
            files with other suffixes are skipped; any other file is taken for plain text.
        by_line: each line of plain text that is not blank is a document, not each file
        output: the file to which standard output leads; it is skipped if it lies in the folder
        skipped: counts the files of the folder that were skipped, by their suffix or another reason
        warn: is told, once a file, of sentences in CoNLL format that are tagged in parts
    """
    path = Path(source)
    if source == STANDARD_INPUT:
        yield from _read(sys.stdin.buffer, source, format or "text", by_line, warn)
    elif path.is_dir():
        yield from _read_folder(
            path, format, by_line, output, Counter() if skipped is None else skipped, warn
        )
    else:
        yield from _read_file(path, path.name, format or _format_of(path) or "text", by_line, warn)


def _format_of(path: Path) -> str | None:
    return SUFFIXES.get(path.suffix.lower())


def _read_folder(
    folder: Path,
    format: str | None,
    by_line: bool,
    output: os.stat_result | None,
    skipped: Counter[str],
    warn: Callable[[str], None],
) -> Iterator[Document]:
    problems: list[OSError] = []  # with folders that cannot be listed
    for root, subfolders, files in os.walk(folder, onerror=problems.append):
        if links := sum(map(os.path.islink, (Path(root, name) for name in subfolders))):
            skipped["links to folders"] += links
        subfolders.sort()  # in place: os.walk goes on in this order
        for file in sorted(files):
            path = Path(root, file)
            name = path.relative_to(folder).as_posix()
            chosen = format or _format_of(path)
            try:
                status = path.stat()
            except OSError as error:
                yield _unreadable(name, error)
                continue
            if output and os.path.samestat(status, output):
                skipped["the output itself"] += 1
            elif not stat.S_ISREG(status.st_mode):
                skipped["no regular file"] += 1
            elif not chosen:
                skipped[path.suffix.lower() or "without suffix"] += 1
            else:
                yield from _read_file(path, name, chosen, by_line, warn)
    for problem in problems:
        yield _unreadable(Path(problem.filename).relative_to(folder).as_posix(), problem)


def _unreadable(name: str, error: OSError) -> Document:
    name = _to_text(name)
    return Document("", name, error=f"{name}: {error.strerror or error}")


def _to_text(name: str) -> str:
    """The name of a file, which is bytes and need not be UTF-8, as text that is."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _read_file(
    path: Path, name: str, format: str, by_line: bool, warn: Callable[[str], None]
) -> Iterator[Document]:
    try:
        with path.open("rb") as file:
            yield from _read(file, _to_text(name), format, by_line, warn)
    except OSError as error:
        yield _unreadable(name, error)


def _read(
    file: BinaryIO, name: str, format: str, by_line: bool, warn: Callable[[str], None]
) -> Iterator[Document]:
    if format == "jsonl":
        yield from read_json_lines(file, name)
    elif format == "conll":
        yield from _read_conll(file, name, warn)
    elif by_line:
        yield from _read_lines(file, name, Document)
    else:
        try:
            text = _decode(file.read().removeprefix(codecs.BOM_UTF8))
        except InputError as error:
            yield Document("", name, error=f"{name}: {error}")
        else:
            yield Document(text, name)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {data[error.start]:#04x} (number {error.start + 1}) is not UTF-8; save the file "
            "as UTF-8"
        ) from error


def read_json_lines(
    file: BinaryIO, name: str, *, text: str = "text", id: str = "id"
) -> Iterator[Document]:
    """The documents of JSON Lines, see `read_documents`.

    Args:
        file: the lines
        name: what the file is called in messages and in the ids of documents without one
        text: the field that holds a document's text
        id: the field that holds its id
    """
    return _read_lines(file, name, partial(_parse_json, text_field=text, id_field=id))


def _read_lines(
    file: BinaryIO, name: str, parse: Callable[[str, str], Document]
) -> Iterator[Document]:
    """A document from each line that is not blank; only a line feed ends a line."""
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.isspace():
            continue
        place = f"{name}:{number}"
        try:
            text = _decode(line.removesuffix(b"\n").removesuffix(b"\r"))
            document = parse(text, place)
        except InputError as error:
            document = Document("", place, error=str(error))
        if document.error:
            error_at = f"{name}, line {number}: {document.error}"
            document = Document("", document.id, error=error_at)
        yield document


def _parse_json(line: str, place: str, text_field: str, id_field: str) -> Document:
    """The document of a line of JSON Lines, with `error` set if only its id can be used.

    Raises:
        InputError: not even that can be used.
    """
    try:
        content = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}, at character {error.pos + 1}") from error
    except RecursionError as error:
        raise InputError(f"nested more than {DEEPEST} deep") from error
    except InputError:
        raise
    except ValueError as error:  # an integer of more than 4,300 digits
        raise InputError(str(error)) from error
    if not isinstance(content, dict):
        raise InputError(f"{_kind(content)} instead of an object with a field {text_field!r}")
    id = content.get(id_field)
    if id is None:
        id = place
    elif not isinstance(id, str | int) or isinstance(id, bool):
        raise InputError(f"its field {id_field!r} is {_kind(id)}; it must be text or an integer")
    _check_surrogates(id_field, str(id))
    try:
        if text_field not in content:
            names = ", ".join(map(repr, content)) or "none"
            raise InputError(f"no field {text_field!r}; its fields: {names[:200]}")
        text = content[text_field]
        if not isinstance(text, str):
            raise InputError(f"its field {text_field!r} is {_kind(text)}; it must be text")
        _check_surrogates(text_field, text)
        _check_depth(content)
    except InputError as error:
        return Document("", id, error=str(error))
    used = {text_field, id_field, *WRITTEN_FIELDS}
    fields = {key: value for key, value in content.items() if key not in used}
    return Document(text, id, fields)


def _check_surrogates(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"character {error.start + 1} of its field {field!r} is "
            f"\\u{ord(text[error.start]):04x}, half of a surrogate pair, which is no character; "
            "repair or remove it"
        ) from error


def _check_depth(content: dict[str, Any]) -> None:
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _values(value)]
        if not level:
            return
    raise InputError(f"nested more than {DEEPEST} deep")


def _values(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise InputError(f"the field {name!r} is there twice in one object")
    return content


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise InputError(f"the number {number[:40]} is too large")
    return value


def _refuse(name: str) -> None:
    raise InputError(f"not JSON: {name} is no number there")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def _kind(value: object) -> str:
    """What a value is, in JSON's terms."""
    kinds = {type(None): "null", bool: "true or false", str: "text", list: "an array"}
    return kinds.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _read_conll(file: BinaryIO, name: str, warn: Callable[[str], None]) -> Iterator[Document]:
    """The documents of a CoNLL file, of which the first column alone is read: the tokens.

    Of CoNLL-U it is the second column. A file whose first column counts the tokens in another
    layout becomes one document with an error.

    The text has a blank between two tokens, and a line feed between two sentences. Before the first
    line that starts a document (-DOCSTART-, or `# newdoc` of CoNLL-U) each sentence is a document
    of its own, as `tagger.corpus.conll.read_conll` has it for files without such lines.
    """
    lines = _conll_lines(file)
    head = list(islice(lines, HEAD))
    start, first = next(_rows(head), (0, ""))
    is_conllu = _is_conllu(first)
    if not is_conllu and (numbers := _counted(head)):
        yield Document(
            "",
            f"{name}:{start}",
            error=f"{name}, line {start}: the first column, which must have the tokens, counts "
            f"them ({', '.join(numbers[:4])}); remove it, with `cut -f 2-` where tabs separate "
            "columns; or, if these are the tokens, remove the other columns",
        )
        return
    is_comment: Callable[[str], bool] | None = None  # looks into the head, where it is needed
    sentences: list[list[str]] = [[]]  # of the document that is being read; the last may be empty
    start = 0  # the line of its first token
    line_of_sentence = 0
    too_long: list[int] = []  # the lines of the sentences in the file that are tagged in parts
    error: str | None = None
    has_documents = False

    def finish() -> Iterator[Document]:
        nonlocal sentences, error
        tokens = [sentence for sentence in sentences if sentence]
        if error:
            yield Document("", f"{name}:{start}", error=error)
        elif tokens:
            text = "\n".join(map(" ".join, tokens))
            yield Document(text, f"{name}:{start}", sentences=list(_offsets(tokens)))
        sentences, error = [[]], None

    for number, line in enumerate(chain(head, lines), 1):
        is_first = sentences == [[]] and not error
        try:
            text = _decode(line)
        except InputError as reason:
            start = number if is_first else start
            error = error or f"{name}, line {number}: {reason}"
            continue
        if is_conllu and text[:1].isdecimal():
            place, _, text = text.partition("\t")
            if not place.isdecimal():  # a token of several words, or a word that is not in the text
                continue
        # As in a corpus, a token of a line with tabs may hold blanks, and one may be missing.
        token, tab, _ = text.partition("\t")
        token = token.strip(" ") if tab else text.strip(" ").partition(" ")[0]
        if token == DOCUMENT_START:
            yield from finish()
            has_documents = True
        elif token:
            if not sentences[-1] and line.startswith(b"#"):
                is_comment = is_comment or _comments(head)
                if is_comment(text):
                    if NEW_DOCUMENT.match(text):
                        yield from finish()
                        has_documents = True
                    continue
            start = number if is_first else start
            line_of_sentence = line_of_sentence if sentences[-1] else number
            sentences[-1].append(token)
            if len(sentences[-1]) == MAX_TOKENS + 1:
                too_long.append(line_of_sentence)
        elif (sentences[-1] or error) and not text.strip(" \t"):
            sentences.append([])
            if not has_documents:
                yield from finish()
    yield from finish()
    if too_long:
        warn(
            f"{name}, line {too_long[0]}: this sentence has more than {MAX_TOKENS} tokens, and is "
            f"tagged in parts of {MAX_TOKENS}; such sentences in this file: {len(too_long):,}. "
            "Put an empty line after each of its sentences"
        )


def _conll_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines as `read_conll` has them: a line feed, a carriage return, or both end one."""
    for i, lines in enumerate(file):
        yield from (lines if i else lines.removeprefix(codecs.BOM_UTF8)).splitlines()


def _rows(head: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """The lines that can only be tokens, with their numbers."""
    for number, line in enumerate(head, 1):
        text = line.decode(errors="replace")
        if text.strip(" \t") and not text.startswith(("#", DOCUMENT_START)):
            yield number, text


def _columns(text: str) -> list[str]:
    if "\t" in text:
        return [column.strip(" ") for column in text.split("\t")]
    return [column for column in text.split(" ") if column]


def _is_conllu(first: str) -> bool:
    """Whether a file is CoNLL-U, by the line of its first token: ten columns, two with numbers."""
    columns = first.split("\t")
    return (
        len(columns) == 10
        and re.fullmatch(r"1(-\d+)?|0\.1", columns[0]) is not None
        and re.fullmatch(r"\d+|_", columns[6]) is not None  # of the word that it depends on
    )


def _counted(head: Iterable[bytes]) -> list[str]:
    """The first column, if it counts tokens that stand in the second; else nothing."""
    counted, expected = 0, "1"
    numbers, others = [], []
    for _, text in _rows(head):
        number, *rest = _columns(text)
        if number in ("0", "1", expected):
            counted += 1
            expected = str(int(number) + 1)
        elif not counted:
            return []
        numbers.append(number)
        others += rest[:1]
    has_tokens = not all(map(is_tag, others))
    return numbers if len(numbers) > 1 and counted >= 0.9 * len(numbers) and has_tokens else []


def _comments(head: Iterable[bytes]) -> Callable[[str], bool]:
    """A function that tells of a line with # at the start of a sentence if it holds no token.

    A token has as many columns as others have, and a tag in the last where all of them have one.
    """
    rows = [("\t" in text, _columns(text)) for _, text in _rows(head)]
    shapes = {(with_tabs, len(columns)) for with_tabs, columns in rows}
    have_tags = all(is_tag(columns[-1]) for _, columns in rows if len(columns) > 1)

    def is_comment(text: str) -> bool:
        columns = _columns(text)
        if shapes and ("\t" in text, len(columns)) not in shapes:
            return True
        return have_tags and len(columns) > 1 and not is_tag(columns[-1])

    return is_comment


def _offsets(sentences: list[list[str]]) -> Iterator[list[tuple[int, int]]]:
    position = 0
    for sentence in sentences:
        offsets = []
        for token in sentence:
            offsets.append((position, position + len(token)))
            position += len(token) + 1
        yield offsets
