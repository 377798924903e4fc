"""How many sentences a second are tagged, from tokens to tags.

Run as `python -m benchmarks.tag` after `dvc repro`, on an idle machine. The tokens of test are
encoded and tagged anew in each round, with all the processor's instructions. Reading the model and
the vectors is not counted. Rounds alternate between one thread and two, and the quickest counts.
"""

import resource
import time
from pathlib import Path

import pandas as pd

from benchmarks.process import machine
from tagger.model.checkpoint import load_checkpoint
from tagger.model.threads import configure_threads

ROUNDS = 5
DATA = Path("data")


class TaggingSpeed:
    """Tags test of the corpus with the model of `dvc repro`, as often as it is asked."""

    def __init__(self) -> None:
        self.predictor = load_checkpoint(DATA / "model", DATA / "embeddings")
        table = pd.read_parquet(DATA / "corpus/test.parquet")
        self.sentences = table["tokens"].to_list()
        self.documents = table["document"].to_list()

    def measure(self, threads: int) -> float:
        """The number of sentences tagged a second."""
        executor = configure_threads(threads)
        start = time.perf_counter()
        self.predictor.predict(self.sentences, self.documents, executor)
        return len(self.sentences) / (time.perf_counter() - start)


def main() -> None:
    """Measure, and print a table."""
    speed = TaggingSpeed()
    rounds = [[speed.measure(threads) for threads in (1, 2)] for _ in range(ROUNDS)]
    print(machine())
    print(f"{len(speed.sentences):,} sentences of test, the quickest of {ROUNDS} rounds\n")
    for threads, speeds in enumerate(zip(*rounds, strict=True), 1):
        print(f"threads: {threads}   {max(speeds):7,.0f} sentences/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(f"\npeak resident memory: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
