"""How many sentences a second are tagged, from tokens to tags.

Run as `python -m benchmarks.tag` after `dvc repro`, on an idle machine. The tokens of test are
indexed and tagged anew in each round, with all the processor's instructions; reading the model and
the vectors is not counted. Rounds alternate between one thread and two, and the quickest counts.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from benchmarks.process import machine
from stages.index import encode
from tagger.encoding.vocabulary import CHARACTERS, FORMS, WORDS, Vocabulary, read_vectors
from tagger.files import read_lines
from tagger.model.lstm import workers
from tagger.model.tagger import Tagger

ROUNDS = 5
TEST = Path("data/corpus/test.parquet")


def prepare() -> Callable[[int], float]:
    """What tags test on some threads, and returns the sentences a second."""
    data = Path("data")
    tagger = Tagger.load(data / "model", torch.from_numpy(read_vectors(data / "embeddings")))
    vocabulary = Vocabulary(read_lines(data / "embeddings" / WORDS))
    forms = {form: row for row, form in enumerate(read_lines(data / "index" / FORMS), 1)}
    known = {c: row for row, c in enumerate(read_lines(data / "index" / CHARACTERS), 2)}
    table = pd.read_parquet(TEST)

    def speed(threads: int) -> float:
        executor = workers(threads)
        start = time.perf_counter()
        tagger.tag(encode(table, vocabulary, forms, known), executor=executor)
        return len(table) / (time.perf_counter() - start)

    return speed


def main() -> None:
    """Measure, and print a table."""
    speed = prepare()
    rounds = [[speed(threads) for threads in (1, 2)] for _ in range(ROUNDS)]
    print(machine())
    print(f"{len(pd.read_parquet(TEST)):,} sentences of test, the quickest of {ROUNDS} rounds\n")
    for threads, speeds in enumerate(zip(*rounds, strict=True), 1):
        print(f"threads: {threads}   {max(speeds):7,.0f} sentences/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(f"\npeak resident memory: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
