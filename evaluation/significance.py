"""Confidence intervals of F1, and tests of whether the F1 of two taggers differs.

Samples are drawn of documents, not of sentences or entities: a tagger mostly treats all mentions of
a name in a document alike, so the sentences of a document are not independent of each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit  # the same as scipy.stats.t, which takes long to import

RESAMPLES = 10_000
LEVEL = 0.05  # the significance level of a test; intervals are of confidence 1 - LEVEL
# The most numbers drawn at a time. In a corpus without document boundaries each sentence is a
# document, and all samples at once would not fit in memory.
PORTION = 2**22


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of counts, 2 · correct / (predicted + gold): the harmonic mean of precision and recall.

    Args:
        counts: [..., 3]: correct, predicted, gold

    Returns:
        [...]; 0 where there is neither a predicted nor a gold entity
    """
    correct, predicted, gold = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    total = predicted + gold
    result: np.ndarray = np.divide(2 * correct, total, out=np.zeros_like(total), where=total > 0)
    return result


def bootstrap(counts: np.ndarray, seed: int = 0) -> np.ndarray:
    """F1 in each of RESAMPLES bootstrap samples of the documents (Efron 1979).

    A sample has as many documents as there are, drawn with replacement.

    Args:
        counts: by document, [..., documents, 3]; whatever the leading dimensions stand for, all
            are counted in the same samples, so that their differences are paired
        seed: of the random numbers

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
    """Split RESAMPLES into numbers of samples that fit in memory at a time."""
    most = max(1, PORTION // documents)
    for start in range(0, RESAMPLES, most):
        yield min(most, RESAMPLES - start)


def interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two ends of the percentile interval of samples [RESAMPLES, ...], each [...]."""
    low, high = np.quantile(samples, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return low, high


@dataclass(frozen=True)
class Difference:
    """The F1 of a base, that of a head, and how sure their difference (head - base) is.

    low and high are the ends of the 95 % interval of the difference; p is the probability of a
    difference at least as large, in either direction, if base and head were equally good.
    """

    base: float
    head: float
    low: float
    high: float
    p: float

    @property
    def delta(self) -> float:
        """The difference, head - base."""
        return self.head - self.base


def compare(base: np.ndarray, head: np.ndarray, seed: int = 0) -> list[Difference]:
    """Test for each group of entities whether the F1 of two sides differs.

    With one run on each side, p is that of approximate randomization (Noreen 1989; Yeh, COLING
    2000) and the interval that of the bootstrap over documents. Both are about these two runs:
    training again with another seed may turn the difference around.

    With several runs (seeds) on each side, the difference of the mean scores is compared with its
    variance: that between the runs of each side, plus that of the bootstrap over documents, less
    the part that is in both. p and interval are those of Student's t, with the degrees of freedom
    of Welch (1947) and Satterthwaite (1946). They are about the two ways of training, whatever the
    seed.

    Args:
        base: counts by document of each run, [runs, groups, documents, 3]
        head: the same of the other side, on the same documents
        seed: of the random numbers

    Returns:
        the difference for each group

    Raises:
        ValueError: one side has one run, and the other has several.
    """
    if (len(base) == 1) != (len(head) == 1):
        raise ValueError(f"{len(base)} and {len(head)} runs: there must be one on each side, or "
                         "several on each")  # fmt: skip
    sides = base, head
    scores = [f1(side.sum(axis=2)) for side in sides]  # [runs, groups]
    means = [of_runs.mean(axis=0) for of_runs in scores]
    deltas = means[1] - means[0]
    documents = base.shape[2]
    sampled = bootstrap(np.concatenate(sides), seed)  # the same documents for all runs
    samples = sampled[:, len(base) :].mean(axis=1) - sampled[:, : len(base)].mean(axis=1)
    if documents == 1:  # from which nothing can be said of others
        low, high, p = (np.full_like(deltas, value) for value in (-1, 1, 1))
    elif len(base) == 1:
        low, high = interval(samples)
        p = approximate_randomization(base[0], head[0], seed)
    else:
        of_documents = samples.var(axis=0, ddof=1)
        for runs in (sampled[:, : len(base)], sampled[:, len(base) :]):
            # The interaction of runs and documents (a run does better than the others of its side
            # on some documents) is in the variance between runs already.
            interaction = runs - runs.mean(axis=1, keepdims=True)
            of_documents -= interaction.var(axis=0, ddof=1).mean(axis=0) / (runs.shape[1] - 1)
        parts = [(np.maximum(of_documents, 0), documents - 1)]
        parts += [(s.var(axis=0, ddof=1) / len(s), len(s) - 1) for s in scores]
        variance = np.sum([part for part, _ in parts], axis=0)
        squares = np.sum([part**2 / freedom for part, freedom in parts], axis=0)
        is_sure = variance < 1e-20  # only rounding varies: all predictions are the same
        freedom = np.where(is_sure, 1, variance**2 / np.where(is_sure, 1, squares))
        error = np.sqrt(variance)
        t = np.divide(deltas, error, out=np.zeros_like(deltas), where=~is_sure)
        p = 2 * stdtr(freedom, -np.abs(t))  # of both tails
        reach = stdtrit(freedom, 1 - LEVEL / 2) * error
        low, high = deltas - reach, deltas + reach
    columns = (*means, low, high, p)
    return [Difference(*map(float, row)) for row in zip(*columns, strict=True)]


def approximate_randomization(base: np.ndarray, head: np.ndarray, seed: int = 0) -> np.ndarray:
    """The p value of a paired test that swaps base and head in documents drawn at random.

    If base and head are equally good, the swap (each document's with probability 1/2) changes
    nothing but by chance (Noreen 1989). p is the share of swaps after which F1 differs at least as
    much as it does; the observed difference counts as one of them.

    Args:
        base: counts by document, [groups, documents, 3]
        head: the same of the other side
        seed: of the random numbers

    Returns:
        p, [groups]
    """
    groups, documents, _ = base.shape
    moved = np.moveaxis(head - base, 1, 0).reshape(documents, -1).astype(np.float64)
    totals = base.sum(axis=1), head.sum(axis=1)  # [groups, 3]
    # Differences that are equal in exact arithmetic may differ by rounding.
    observed = np.abs(f1(totals[1]) - f1(totals[0])) - 1e-12
    random = np.random.default_rng(seed)
    as_far = np.zeros(groups)
    for n in _portions(documents):
        coins = random.integers(2, size=(n, documents)).astype(np.float64)
        swapped = (coins @ moved).reshape(n, groups, 3)
        differences = f1(totals[1] - swapped) - f1(totals[0] + swapped)
        as_far += (np.abs(differences) >= observed).sum(axis=0)
    return (as_far + 1) / (RESAMPLES + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p values of several tests for their number (Holm 1979).

    The smallest is multiplied by the number of tests, the next by one less, and so on; none comes
    out smaller than one before it. So the probability that any of the adjusted values is below
    LEVEL by chance is at most LEVEL.
    """
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = largest
    return adjusted
