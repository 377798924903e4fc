"""Stage 2: get word vectors and write them as a list of words and a matrix.

Run as `python -m stages embed data/inputs/vectors/NAME data/embeddings`.
"""

import http.client
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import gensim.downloader
import numpy as np
from tqdm import tqdm

from stages.runner import read_texts
from stages.word_vectors import Block, read_blocks
from tagger.encoding.vocabulary import VECTORS, WORDS
from tagger.files import InputError, atomic_output, write_lines

SOURCE = "vectors.yaml"
REPLACEMENT = "\ufffd"  # for what is not UTF-8


def embed(vectors: Path, output: Path) -> None:
    """Write words.txt (a word a line) and vectors.npy ([words, dimension] float32) to `output`.

    `vectors` is a file of word vectors, or a folder that holds such a file or a vectors.yaml, which
    names a model of gensim-data. Of a word that stands there more than once the first vector
    counts.

    Raises:
        InputError: there are no such vectors, they cannot be reached, or they are malformed.
    """
    path = find_file(vectors)
    if path.name == SOURCE:
        path = fetch_from_gensim(path)
    print(f"reading {path.name}", flush=True)
    with atomic_output(output) as folder:
        folder.mkdir()
        words, dimension = write_vectors(path, read_blocks(path), folder / VECTORS)
        write_lines(folder / WORDS, words)
    print(f"{len(words)} words, {dimension} dimensions")


def find_file(vectors: Path) -> Path:
    """The file of vectors, or the vectors.yaml, that `vectors` is or holds.

    Raises:
        InputError: there is none, or more than one.
    """
    if vectors.is_dir():
        # What tools and people put beside data is no vectors: .gitignore, NAME.dvc, README.
        files = [
            path
            for path in sorted(vectors.iterdir())
            if path.is_file()
            and not path.name.upper().startswith((".", "README", "LICEN"))
            and path.suffix not in (".dvc", ".md")
        ]
        if len(files) == 1:
            return files[0]
        names = ", ".join(path.name for path in files) or "none"
        raise InputError(
            f"{vectors} must hold one file, of vectors or {SOURCE}; there are: {names}. Keep one, "
            "or name it: `embeddings: FOLDER/FILE` in params.yaml"
        )
    if vectors.exists():
        return vectors
    there = sorted(path.name for path in vectors.parent.glob("*") if path.suffix != ".dvc")
    similar = [
        name for name in there if name.startswith(vectors.name) or Path(name).stem == vectors.stem
    ]
    if similar:
        raise InputError(
            f"there is no {vectors}, but {', '.join(similar)}: write `embeddings: {similar[0]}` in "
            "params.yaml"
        )
    raise InputError(
        f"there is no {vectors}; there are: {', '.join(there)}. For another model of gensim-data "
        f"make that folder, with a file {SOURCE} of one line, `gensim: MODEL`"
    )


def fetch_from_gensim(source: Path) -> Path:
    """The file of a model of gensim-data, which is downloaded unless GENSIM_DATA_DIR has it.

    `source` has a line `gensim: MODEL`, and may have another with the licence. gensim checks the
    MD5 of what it downloads. With `return_path` it does not import the Python code that comes with
    a model.

    Raises:
        InputError: gensim-data cannot be reached, has no such model, or sends a damaged one.
    """
    keys = read_texts(source)
    if "gensim" not in keys or keys.keys() - {"gensim", "licence"}:
        raise InputError(
            f"{source} has the keys {', '.join(keys)}; it must have `gensim`, the name of a model "
            "of gensim-data, and may have `licence`"
        )
    name = keys["gensim"]
    # gensim logs a traceback where there is no network; the message below says it in a line.
    logging.getLogger(gensim.downloader.__name__).setLevel(logging.CRITICAL)
    advice = (
        "Set GENSIM_DATA_DIR to a folder that holds information.json and the model's folder, or "
        "run `make sample`, which needs no network"
    )
    try:
        models = gensim.downloader.info()["models"]
    except (ValueError, OSError, http.client.HTTPException) as error:
        raise InputError(
            f"could not reach gensim-data's list of models, to look for {name!r}, which {source} "
            f"names: {error}. {advice}"
        ) from error
    # The models with __ are for gensim-data's own tests.
    available = sorted(model for model in models if not model.startswith("__"))
    if name not in available:
        raise InputError(
            f"{source}: gensim-data has no model {name!r}; it has: {', '.join(available)}"
        )
    try:
        return Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # for a wrong checksum gensim raises Exception itself
        raise InputError(
            f"could not get {name}, of MD5 {models[name]['checksum']}, into "
            f"{gensim.downloader.BASE_DIR}: {error}. {advice}"
        ) from error


def write_vectors(path: Path, blocks: Iterable[Block], output: Path) -> tuple[list[str], int]:
    """Write the vectors of blocks as an array in NumPy's format; their words and the dimension.

    The array has the bytes that np.save would write, but is never whole in memory. `path` is where
    the blocks are from, for messages.

    Raises:
        InputError: a number is not finite, or a word is none.
    """
    words: dict[str, int] = {}  # each with the number of its line
    undecoded = nameless = repeated = blanks = dimension = 0
    example = blank_example = ""
    with output.open("wb") as file, tqdm(unit=" words", unit_scale=True, disable=None) as progress:
        for block in blocks:
            if dimension == 0:
                dimension = block.vectors.shape[1]
                _write_header(file, 0, dimension)
            finite = np.isfinite(block.vectors).all(axis=1)
            if not finite.all():
                bad = int(finite.argmin())
                raise InputError(
                    f"{path}, {block.unit} {block.places[bad]} "
                    f"({block.words[bad][:50].decode(errors='replace')!r}): a number is not finite "
                    f"in single precision; correct it, or delete the {block.unit}"
                )
            rows: list[int] = []
            for row, (place, data) in enumerate(zip(block.places, block.words, strict=True)):
                word = data.decode(errors="replace")
                if "\n" in word:
                    raise InputError(
                        f"{path}, {block.unit} {place} ({word[:50]!r}): a line feed in a word; get "
                        "the file again"
                    )
                undecoded += REPLACEMENT in word and word.encode() != data
                if " " in word:
                    blanks += 1
                    blank_example = blank_example or repr(word)
                if not word:
                    nameless += 1
                elif word in words:
                    repeated += 1
                    example = example or f"{word!r}, {block.unit}s {words[word]} and {place}"
                else:
                    words[word] = place
                    rows.append(row)
            file.write(block.vectors[rows].tobytes())
            progress.update(len(block.words))
        file.seek(0)
        _write_header(file, len(words), dimension)
    if not words:
        raise InputError(f"{path} has no words; get it again")
    if undecoded:
        print(f"words that are not UTF-8: {undecoded}; {REPLACEMENT} stands for the wrong bytes")
    if nameless:
        print(f"words that are empty or a blank, and left out: {nameless}")
    if blanks:
        print(f"words with a blank in them: {blanks}, as {blank_example}")
    if repeated:
        print(f"words that came before, of which the first counts: {repeated}, as {example}")
    return list(words), dimension


def _write_header(file: BinaryIO, count: int, dimension: int) -> None:
    """Write the header of an array in NumPy's format; its length does not depend on `count`."""
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
    )
