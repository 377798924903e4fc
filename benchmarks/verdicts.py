"""How often a review says "better" or "worse" where there is no difference, and where there is one.

Run as `python -m benchmarks.verdicts`. Pairs of taggers are simulated on a test of conllpp's size:
an entity is hard or easy, more so with those of its document; a run finds it if its own luck does
not outweigh that. The two may differ by a known number of points of F1, and the training of each
may be luckier or not, as seeds are. What is counted is the share of pairs that a review with its
level of 5 % would call different.
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
# In standard deviations of how hard entities are: a document's part, a run's luck with an entity,
# and with all of them, which makes seeds differ by 0.2 points of F1, as conllpp's do.
OF_DOCUMENT, OF_ENTITY, OF_SEED = 0.5, 0.25, 0.015


class Case(NamedTuple):
    """Runs on each side, whether their seeds are lucky or not, and points of F1 between them."""

    runs: int
    has_seeds: bool
    points: float


CASES = [
    Case(runs, has_seeds, points)
    for runs, has_seeds in ((1, False), (1, True), (3, True), (5, True))
    for points in (0.0, 0.25, 0.5, 1.0)
]


def rate(case: Case, pairs: int = PAIRS, documents: int = DOCUMENTS, seed: int = 0) -> float:
    """The share of simulated pairs that come out better or worse."""
    random = np.random.default_rng(seed)
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
        rates = "".join(f"{rate(case):8.1%}" for case in CASES[start : start + 4])
        print(f"{name:42}{rates}", flush=True)


if __name__ == "__main__":
    main()
