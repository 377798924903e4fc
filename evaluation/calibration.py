"""Calibration: whether of the predicted entities with a probability of 0.9, 90 % are correct.

The measure is the expected calibration error over bins of equal width (Naeini, Cooper & Hauskrecht,
AAAI 2015; Guo et al., ICML 2017). Bins that hold equal numbers of entities (Nguyen & O'Connor,
EMNLP 2015) would tell more of the many that are nearly certain; those of equal width are what most
papers report.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tagger.corpus.tags import spans

BINS = 10


def count_bins(
    gold: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    probabilities: Sequence[Sequence[float]],
) -> pd.DataFrame:
    """Compare the probabilities of predicted entities with how many of them are correct.

    Args:
        gold: the gold tags of each sentence
        predicted: its predicted tags
        probabilities: of the predicted entities of each sentence, in the order of `spans`

    Returns:
        a row for each bin with entities, from the lowest: low and high (the probabilities in it are
        above low and up to high), confidence (the mean of the probabilities), accuracy (the
        fraction of its entities that are correct) and entities (their number)
    """
    rows = [
        (probability, span in expected)
        for tags, found, values in zip(gold, predicted, probabilities, strict=True)
        for expected in [set(spans(tags))]
        for span, probability in zip(spans(found), values, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["confidence", "accuracy"], dtype=float)
    table["low"] = np.ceil(table["confidence"] * BINS).clip(lower=1) - 1
    bins = table.groupby("low").agg(
        confidence=("confidence", "mean"),
        accuracy=("accuracy", "mean"),
        entities=("accuracy", "size"),
    )
    bins = bins.reset_index()
    bins.insert(1, "high", (bins["low"] + 1) / BINS)
    bins["low"] /= BINS
    return bins


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """The mean distance of confidence and accuracy over all entities, 0 to 1. There is a bin."""
    distances = (bins["confidence"] - bins["accuracy"]).abs()
    return float((distances * bins["entities"]).sum() / bins["entities"].sum())
