"""How far a score is to be trusted, and whether two differ by more than chance.

Documents are drawn, not sentences or entities: what a tagger does to one mention of a name it does
to the next, so the sentences of a document are not independent of each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 10_000
LEVEL = 0.05  # of a test; an interval holds 1 - LEVEL
PORTION = 2**22  # draws at a time: a corpus without documents has a document a sentence


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of counts [..., 3] (correct, predicted, gold), [...]; 0 where there is no entity at all.

    2 · correct / (predicted + gold) is the harmonic mean of precision and recall.
    """
    correct, predicted, gold = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    total = predicted + gold
    result: np.ndarray = np.divide(2 * correct, total, out=np.zeros_like(total), where=total > 0)
    return result


def bootstrap(counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """F1 in samples of as many documents, drawn with replacement (Efron 1979).

    Args:
        counts: by document, [..., documents, 3]; all are drawn alike, so they stay paired
        seed: of the draws

    Returns:
        [RESAMPLES, ...]
    """
    documents = counts.shape[-2]
    flat = np.moveaxis(counts, -2, 0).reshape(documents, -1).astype(np.float64)
    random = np.random.default_rng(seed)
    shares = np.full(documents, 1 / documents)
    drawn = [random.multinomial(documents, shares, n) @ flat for n in _portions(documents)]
    return f1(np.concatenate(drawn).reshape(RESAMPLES, *counts.shape[:-2], 3))


def _portions(documents: int) -> Iterator[int]:
    """RESAMPLES in numbers whose draws fit in memory at a time."""
    most = max(1, PORTION // documents)
    for start in range(0, RESAMPLES, most):
        yield min(most, RESAMPLES - start)


def interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of samples [RESAMPLES, ...]: its two ends, [...]."""
    low, high = np.quantile(samples, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return low, high


@dataclass(frozen=True)
class Difference:
    """Of two F1 scores: that of the head less that of the base.

    low and high are the ends of its interval; p is the probability of one as far from 0 if base
    and head were alike.
    """

    base: float
    head: float
    low: float
    high: float
    p: float

    @property
    def delta(self) -> float:
        """The difference itself."""
        return self.head - self.base


def compare(base: np.ndarray, head: np.ndarray, seed: int = 0) -> list[Difference]:
    """Whether F1 differs, group by group.

    One run on each side: approximate randomisation (Noreen 1989; Yeh, COLING 2000), which swaps
    base and head in random documents, gives p; the bootstrap over documents the interval. That is
    about these two runs: another seed of either might have come out otherwise.

    Several on each: the difference of the means over runs, against the variance between the runs
    of each side plus that of the bootstrap over documents, less what is in both; p and interval
    are Student's, with the degrees of freedom of Welch (1947) and Satterthwaite (1946). That is
    about how the two are trained, whatever the seed.

    Args:
        base: counts of each run, [runs, groups, documents, 3]
        head: the same of other runs, on the same documents
        seed: of the draws

    Returns:
        a difference a group

    Raises:
        ValueError: there is one run on one side, and several are on the other.
    """
    if (len(base) == 1) != (len(head) == 1):
        raise ValueError(f"{len(base)} and {len(head)} runs: there must be one on each side, or "
                         "several on each")  # fmt: skip
    sides = base, head
    scores = [f1(side.sum(axis=2)) for side in sides]  # [runs, groups]
    means = [some.mean(axis=0) for some in scores]
    deltas = means[1] - means[0]
    documents = base.shape[2]
    sampled = bootstrap(np.concatenate(sides), seed)  # the same documents for all runs
    samples = sampled[:, len(base) :].mean(axis=1) - sampled[:, : len(base)].mean(axis=1)
    if documents == 1:  # tells nothing of others
        low, high, p = (np.full_like(deltas, value) for value in (-1, 1, 1))
    elif len(base) == 1:
        low, high = interval(samples)
        p = randomise(base[0], head[0], seed)
    else:
        of_documents = samples.var(axis=0, ddof=1)
        for runs in (sampled[:, : len(base)], sampled[:, len(base) :]):
            # That a run does better than its side on some documents is in the variance between
            # runs already: an analysis of variance of runs x documents, and their interaction.
            apart = runs - runs.mean(axis=1, keepdims=True)
            of_documents -= apart.var(axis=0, ddof=1).mean(axis=0) / (runs.shape[1] - 1)
        parts = [(np.maximum(of_documents, 0), documents - 1)]
        parts += [(s.var(axis=0, ddof=1) / len(s), len(s) - 1) for s in scores]
        variance = np.sum([part for part, _ in parts], axis=0)
        squares = np.sum([part**2 / freedom for part, freedom in parts], axis=0)
        is_sure = variance < 1e-20  # but for rounding nothing varies: the same predictions
        freedom = np.where(is_sure, 1, variance**2 / np.where(is_sure, 1, squares))
        error = np.sqrt(variance)
        t = np.divide(deltas, error, out=np.zeros_like(deltas), where=~is_sure)
        p = 2 * stats.t.sf(np.abs(t), freedom)
        reach = stats.t.ppf(1 - LEVEL / 2, freedom) * error
        low, high = deltas - reach, deltas + reach
    columns = (*means, low, high, p)
    return [Difference(*map(float, row)) for row in zip(*columns, strict=True)]


def randomise(base: np.ndarray, head: np.ndarray, seed: int = 0) -> np.ndarray:
    """The p of approximate randomisation: base and head swapped in each document by a coin.

    Args:
        base: counts, [groups, documents, 3]
        head: the same
        seed: of the coins

    Returns:
        the share of swaps after which F1 differs as much, the observed one among them, [groups]
    """
    groups, documents, _ = base.shape
    moved = np.moveaxis(head - base, 1, 0).reshape(documents, -1).astype(np.float64)
    totals = base.sum(axis=1), head.sum(axis=1)  # [groups, 3]
    # Counts are whole numbers, so what is equal by right may differ by rounding alone.
    observed = np.abs(f1(totals[1]) - f1(totals[0])) - 1e-12
    random = np.random.default_rng(seed)
    as_far = np.zeros(groups)
    for n in _portions(documents):
        coins = random.integers(2, size=(n, documents)).astype(np.float64)
        swapped = (coins @ moved).reshape(n, groups, 3)
        differences = f1(totals[1] - swapped) - f1(totals[0] + swapped)
        as_far += (np.abs(differences) >= observed).sum(axis=0)
    return (as_far + 1) / (RESAMPLES + 1)


def correct(p: Sequence[float]) -> list[float]:
    """Each p of several tests such that any is below LEVEL by chance no oftener than one alone.

    Holm (1979): the smallest is multiplied by the number of tests, the next by one less, and so on;
    none comes out smaller than one before it.
    """
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted
