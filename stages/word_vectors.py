"""Reads files of word vectors in the forms in which they are published: text and binary.

Text is a word and its numbers a line, with or without a first line `words dimension` (word2vec,
fastText's .vec, GloVe). Binary files are word2vec's and fastText's .bin. Both may be compressed.
What a file is shows in its first bytes, not in its name.
"""

import bz2
import codecs
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gensim.models.fasttext
import numpy as np

from tagger.files import InputError, reading

BLOCK = 4096  # words
BUFFER = 2**17  # bytes
LONGEST = 10_000  # bytes of a word in a binary file; a longer one is a sign of damage
GIT_LFS = b"version https://git-lfs.github.com/"
ZIP, FASTTEXT = b"PK\x03\x04", (793712314).to_bytes(4, "little")
OPENERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
FORMS = (
    "Vectors are text, with a word and its numbers a line, or word2vec's or fastText's .bin, "
    "either also as .gz, .bz2, .xz or .zip. gensim writes its own .model and .kv files as text: "
    "KeyedVectors.load(…).save_word2vec_format('NAME.txt')"
)


class Block(NamedTuple):
    """Some consecutive words of a file, with their vectors ([words, dimension] float32).

    `places` has the number of each: of its line in text, of the word itself in a binary file.
    """

    unit: Literal["line", "word"]
    places: list[int]
    words: list[bytes]
    vectors: np.ndarray


def read_blocks(path: Path) -> Iterator[Block]:
    """The words and vectors of a file in the order of the file, with memory for one block alone.

    fastText's .bin is the exception: gensim reads it whole. What a reader should know of the file
    is printed.

    Raises:
        InputError: the file is in none of the forms, or damaged.
    """
    with reading(path), ExitStack() as stack:
        file = _open(path, stack)
        start = file.peek(262)
        if start.startswith(GIT_LFS):
            raise InputError(f"{path} is what Git LFS puts in a file's place: run `git lfs pull`")
        if start[257:262] == b"ustar":
            raise InputError(f"{path} is a tar archive; unpack the file that is wanted")
        if start.startswith(FASTTEXT):
            yield from _fasttext(path, file)
            return
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"{path} is UTF-16; save it as UTF-8")
        number, first = 1, file.readline().removeprefix(b"\xef\xbb\xbf")
        while first.isspace():
            number, first = number + 1, file.readline()
        if not first:
            raise InputError(f"{path} is empty; get it again")
        header = first.split()
        # A line that begins with a blank has the vector of a blank.
        has_header = len(header) == 2 and b"".join(header).isdigit() and not first[:1].isspace()
        if has_header and _is_binary(file.peek(1), int(header[1])):
            yield from _binary(path, file, *map(int, header))
        elif _is_binary(first, 1):
            raise InputError(f"{path} has no vectors that can be read. {FORMS}")
        else:
            yield from _text(path, file, number, first, has_header)


def _open(path: Path, stack: ExitStack) -> io.BufferedReader:
    """Open a file for reading, decompressed where its first bytes say that it is compressed."""
    raw: Any = stack.enter_context(path.open("rb", buffering=0))
    file = io.BufferedReader(raw, BUFFER)
    start = file.peek(6)
    for magic, opener in OPENERS.items():
        if start.startswith(magic):
            return io.BufferedReader(stack.enter_context(opener(file)), BUFFER)
    if not start.startswith(ZIP):
        return file
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")  # which macOS adds
    ]
    if len(members) != 1:
        listed = ", ".join(members[:10]) + (", …" if len(members) > 10 else "")
        raise InputError(
            f"{path} holds {len(members)} files ({listed}), not one; unpack the one that is "
            "wanted, and name it"
        )
    member: Any = stack.enter_context(archive.open(members[0]))
    return io.BufferedReader(member, BUFFER)


def _is_binary(data: bytes, dimension: int) -> bool:
    """Whether data is no text: no vector ends its first line, nor is all of it printable ASCII."""
    fields = data.lstrip(b"\r\n").partition(b"\n")[0].rsplit(None, min(dimension, len(data)))
    if len(fields) > dimension and all(map(_is_number, fields[-dimension:])):
        return False
    if any(byte < 9 or 13 < byte < 32 or byte == 127 for byte in data[:BUFFER]):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data[:BUFFER])
    except UnicodeDecodeError:
        return True
    return False


def _text(
    path: Path, file: io.BufferedReader, number: int, line: bytes, has_header: bool
) -> Iterator[Block]:
    """The blocks of text; `line` is its first that is not blank, and has the number `number`."""

    def refusal(reason: str) -> InputError:
        word = line.split()[0][:50].decode(errors="replace")
        return InputError(f"{path}, line {number} ({word!r}): {reason}")

    stated = None
    if has_header:
        stated, dimension = map(int, line.split())
        if not 0 < dimension <= 10**6:
            raise refusal(f"the first line states {dimension} dimensions. {FORMS}")
        number, line = number + 1, file.readline()
    else:
        fields = line.split()
        dimension = sum(1 for _ in takewhile(_is_number, reversed(fields)))
        if dimension == len(fields) and not line[:1].isspace():
            dimension -= 1  # the word is a number too
        if b"\r" in line.strip() and not line.endswith(b"\n"):
            raise refusal("lines end in a carriage return alone; end them with a line feed")
        if dimension == 0 and fields[-1].lower().lstrip(b"+-") in (b"nan", b"inf"):
            raise refusal("a number is not finite; correct it, or delete the line")
        if dimension == 0:
            raise refusal(f"no numbers, with blanks or tabs between, follow the word. {FORMS}")
        counted = [*range(dimension)], [*range(1, dimension + 1)]
        if dimension > 2 and [*map(float, fields[-dimension:])] in counted:
            raise refusal("the first line counts the columns; delete it")
        if dimension == 1:
            raise refusal(
                "only one number follows the word, as in a list of frequencies; if it is a vector "
                "of one dimension, put a first line `words dimension` before"
            )
    count = 0
    places: list[int] = []
    found: list[bytes] = []
    numbers = array("f")
    while line:
        fields = line.rsplit(None, dimension)
        if len(fields) == dimension and line[:1].isspace():
            fields.insert(0, b"")  # a word that consists of blanks
        if fields:
            if len(fields) <= dimension:
                raise refusal(
                    f"{len(fields) - 1} numbers, not {dimension} as the first line "
                    f"{'states' if has_header else 'has'}; correct or delete one of the lines"
                )
            parts = fields[0].split()
            if len(parts) > 1 and _is_number(parts[-1]):
                raise refusal(
                    f"more than the {dimension} numbers that the first line "
                    f"{'states' if has_header else 'has'}; correct or delete one of the lines, or, "
                    "if the word ends in a number after a blank, write _ for the blank"
                )
            try:
                numbers.extend(map(float, fields[1:]))
            except ValueError:
                wrong = next(field for field in fields[1:] if not _is_number(field))
                text = wrong[:50].decode(errors="replace")
                raise refusal(
                    f"{text!r} is not a number; "
                    + ("write decimals with a point" if b"," in wrong else "correct the line")
                ) from None
            places.append(number)
            found.append(fields[0].strip())
        last = line
        number, line = number + 1, file.readline()
        if found and (len(found) == BLOCK or not line):
            if count == 0 and len(found) > 1 and not has_header and all(map(_is_number, found)):
                raise InputError(
                    f"{path}, lines {places[0]} to {places[-1]}: each begins with a number, not "
                    f"with a word. {FORMS}"
                )
            first = [word.split(None, 1) for word in found]
            if 2 * sum(len(parts) > 1 and _is_number(parts[0]) for parts in first) > len(found):
                raise InputError(
                    f"{path}, lines {places[0]} to {places[-1]}: most words begin with a number "
                    f"and a blank, as {found[-1][:50].decode(errors='replace')!r}; delete the "
                    "column that counts them"
                )
            count += len(found)
            vectors = np.frombuffer(numbers, np.float32).reshape(-1, dimension)
            yield Block("line", places, found, vectors)
            places, found, numbers = [], [], array("f")
    if count == 0:
        raise InputError(f"{path} has no words after its first line; get it again")
    if stated is not None and count != stated:
        if count < stated and not last.endswith(b"\n"):
            raise InputError(
                f"{path} ends within line {number - 1}, after {count:,} of the {stated:,} words "
                "that its first line states; get it again"
            )
        print(
            f"{path}: the first line states {stated:,} words, but {count:,} follow. These are "
            "read; if nobody cut or extended the file on purpose, get it again"
        )


def _is_number(field: bytes) -> bool:
    """Whether a field is a number in digits; `nan` and `inf` may be words."""
    try:
        float(field)
    except ValueError:
        return False
    return any(byte in b"0123456789" for byte in field)


def _binary(path: Path, file: io.BufferedReader, count: int, dimension: int) -> Iterator[Block]:
    """The blocks of word2vec's binary form: for each word its bytes, a blank and its numbers.

    gensim reads it too, but takes a wrong first line for right: it would leave out words, or read
    others from the middle of numbers.
    """
    if not 0 < dimension <= 10**6:
        raise InputError(f"{path}: the first line states {dimension} dimensions; get it again")
    size = 4 * dimension
    places: list[int] = []
    words: list[bytes] = []
    numbers = bytearray()
    for place in range(1, count + 1):
        word = bytearray()
        while (byte := file.read(1)) not in (b" ", b"") and len(word) <= LONGEST:
            word += byte
        vector = file.read(size)
        if len(vector) < size or len(word) > LONGEST:
            raise InputError(
                f"{path} ends or is damaged in word {place:,} of the {count:,} of {dimension} "
                "dimensions that its first line states; get it again"
            )
        places.append(place)
        words.append(bytes(word.lstrip(b"\n")))
        numbers += vector
        if len(words) == BLOCK or place == count:
            yield Block("word", places, words, np.frombuffer(numbers, "<f4").reshape(-1, dimension))
            places, words, numbers = [], [], bytearray()
    if file.read(2).strip():
        raise InputError(
            f"{path} goes on after the {count:,} words of {dimension} dimensions that its first "
            "line states; get it again"
        )


def _fasttext(path: Path, file: io.BufferedReader) -> Iterator[Block]:
    """The blocks of fastText's .bin, whose vectors gensim sums up from those of sub-words."""
    print(
        f"{path} is a model of fastText: its words are read, with their vectors. The sub-words, "
        "from which fastText makes up vectors of other words, are not used"
    )
    with tempfile.NamedTemporaryFile(suffix=".bin") as unpacked:
        name = str(path)
        if not isinstance(file.raw, io.FileIO):  # gensim fails where the file is compressed
            shutil.copyfileobj(file, unpacked)
            unpacked.flush()
            name = unpacked.name
        vectors = gensim.models.fasttext.load_facebook_vectors(name)
    for start in range(0, len(vectors), BLOCK):
        words = [word.encode() for word in vectors.index_to_key[start : start + BLOCK]]
        places = [*range(start + 1, start + len(words) + 1)]
        yield Block("word", places, words, vectors.vectors[start : start + BLOCK])
