"""Files in CoNLL format: a token a line, its columns between white space, the tags last.

An empty line ends a sentence. A line that begins with -DOCSTART- starts a document, whatever else
it holds but the tag of an entity.
"""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tagger.corpus.tags import parse
from tagger.files import InputError

SPLITS = ("train", "validation", "test")  # of a corpus
DOCUMENT_START = "-DOCSTART-"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in a file.

    Attributes:
        columns: the tokens, then each of the columns of tags, all of the same length
        document: the number of its document in the file, from 0
        file: the path or the URL of the file
        line: the line of the first token, from 1; the other tokens stand on the lines after it
    """

    columns: tuple[list[str], ...]
    document: int
    file: str
    line: int

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
        return f"{self.file}, line {self.line + token}"

    def excerpt(self) -> str:
        """The sentence as text, cut to a length that suits an error message."""
        text = " ".join(self.tokens)
        return text if len(text) <= 200 else f"{text[:200]}…"


def read_conll(file: str, data: bytes, *, tag_columns: int = 1) -> list[Sentence]:
    """The sentences of a CoNLL file that holds `data`.

    The first column holds the tokens and the last `tag_columns` the tags; columns between them,
    such as parts of speech, are left out. In a file without -DOCSTART- lines each sentence is a
    document of its own.

    Raises:
        InputError: the file is not UTF-8, its lines have too few columns or not all the same
            number of them, a -DOCSTART- line has the tag of an entity, or there is no sentence.
            `file` is how the message names it.
    """
    sentences: list[Sentence] = []
    rows: list[list[str]] = []  # of the sentence that is being read
    document = 0
    has_documents = False
    for number, row in enumerate(_read_rows(file, data, tag_columns), 1):
        if row and row[0] != DOCUMENT_START:
            rows.append([row[0], *row[-tag_columns:]])
            continue
        if rows:
            columns = tuple(map(list, zip(*rows, strict=True)))
            sentences.append(Sentence(columns, document, file, number - len(rows)))
            rows = []
        if row:
            has_documents = True
            document = sentences[-1].document + 1 if sentences else 0
    if not sentences:
        raise InputError(f"{file} holds no sentence; it needs at least one")
    if has_documents:
        return sentences
    return [replace(sentence, document=i) for i, sentence in enumerate(sentences)]


def _read_rows(file: str, data: bytes, tag_columns: int) -> Iterator[list[str]]:
    """Split each line into its columns; an empty line has none, and one more follows the last line.

    All lines with a token must have the same number of columns.
    """
    width = 0
    # Unlike str.splitlines, bytes.splitlines ends a line only at a line feed or carriage return.
    for number, line in enumerate(data.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file}, line {number}: byte {line[error.start]:#04x} is not UTF-8; save the file "
                "as UTF-8"
            ) from error
        row = text.split()
        if row and row[0] != DOCUMENT_START:
            if len(row) <= tag_columns:
                raise InputError(
                    f"{file}, line {number}: {text[:80]!r} has "
                    f"{'no tag' if len(row) == 1 else 'too few tags'}; a line needs at least "
                    f"{1 + tag_columns} columns with white space between: a token first, tags last"
                )
            width = width or len(row)
            if len(row) != width:
                raise InputError(
                    f"{file}, line {number}: {len(row)} columns, but the lines before it have "
                    f"{width}: {text[:80]!r}; give each line the same columns"
                )
        elif row and any(_is_entity_tag(column) for column in row[1:][-tag_columns:]):
            raise InputError(
                f"{file}, line {number}: {text[:80]!r} starts a document, and cannot be an entity; "
                "change the tag to O, or the token"
            )
        yield row
    yield []


def _is_entity_tag(text: str) -> bool:
    try:
        return parse(text)[0] != "O"
    except ValueError:
        return False


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


def write_conll(
    path: Path, *columns: Sequence[Sequence[str]], documents: Sequence[int] | None = None
) -> None:
    """Write a token a line with a space between its columns, and an empty line after each sentence.

    Args:
        path: the file to write
        columns: the tokens, then tags, each by sentence
        documents: the number of each sentence's document; a -DOCSTART- line starts each document

    Raises:
        InputError: an entry is empty or holds white space, so that it would not be read again as
            one column.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for i, sentence in enumerate(zip(*columns, strict=True)):
            if documents is not None and (i == 0 or documents[i] != documents[i - 1]):
                file.write(f"{DOCUMENT_START}{' O' * (len(columns) - 1)}\n\n")
            for row in zip(*sentence, strict=True):
                line = " ".join(row)
                if line.split() != list(row):
                    raise InputError(
                        f"{path}: {line!r} cannot be written as {len(row)} columns, which white "
                        "space separates; remove empty entries and white space within entries"
                    )
                file.write(f"{line}\n")
            file.write("\n")
