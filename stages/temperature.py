"""The temperature that makes a tagger's probabilities agree with how often it is right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from tagger.encoding.layout import Layout
from tagger.model.decoder import Decoder

BOUNDS = (0.1, 10.0)  # of the temperature


def fit_temperature(
    decoder: Decoder, batches: Sequence[tuple[NDArray[np.float32], NDArray[np.int64], Layout]]
) -> float:
    """The temperature under which gold tags are the most probable (Guo et al., ICML 2017).

    It is one number, so it is fitted on sentences that were not trained on: there it is above 1
    where training has made the tagger too certain. It is rounded to three decimals, since later
    ones may differ between processors.

    Args:
        decoder: that of the tagger
        batches: emissions ([tokens, tags]), gold tag ids ([tokens]) and layout of some sentences
    """

    def loss(logarithm: float) -> float:
        temperature = float(np.exp(logarithm))
        return -sum(decoder.log_likelihood(*batch, temperature) for batch in batches)

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 3)
