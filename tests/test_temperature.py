"""The temperature that is fitted is the one that the tags were drawn with."""

import numpy as np
import pytest

from stages.temperature import fit_temperature
from tests.test_decoder import enumerate_sequences, make_model


def test_it_is_that_of_tags_drawn_with_it() -> None:
    random = np.random.default_rng(0)
    model = make_model(["A"], "IOB2", [3] * 1000, seed=0, spread=3)
    gold: list[int] = []
    for sentence in range(1000):
        sequences, scores = enumerate_sequences(model, "IOB2", sentence)
        shares = np.exp((scores - scores.max()) / 1.7)
        gold += sequences[random.choice(len(sequences), p=shares / shares.sum())]
    batch = (model.emissions, np.array(gold), model.layout)
    found = fit_temperature(model.decoder, [batch])
    assert found == pytest.approx(1.7, abs=0.15)
    assert found == round(found, 3)
    likelihoods = [model.decoder.log_likelihood(*batch, found + by) for by in (-0.002, 0, 0.002)]
    assert max(likelihoods) == likelihoods[1]
