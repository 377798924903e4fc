"""Intervals and tests against scipy, enumeration and simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.verdicts import Case, rate
from evaluation import significance
from evaluation.significance import (
    approximate_randomization,
    bootstrap,
    compare,
    f1,
    holm,
    interval,
)


def make(seed: int, *shape: int) -> np.ndarray:
    """Counts that can be: correct entities are predicted and gold ones, [*shape, 3]."""
    random = np.random.default_rng(seed)
    gold = random.integers(0, 12, shape)
    found = random.binomial(gold, 0.8)
    return np.stack((found, found + random.integers(0, 3, shape), gold), axis=-1)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "RESAMPLES", 400)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_f1_is_the_harmonic_mean(correct: int, spurious: int, missed: int) -> None:
    got = f1(np.array([correct, correct + spurious, correct + missed]))
    if correct:
        precision, recall = correct / (correct + spurious), correct / (correct + missed)
        assert got == pytest.approx(2 * precision * recall / (precision + recall))
    else:
        assert got == 0


def test_the_interval_is_scipys() -> None:
    counts = make(1, 60)
    low, high = interval(bootstrap(counts))
    expected = stats.bootstrap(
        tuple(counts.T),
        lambda c, p, g, axis: 2 * c.sum(axis=axis) / (p.sum(axis=axis) + g.sum(axis=axis)),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=10_000,
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert [low, high] == pytest.approx(list(expected), abs=0.002)
    assert high - low > 0.02, "or the tolerance says nothing"


def test_draws_repeat_and_are_the_same_for_all_groups() -> None:
    counts = make(2, 3, 20)
    samples = bootstrap(counts)
    assert samples.shape == (significance.RESAMPLES, 3)
    assert (samples == bootstrap(counts)).all()
    assert (samples[:, 1] == bootstrap(counts[1])).all()
    assert (samples != bootstrap(counts, seed=1)).any()


def test_portions_change_only_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = make(3, 40)
    whole = interval(bootstrap(counts))
    monkeypatch.setattr(significance, "PORTION", 40 * 999)
    assert interval(bootstrap(counts)) == pytest.approx(whole, abs=0.004)


@pytest.mark.parametrize("seed", range(3))
def test_randomisation_is_nearly_the_exact_test(seed: int) -> None:
    base, head = make(seed, 2, 9), make(seed + 10, 2, 9)
    head[..., 2] = base[..., 2]
    head[..., 0] = np.minimum(head[..., 0], base[..., 2])
    swaps = np.array(list(itertools.product((0, 1), repeat=9)))[:, None, :, None]
    a = (base * (1 - swaps) + head * swaps).sum(axis=2)  # [swaps, groups, 3]
    b = (head * (1 - swaps) + base * swaps).sum(axis=2)
    differences = np.abs(f1(b) - f1(a))
    exact = (differences >= differences[0] - 1e-12).mean(axis=0)
    assert approximate_randomization(base, head) == pytest.approx(exact, abs=0.015)


def test_the_same_predictions_are_no_difference() -> None:
    for runs in (1, 3):
        counts = np.stack([make(4, 2, 30)] * runs)
        for difference in compare(counts, counts):
            assert difference.delta == 0
            assert [difference.low, difference.high] == pytest.approx([0, 0])
            assert difference.p == 1


def test_where_documents_are_alike_several_runs_are_welchs_test() -> None:
    # Each document the same, the bootstrap over them varies nothing; only runs do.
    random = np.random.default_rng(5)
    sides = []
    for runs, share in ((4, 0.90), (6, 0.85)):
        correct = random.binomial(200, share, runs)
        counts = np.stack((correct, np.full(runs, 200), np.full(runs, 200)), axis=-1)
        sides.append(np.broadcast_to(counts[:, None, None], (runs, 1, 10, 3)))
    (got,) = compare(sides[0], sides[1])
    expected = stats.ttest_ind(*(f1(side[:, 0, 0]) for side in sides[::-1]), equal_var=False)
    assert got.p == pytest.approx(expected.pvalue)
    assert [got.low, got.high] == pytest.approx(list(expected.confidence_interval()))


def of_25(correct: np.ndarray) -> np.ndarray:
    """Counts of documents of 25 entities, as many predicted: F1 is the mean over documents."""
    return np.stack((correct, np.full_like(correct, 25), np.full_like(correct, 25)), axis=-1)


def test_where_runs_are_alike_several_are_a_paired_test_of_documents() -> None:
    random = np.random.default_rng(6)
    base = random.binomial(25, 0.8, (100, 40))  # groups, documents
    head = np.clip(base + random.integers(-2, 4, base.shape), 0, 25)
    got = compare(np.stack([of_25(base)] * 3), np.stack([of_25(head)] * 3))
    expected = stats.ttest_rel(head / 25, base / 25, axis=1)
    assert [some.p for some in got] == pytest.approx(expected.pvalue, abs=0.03)
    widths = expected.confidence_interval().high - expected.confidence_interval().low
    # The bootstrap divides by the number of documents, Student by one less.
    ratio = np.mean([some.high - some.low for some in got]) / widths.mean()
    assert ratio == pytest.approx(np.sqrt(39 / 40), abs=0.01)


@pytest.mark.usefixtures("few")
def test_luck_of_a_run_with_a_document_counts_once() -> None:
    # It is in the spread of runs and in that of documents: counted twice, 1.7 % come out different.
    random = np.random.default_rng(7)
    base, head = (of_25(random.binomial(25, 0.9, (3, 1500, 40))) for _ in range(2))
    different = np.mean([some.p < significance.LEVEL for some in compare(base, head)])
    assert 0.03 <= different <= 0.06


@pytest.mark.parametrize("runs", [1, 2])
def test_one_document_tells_nothing_of_others(runs: int) -> None:
    for some in compare(make(8, runs, 2, 1), make(9, runs, 2, 1)):
        assert (some.low, some.high, some.p) == (-1, 1, 1)


def test_one_run_against_several_is_refused() -> None:
    with pytest.raises(ValueError, match="1 and 2 runs"):
        compare(np.stack([make(6, 1, 5)]), np.stack([make(6, 1, 5)] * 2))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holms_correction_is_the_closure_of_bonferronis(p: list[float]) -> None:
    everything = range(len(p))
    subsets = [s for n in everything for s in itertools.combinations(everything, n + 1)]
    for i, adjusted in enumerate(holm(p)):
        expected = max(min(1, len(s) * min(p[j] for j in s)) for s in subsets if i in s)
        assert adjusted == pytest.approx(expected)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("case", [Case(1, False, 0), Case(4, True, 0)])
def test_no_difference_is_rarely_called_one(case: Case) -> None:
    # By chance alone 300 pairs of a rate of 5 % come out between 2 % and 9 %.
    found = rate(case, pairs=300, documents=60)
    assert found <= 0.09
    if case.runs == 1:
        assert found >= 0.02, "a test that never says so says nothing"


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("case", [Case(1, False, 2.5), Case(4, True, 2.5)])
def test_a_large_difference_is_mostly_found(case: Case) -> None:
    assert rate(case, pairs=100, documents=60) > 0.85


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_one_run_each_takes_the_luck_of_a_seed_for_a_difference() -> None:
    # What the review warns of: this is no property to keep, but the warning must stay true.
    assert rate(Case(1, True, 0), pairs=200, documents=231) > 0.1
