"""Files in CoNLL format: a token a line, its columns between tabs or blanks, the tags last.

An empty line ends a sentence. A line whose first column is -DOCSTART- starts a document, whatever
else it holds but the tag of an entity. Lines with # before a sentence are comments, unless they
have the columns of a token: CoNLL-U has such comments, and a token may be # or #hashtag.
"""

import codecs
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tagger.corpus.tags import is_tag, parse
from tagger.files import InputError

SPLITS = ("train", "validation", "test")  # of a corpus
DOCUMENT_START = "-DOCSTART-"
# A longer sentence is read in parts: an LSTM takes as many steps, and memory, as the longest
# sentence of a batch has tokens. conllpp has none of more than 124; what is longer is a list or a
# table that has lost its line breaks, or a text whose sentences nobody has marked.
MAX_TOKENS = 400
NEW_DOCUMENT = re.compile(r"#\s*newdoc\b")  # of CoNLL-U
BOM = "\ufeff"
# In the ways of writing tags that other corpora have
WRITTEN_TAG = re.compile(r"(?i)[BIMELSUW][-_:/.|]\S+|\S+[-_:/.|][BIMELSUW]")
MOST_KNOWN = 100_000  # lines whose columns are kept while a file is read
ASCII_BLANKS = str.maketrans(dict.fromkeys("\t\v\f\x1c\x1d\x1e\x1f", " "))


@dataclass(frozen=True)
class ConllLayout:
    """How a file in CoNLL format is laid out, as far as its user says.

    token: the number of the column of tokens, from 0, or from the end if it is negative
    tag: the same of the column of tags
    separator: what separates columns; `tab` and `whitespace` also where the file looks otherwise
    encoding: of the file
    documents: how a line begins that starts a document; False if each sentence is a document
    """

    token: int = 0
    tag: int = -1
    separator: Literal["tab", "whitespace", "auto"] = "auto"
    encoding: str = "utf-8"
    documents: str | Literal[False] = DOCUMENT_START


DEFAULT = ConllLayout()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in a file.

    Attributes:
        columns: the tokens, then each of the columns of tags, all of the same length
        document: the number of its document in the file, from 0
        file: the path or the URL of the file, or what else tells where the sentence stands
        lines: the line of each token, from 1; empty if it does not stand in lines
    """

    columns: tuple[list[str], ...]
    document: int
    file: str
    lines: Sequence[int]

    @property
    def tokens(self) -> list[str]:
        """The first column."""
        return self.columns[0]

    @property
    def tags(self) -> list[str]:
        """The last column: in a file of predictions the predicted tags."""
        return self.columns[-1]

    def location(self, token: int) -> str:
        """Where a token stands, as error messages name it."""
        if not self.lines:
            return f"{self.file}, token {token + 1}"
        return f"{self.file}, line {self.lines[token]}"

    def excerpt(self) -> str:
        """The sentence as text, cut to a length that suits an error message."""
        text = " ".join(self.tokens)
        return text if len(text) <= 200 else f"{text[:200]}…"


def read_conll(file: str, data: bytes, *, tag_columns: int = 1) -> list[Sentence]:
    """The sentences of a CoNLL file that holds `data`, in the default layout.

    The last `tag_columns` columns are tags. The columns that are neither tokens nor tags, such as
    parts of speech, are left out. In a file without a line that starts a document each sentence is
    a document of its own.

    Where most lines have tabs, tabs separate columns: then a token may be empty, or have blanks
    inside. Otherwise blanks and tabs do, and other white space is a part of a token. Byte order
    marks at the ends of a token are left out.

    Raises:
        InputError: the file is not in its encoding, its lines have too few columns or not all the
            same number of them, a -DOCSTART- line has the tag of an entity, or there is no
            sentence. `file` is how the message names it.
    """
    return ConllFile(file, data, tag_columns).read()


@dataclass
class ConllFile:
    """A CoNLL file, and what must be known of all of its lines to understand one.

    file: how messages name it
    data: what it holds
    tag_columns: how many columns of tags there are, the last of which `layout` names
    layout: what its user says of it
    separator: what separates columns: `tab` or `whitespace`
    tags: the tags of the lines that do not begin with #; left empty if no line begins with #
    width: the number of columns, once it was read
    comments: the number of lines that were left out, once it was read
    has_documents: whether a line starts a document, once it was read
    """

    file: str
    data: bytes
    tag_columns: int = 1
    layout: ConllLayout = DEFAULT
    separator: str = field(init=False)
    _least: int = field(init=False)  # number of columns: those that are named must be there
    tags: frozenset[str] = field(default=frozenset(), init=False)
    width: int = field(default=0, init=False)
    comments: int = field(default=0, init=False)
    has_documents: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if codecs.lookup(self.layout.encoding).name != "utf-8":
            try:
                self.data = self.data.decode(self.layout.encoding).encode()
            except UnicodeError as error:
                raise InputError(
                    f"{self.file} is not in the encoding {self.layout.encoding} ({error}); name "
                    "another one"
                ) from error
        token, tag = (i if i >= 0 else -1 - i for i in (self.layout.token, self.layout.tag))
        self._least = max(token, tag, self.tag_columns) + 1
        self.separator = self.layout.separator
        if self.separator == "auto":
            self.separator = "tab" if self._has_tabs() else "whitespace"
        if re.search(rb"(?m)^(\xef\xbb\xbf)?#", self.data):
            lines = (_strip(line) for _, line in self._read())
            rows = (self._split(line) for line in lines if line and line[0] != "#")
            known = [(len(row), row[self.layout.tag]) for row in rows if len(row) >= self._least]
            self.width = known[0][0] if known else 0
            self.tags = frozenset(tag for _, tag in known)

    def read(self) -> list[Sentence]:
        """Its sentences, see `read_conll`."""
        sentences: list[Sentence] = []
        rows: list[tuple[str, ...]] = []  # of the sentence that is being read
        numbers: list[int] = []  # of its lines
        document = 0
        self.has_documents = False
        for number, row in self._rows():
            if row and row[0] != DOCUMENT_START:
                rows.append(row)
                numbers.append(number)
                continue
            if rows:
                columns = tuple(map(list, zip(*rows, strict=True)))
                is_whole = numbers[-1] - numbers[0] == len(numbers) - 1
                where = range(numbers[0], numbers[-1] + 1) if is_whole else tuple(numbers)
                sentences.append(Sentence(columns, document, self.file, where))
                rows, numbers = [], []
            if row:
                self.has_documents = True
                document = sentences[-1].document + 1 if sentences else 0
        if not sentences:
            raise InputError(f"{self.file} holds no sentence; it needs at least one")
        if self.has_documents and self.layout.documents is not False:
            return sentences
        return [replace(sentence, document=i) for i, sentence in enumerate(sentences)]

    def _read(self) -> Iterator[tuple[int, str]]:
        """Each line with its number, as it stands there but for its end, which is a line feed."""
        # Only a line feed or a carriage return ends a line, unlike for str.splitlines.
        file = io.TextIOWrapper(io.BytesIO(self.data), encoding="utf-8", newline=None)
        try:
            yield from enumerate(file, 1)
        except UnicodeDecodeError:
            raise self._not_utf8() from None

    def _not_utf8(self) -> InputError:
        try:
            self.data.decode()
        except UnicodeDecodeError as error:
            before = self.data[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            utf16 = self.data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            return InputError(
                f"{self.file}, line {before.count(10) + 1}: byte {self.data[error.start]:#04x} is "
                "not UTF-8; save the file as UTF-8, or of a corpus name it in corpus.yaml: "
                f"`encoding: {'utf-16' if utf16 else 'latin-1'}`, for example"
            )
        raise AssertionError

    def _has_tabs(self) -> bool:
        """Whether tabs separate the columns: of most lines, and not only the last of them."""
        if b"\t" not in self.data:
            return False
        if self.data.startswith(f"{DOCUMENT_START}\t".encode()):  # as `write_conll` begins
            return True
        lines = with_tabs = with_blanks = 0
        for _, whole in self._read():
            line = _strip(whole)
            if line and line[0] != "#" and not line.startswith(DOCUMENT_START):
                cells = line.split("\t")
                lines += 1
                if len(cells) >= self._least:
                    with_tabs += 1
                    token, tag = cells[self.layout.token].strip(), cells[self.layout.tag].strip()
                    with_blanks += " " in token or (" " in tag and is_tag(tag.split()[-1]))
        return 2 * with_tabs > lines and 2 * with_blanks < with_tabs

    def _split(self, line: str) -> list[str]:
        if self.separator == "tab" and "\t" in line:
            return [cell.strip() for cell in line.split("\t")]
        if line.isascii() or self.layout.separator == "whitespace":
            return line.split()
        cells = [cell.strip() for cell in line.translate(ASCII_BLANKS).split(" ") if cell]
        return cells if len(cells) > 1 else line.split()

    def _is_comment(self, line: str, cells: Sequence[str], starts: bool) -> bool:
        """Whether a line that begins with #, before a sentence (`starts`) or in it, is no token."""
        if not starts:
            # HIPE's corpora have comments between tokens. A row with blanks for tabs is none.
            is_row = len(cells) == self.width and cells[self.layout.tag] in self.tags
            return self.separator == "tab" and "\t" not in line and len(cells) > 1 and not is_row
        if len(cells) < self._least or (self.width and len(cells) != self.width):
            return True
        if self.separator == "tab" and "\t" not in line:
            return True
        tag = cells[self.layout.tag]
        is_hashtag = re.fullmatch(r"#\w+", cells[0])
        is_lettered = any(map(WRITTEN_TAG.fullmatch, self.tags))
        if is_hashtag and (WRITTEN_TAG.fullmatch(tag) or (self.separator == "tab" and is_lettered)):
            return False
        return tag not in self.tags and not is_tag(tag)

    def _rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The token and the tags of each line with its number, and () where a sentence ends.

        A line that starts a document gives (DOCUMENT_START,).
        """
        layout, n = self.layout, self.tag_columns
        mark = layout.documents or DOCUMENT_START
        is_fixed = layout.token < 0 or layout.tag < 0  # then all lines need the same columns
        width = width_line = self.comments = 0
        # As in CoNLL-U: most lines begin with the number of their token.
        counted = total = 0
        if layout.token > 0:
            for _, line in self._read():
                if line.strip() and line[0] != "#":
                    total += 1
                    counted += re.match(r"\d+[ \t]", line) is not None
        is_counted = 2 * counted > total
        starts = True
        number = 0
        known: dict[str, tuple[str, ...]] = {}  # most lines of a corpus stand there many times
        for number, whole in self._read():
            if (row := known.get(whole)) is not None:
                starts = not row
                yield number, row
                continue
            line = _strip(whole)
            if not line:
                starts = True
                known[whole] = ()
                yield number, ()
                continue
            cells = self._split(line)
            if cells[0] == DOCUMENT_START or (mark != DOCUMENT_START and line.startswith(mark)):
                tags = cells[1:][-n:] if layout.tag == -1 else cells[layout.tag :][:1]
                self._check_document_start(number, line, tags)
                starts = True
                yield number, (DOCUMENT_START,)
                continue
            if line[0] == "#" and self._is_comment(line, cells, starts):
                if NEW_DOCUMENT.match(line) and layout.documents is not False:
                    yield number, (DOCUMENT_START,)
                self.comments += 1
                continue
            if is_counted and re.fullmatch(r"\d+[-.]\d+", cells[0]):
                # Of CoNLL-U: a token of several words, or a word that is not in the text
                self.comments += 1
                continue
            starts = False
            if len(cells) == width - 1 and line[0] in " \t":
                cells.insert(0, "")  # an empty token between blanks
            if len(cells) != width:
                self._check_width(number, line, cells, width if is_fixed else 0, width_line)
                width, width_line = len(cells), number
                self.width = self.width or width
                known.clear()
            end = layout.tag % width + 1
            token = sys.intern(cells[layout.token].strip(BOM))
            row = (token, *map(sys.intern, cells[end - n : end]))
            if token == DOCUMENT_START:  # in another column than the first
                self._check_document_start(number, line, row[1:])
            if line[0] != "#":  # which is a token or a comment by where it stands
                if len(known) >= MOST_KNOWN:
                    known.clear()
                known[whole] = row
            yield number, row
        yield number + 1, ()

    def _check_document_start(self, number: int, line: str, tags: Sequence[str]) -> None:
        if any(map(_is_entity_tag, tags)):
            raise InputError(
                f"{self.file}, line {number}: {line[:80]!r} starts a document, and cannot be an "
                "entity; change the tag to O, or the token"
            )

    def _check_width(
        self, number: int, line: str, cells: Sequence[str], width: int, width_line: int
    ) -> None:
        if len(cells) < self._least:
            what = f"{self.file}, line {number}: {line[:80]!r}"
            between = "tabs" if self.separator == "tab" else "white space"
            raise InputError(
                f"{what} has {'no tag' if len(cells) == 1 else 'too few tags'}; a line needs at "
                f"least {self._least} columns with {between} between: a token first, tags last"
                if (self.layout.token, self.layout.tag) == (0, -1)
                else f"{what} has {len(cells)} columns; corpus.yaml names column "
                f"{self._least} of each line"
            )
        if width and len(cells) != width:
            raise InputError(
                f"{self.file}, line {number}: {len(cells)} columns, but the lines before it have "
                f"{width}: {line[:80]!r}; give each line the same columns as line {width_line}"
            )


def _strip(line: str) -> str:
    """A line without white space at its end, and without byte order marks at its start."""
    return line.lstrip(BOM).rstrip()


def _is_entity_tag(text: str) -> bool:
    return text != "O" and is_tag(text)


def check_tags(sentences: Iterable[Sentence]) -> None:
    """Refuse what is no tag of any scheme, in any column of tags.

    Raises:
        InputError: the first such entry, with its line.
    """
    for sentence in sentences:
        for tags in sentence.columns[1:]:
            for i, tag in enumerate(tags):
                try:
                    parse(tag)
                except ValueError as error:
                    raise InputError(
                        f"{sentence.location(i)}: {error}; in the sentence: {sentence.excerpt()}"
                    ) from error


def write_conll(path: Path, *columns: Sequence[Sequence[str]], documents: Sequence[int]) -> None:
    """Write a token a line, and an empty line after each sentence, as `read_conll` reads them.

    A space separates columns, or a tab where an entry of the file holds a blank.

    Args:
        path: the file to write
        columns: the tokens, then tags, each by sentence
        documents: the number of each sentence's document; a -DOCSTART- line starts each document

    Raises:
        InputError: an entry is empty, begins or ends with white space, holds a tab or the end of a
            line, or begins a line with what would not be read as a token.
    """
    has_blanks = any(
        " " in entry.translate(ASCII_BLANKS)
        for column in columns
        for row in column
        for entry in row
    )
    separator = "\t" if has_blanks else " "
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for i, sentence in enumerate(zip(*columns, strict=True)):
            if i == 0 or documents[i] != documents[i - 1]:
                file.write(separator.join([DOCUMENT_START, *"O" * (len(columns) - 1)]) + "\n\n")
            for row in zip(*sentence, strict=True):
                line = separator.join(row)
                if (
                    any(entry != entry.strip() or not entry for entry in row)
                    or len(re.split(r"[\t\n\r]", line)) != (len(row) if has_blanks else 1)
                    or row[0] == DOCUMENT_START
                    or BOM in (row[0][0], row[0][-1])
                ):
                    raise InputError(
                        f"{path}: {line!r} cannot be written as {len(row)} columns; remove empty "
                        "entries, white space and byte order marks at the ends of entries, tabs, "
                        f"ends of lines, and the token {DOCUMENT_START}"
                    )
                file.write(f"{line}\n")
            file.write("\n")
