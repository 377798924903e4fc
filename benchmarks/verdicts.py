"""How often a review says "better" or "worse" where there is no difference, and where there is one.

Run as `python -m benchmarks.verdicts`. Pairs of taggers are simulated on a test split of conllpp's
size. Each entity has a difficulty, part of which it shares with the others of its document; a run
finds it if ability less difficulty, plus random noise of that run, is above 0. The abilities of the
two taggers are set so that their F1 differs by a known number of points, and may vary from run to
run, as training does with its seed. Counted is the share of pairs that a review, with its
significance level of 5 %, calls different.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation import significance
from evaluation.significance import LEVEL, compare

PAIRS = 1000
RESAMPLES = 1000  # a tenth of a review's: there are many pairs
DOCUMENTS, ENTITIES = 231, 25  # a document
F1 = 0.92
# Standard deviations, where that of the difficulty of an entity is 1: of what the entities of a
# document share, of the noise of a run on an entity, and of the ability of runs of different seeds,
# which makes them differ by 0.2 points of F1, as they do on conllpp.
OF_DOCUMENT, OF_ENTITY, OF_SEED = 0.5, 0.25, 0.015


class Case(NamedTuple):
    """The number of runs on each side, whether seeds matter, and the true difference in points."""

    runs: int
    has_seeds: bool
    points: float


CASES = [
    Case(runs, has_seeds, points)
    for runs, has_seeds in ((1, False), (1, True), (3, True), (5, True))
    for points in (0.0, 0.25, 0.5, 1.0)
]


def rate(case: Case, pairs: int, documents: int = DOCUMENTS) -> float:
    """The share of simulated pairs that a review would call better or worse."""
    random = np.random.default_rng(0)
    spread = float(np.sqrt(1 + OF_DOCUMENT**2 + OF_ENTITY**2 + OF_SEED**2 * case.has_seeds))
    places = [spread * float(stats.norm.ppf(F1 + sign * case.points / 200)) for sign in (-1, 1)]
    hits = 0
    for _ in range(pairs):
        ease = random.normal(size=(documents, ENTITIES))
        ease += OF_DOCUMENT * random.normal(size=(documents, 1))
        sides = []
        for place in places:
            luck = OF_ENTITY * random.normal(size=(case.runs, documents, ENTITIES))
            luck += OF_SEED * case.has_seeds * random.normal(size=(case.runs, 1, 1))
            correct = (place + ease + luck > 0).sum(axis=2)
            counts = (correct, np.full_like(correct, ENTITIES), np.full_like(correct, ENTITIES))
            sides.append(np.stack(counts, axis=-1)[:, None])  # [runs, 1, documents, 3]
        (difference,) = compare(sides[0], sides[1], seed=int(random.integers(2**31)))
        hits += difference.p < LEVEL
    return hits / pairs


def main() -> None:
    """Simulate, and print a table."""
    significance.RESAMPLES = RESAMPLES
    print(f"{PAIRS} pairs each: the share that is called better or worse\n")
    print(f"{'':42}points of F1 between the two")
    print(f"{'':42}" + "".join(f"{case.points:>8}" for case in CASES[:4]))
    for start in range(0, len(CASES), 4):
        runs, has_seeds, _ = CASES[start]
        name = f"runs on each side: {runs}, seeds {'differ' if has_seeds else 'do not matter'}"
        rates = "".join(f"{rate(case, PAIRS):8.1%}" for case in CASES[start : start + 4])
        print(f"{name:42}{rates}", flush=True)


if __name__ == "__main__":
    main()
