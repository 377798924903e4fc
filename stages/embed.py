"""Stage 2: word vectors by name, as a list of words and a matrix that can be memory-mapped.

Run as `python -m stages.embed data/inputs/vectors data/embeddings`.
"""

import logging
import math
from pathlib import Path

import gensim.downloader
import numpy as np
from gensim.models import KeyedVectors

from tagger.stage import InputError, run, whole
from tagger.vocabulary import VECTORS, WORDS, write_lines


def embed(vectors: Path, output: Path, *, embeddings: str) -> None:
    """Write words.txt (a word a line) and vectors.npy ([words, dimension] float32) to `output`.

    `embeddings` is the name of a text file in word2vec format under `vectors`, or of a model of
    gensim-data.

    Raises:
        InputError: there are no such vectors, they cannot be reached, or they are malformed.
    """
    local = {path.stem: path for path in sorted(vectors.glob("*.txt"))}
    if embeddings in local:
        path = local[embeddings]
        check(path)
    else:
        path = fetch(embeddings, sorted(local))
    print(f"reading {path.name}", flush=True)
    try:
        keyed = KeyedVectors.load_word2vec_format(str(path))
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is not text in word2vec format: {error}") from error
    with whole(output) as folder:
        folder.mkdir()
        write_lines(folder / WORDS, keyed.index_to_key)
        np.save(folder / VECTORS, keyed.vectors.astype(np.float32, copy=False))
    print(f"{len(keyed)} words, {keyed.vector_size} dimensions")


def check(path: Path) -> None:
    """Refuse a text file that is not in word2vec format, by line: gensim says no line.

    Worse, it takes a single number for a whole vector, and passes over words beyond the count.
    """
    number = 1
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            words, dimension = map(int, file.readline().split())
            for number, line in enumerate(file, 2):  # noqa: B007
                numbers = list(map(float, line.rstrip().split(" ")[1:]))
                if len(numbers) != dimension:
                    raise ValueError(f"{len(numbers)} numbers, not {dimension}")
                if not all(map(math.isfinite, numbers)):
                    raise ValueError("a number that is not finite")
        if number - 1 != words:
            raise ValueError(f"the file ends after {number - 1} words, not {words}")
        if not words:
            raise ValueError("there are no words")
    except ValueError as error:
        raise InputError(
            f"{path}, line {number}: {error}. Text in word2vec format has a line `words dimension`"
            ", then a line for each word: the word and its numbers, with single spaces between"
        ) from error


def fetch(name: str, local: list[str]) -> Path:
    """The file of a model of gensim-data, downloaded unless GENSIM_DATA_DIR has it.

    gensim checks the MD5 of what it downloads; `return_path` keeps it from importing the code that
    comes with a model.
    """
    logging.getLogger(gensim.downloader.__name__).setLevel(logging.CRITICAL)  # not its traceback
    folder = gensim.downloader.BASE_DIR
    advice = (
        "Set GENSIM_DATA_DIR to a folder that holds information.json and the model's folder, or "
        "run `make sample`, which needs no network"
    )
    try:
        models = gensim.downloader.info()["models"]
    except ValueError as error:
        raise InputError(
            f"could not reach gensim-data's list of models: {error}. {advice}"
        ) from error
    if name not in models:
        known = ", ".join([*local, *sorted(m for m in models if not m.startswith("__"))])
        raise InputError(f"there are no embeddings {name!r}; there are: {known}")
    try:
        return Path(gensim.downloader.load(name, return_path=True))
    except Exception as error:  # gensim raises Exception itself for a wrong checksum
        raise InputError(f"could not get {name} into {folder}: {error}. {advice}") from error


if __name__ == "__main__":
    run(embed)
