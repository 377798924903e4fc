"""How many sentences a second are tagged, from tokens to tags.

Run as `python -m benchmarks.tag` after `dvc repro`, on an idle machine. The tokens of test are
indexed and tagged anew in each round; reading the model and the vectors is not counted. Rounds
alternate between one thread and two, and the quickest counts.
"""

import resource
import time
from pathlib import Path

import pandas as pd
import torch

from benchmarks.process import machine
from stages.index import encode
from tagger.lstm import workers
from tagger.model import Tagger
from tagger.vocabulary import CHARACTERS, FORMS, WORDS, Vocabulary, read_lines, read_vectors

ROUNDS = 5


def main() -> None:
    """Measure, and print a table."""
    data = Path("data")
    tagger = Tagger.load(data / "model", torch.from_numpy(read_vectors(data / "embeddings")))
    vocabulary = Vocabulary(read_lines(data / "embeddings" / WORDS))
    forms = {form: row for row, form in enumerate(read_lines(data / "index" / FORMS), 1)}
    known = {c: row for row, c in enumerate(read_lines(data / "index" / CHARACTERS), 2)}
    table = pd.read_parquet(data / "corpus/test.parquet")
    best = {1: 0.0, 2: 0.0}
    for _ in range(ROUNDS):
        for threads in best:
            executor = workers(threads)
            start = time.perf_counter()
            tagger.tag(encode(table, vocabulary, forms, known), executor=executor)
            speed = len(table) / (time.perf_counter() - start)
            best[threads] = max(best[threads], speed)
    print(machine())
    print(
        f"hidden {tagger.config['hidden']}, {len(table)} sentences of test, quickest of {ROUNDS}\n"
    )
    for threads, speed in best.items():
        print(f"threads: {threads}   {speed:7,.0f} sentences/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(f"\npeak resident memory: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
