"""Stage 2: get word vectors by name and write them as a list of words and a matrix.

Run as `python -m stages embed data/inputs/vectors data/embeddings`.
"""

import gzip
import http.client
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path

import gensim.downloader
import numpy as np
from tqdm import tqdm

from tagger.encoding.vocabulary import VECTORS, WORDS
from tagger.files import InputError, atomic_output, write_lines


def embed(vectors: Path, output: Path, *, embeddings: str) -> None:
    """Write words.txt (a word a line) and vectors.npy ([words, dimension] float32) to `output`.

    `embeddings` is the name, without its suffix, of a .txt file in word2vec format in the folder
    `vectors`, or else the name of a model of gensim-data.

    Raises:
        InputError: there are no such vectors, they cannot be reached, or they are malformed.
    """
    local = {path.stem: path for path in sorted(vectors.glob("*.txt"))}
    path = local.get(embeddings) or fetch_from_gensim(embeddings, sorted(local))
    print(f"reading {path.name}", flush=True)
    words, matrix = read_word2vec(path)
    with atomic_output(output) as folder:
        folder.mkdir()
        write_lines(folder / WORDS, words)
        np.save(folder / VECTORS, matrix)
    print(f"{len(words)} words, {matrix.shape[1]} dimensions")


def fetch_from_gensim(name: str, local: Sequence[str]) -> Path:
    """The file of a model of gensim-data, which is downloaded unless GENSIM_DATA_DIR has it.

    gensim checks the MD5 of what it downloads. With `return_path` it does not import the Python
    code that comes with a model. `local` are the names of the user's own vectors, for messages.

    Raises:
        InputError: gensim-data cannot be reached, has no such model, or sends a damaged one.
    """
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
            f"could not reach gensim-data's list of models, to look for {name!r}: {error}. "
            f"There are here: {', '.join(local)}. {advice}"
        ) from error
    # gensim-data's word2vec models are binary files, and the models with __ are for its own tests.
    available = sorted(model for model in models if not model.startswith(("__", "word2vec-")))
    if name not in available:
        names = ", ".join([*local, *available])
        raise InputError(f"there are no embeddings {name!r} in text; there are: {names}")
    try:
        return Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # for a wrong checksum gensim raises Exception itself
        raise InputError(
            f"could not get {name}, of MD5 {models[name]['checksum']}, into "
            f"{gensim.downloader.BASE_DIR}: {error}. {advice}"
        ) from error


def read_word2vec(path: Path) -> tuple[list[str], np.ndarray]:
    """The words and the vectors ([words, dimension] float32) of a text file in word2vec format.

    A file whose name ends in .gz is decompressed. gensim can read this format too, but it takes
    more than twice the time, its errors name no line, it accepts a single number as a whole
    vector, and it adds a made-up word for a word that occurs twice.

    Raises:
        InputError: the file is not in that format.
    """
    words: dict[str, int] = {}  # in the order of the file, each with the number of its line
    number = 1
    try:
        open_ = gzip.open if path.suffix == ".gz" else open
        with open_(path, "rt", encoding="utf-8", newline="\n") as file:
            header = file.readline()
            if len(header.split()) != 2:
                raise ValueError("the first line must be `words dimension`")
            count, dimension = map(int, header.split())
            if count < 1 or dimension < 1:
                raise ValueError("there must be at least one word and one dimension")
            matrix = np.empty((count, dimension), dtype=np.float32)
            for number, line in enumerate(tqdm(file, "words", count, disable=None), 2):
                word, *numbers = line.rstrip().split(" ")
                if len(words) == count:
                    raise ValueError(f"more words than the {count} that the first line states")
                if len(numbers) != dimension:
                    raise ValueError(f"{len(numbers)} numbers, not {dimension}")
                if word in words:
                    raise ValueError(f"{word!r} stands on line {words[word]} already")
                with np.errstate(over="ignore"):  # infinity is refused below
                    matrix[len(words)] = list(map(float, numbers))
                if not np.isfinite(matrix[len(words)]).all():
                    raise ValueError("a number that is not finite in single precision")
                words[word] = number
            if len(words) < count:
                raise ValueError(f"the file ends after {len(words)} words, not {count}")
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{path}, line {number}: {error}. Text in word2vec format has a line `words dimension`"
            ", then a line for each word: the word and its numbers, with single spaces between"
        ) from error
    return list(words), matrix
