"""The model in 8-bit integers: a token's emissions are its own, and near those of PyTorch."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.onnx_graph import FEW, build_graph, measure_ranges
from tagger.encoding.context import Context
from tagger.encoding.split import Batch, Split
from tagger.files import InputError
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.configuration import TaggerConfiguration
from tagger.model.onnx import OnnxScorer
from tests.conftest import ROOT
from tests.factories import CLASSROOM, FULL, WORDS, make_split

DIMENSION = 6
CONFIGURATIONS = {
    "full": FULL,
    "classroom": CLASSROOM,
    "no characters": replace(FULL, character_count=0),
    "no trained vectors": replace(FULL, train_token_count=0),
    "no document, three layers": replace(FULL, document=False, layers=3),
    "one wide layer": replace(FULL, layers=1, hidden=133),
}
each_configuration = pytest.mark.parametrize(
    "configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS
)
TRAIN = make_split([*range(1, 41)])  # with each length that is scored


@cache
def make_model(configuration: TaggerConfiguration) -> BiLSTMCRF:
    """A model with random weights, as large as those of trained ones and none of them zero."""
    torch.manual_seed(0)
    model = BiLSTMCRF(torch.randn(len(WORDS) + 2, DIMENSION), configuration)
    for parameter in model.parameters():
        size = parameter.shape[-1] if parameter.dim() > 1 else 9
        torch.nn.init.normal_(parameter, std=size**-0.5)
    return model.eval()


def graph_of(model: BiLSTMCRF) -> bytes:
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    ranges = measure_ranges(model.configuration, weights, model.vectors.numpy(), TRAIN)
    return build_graph(model.configuration, weights, ranges)


@cache
def make_scorer(configuration: TaggerConfiguration) -> OnnxScorer:
    model = make_model(configuration)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(graph_of(model))
        return OnnxScorer(path, model.vectors.numpy())


def make_batches(
    configuration: TaggerConfiguration, split: Split, cut: Sequence[Sequence[int]]
) -> list[Batch]:
    vectors = make_model(configuration).vectors.numpy()
    context = Context.of(split, vectors).features if configuration.document else None
    return [split.batch(np.array(sentences), context) for sentences in cut]


@each_configuration
@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=3, max_size=12).map(lambda some: [40, *some]),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_emissions_have_the_same_bits_in_every_batch(
    configuration: TaggerConfiguration, lengths: list[int], seed: int, data: st.DataObject
) -> None:
    assert 40 <= FEW < 40 * len(lengths)  # alone each is a short text, and all together are not
    scorer, split = make_scorer(configuration), make_split(lengths, seed)
    order = data.draw(st.permutations(range(len(lengths))))
    end = data.draw(st.integers(1, len(lengths) - 1))
    alone = [[number] for number in range(len(lengths))]
    found = []
    for cut in (alone, [order], [order[:end], order[end:]]):
        emissions = np.full((sum(lengths), len(configuration.tags)), np.nan, np.float32)
        for batch in make_batches(configuration, split, cut):
            emissions[batch.positions] = scorer.score(batch)
        found.append(emissions)
    assert np.isfinite(found[0]).all()
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@each_configuration
def test_emissions_are_near_those_of_pytorch(configuration: TaggerConfiguration) -> None:
    """What remains is rounding: a weight is off by up to 1/126 of the largest, a state by 1/254."""
    split = make_split([9, 30, 1, 17, 24], seed=5)
    (batch,) = make_batches(configuration, split, [range(5)])
    expected = make_model(configuration).score(batch)
    found = make_scorer(configuration).score(batch)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    error = np.abs(found - expected)
    assert np.sqrt((error**2).mean()) < 0.03 * expected.std()
    assert error.max() < 0.15 * expected.std()


def test_the_same_weights_give_the_same_bytes() -> None:
    assert graph_of(make_model(FULL)) == graph_of(make_model(FULL))


def test_threads_score_side_by_side() -> None:
    scorer = make_scorer(FULL)
    splits = [make_split([5, 9, 3], seed) for seed in range(40)]
    batches = [make_batches(FULL, split, [range(3)])[0] for split in splits]
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(scorer.score, batches))
    for batch, emissions in zip(batches, found, strict=True):
        assert np.array_equal(emissions, scorer.score(batch))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    whole = graph_of(make_model(FULL))
    path = tmp_path / "model.onnx"
    vectors = make_model(FULL).vectors.numpy()
    for content in (b"", b"no model", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.onnx is damaged"):
            OnnxScorer(path, vectors)
    path.write_bytes(whole)
    with pytest.raises(InputError, match="it reads vectors of 6 values, not 5"):
        OnnxScorer(path, vectors[:, 1:])


def test_a_model_cannot_read_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX lets weights stand in a file that the model names, which could be any of the user's."""
    model = onnx.load_from_string(graph_of(make_model(FULL)))
    (bias,) = (each for each in model.graph.initializer if each.name == "emissions bias")
    for folder in ("tagger", "work"):
        (tmp_path / folder).mkdir()
    (tmp_path / "work/private").write_bytes(bias.raw_data)
    (tmp_path / "tagger/link").symlink_to(tmp_path / "work/private")
    bias.ClearField("raw_data")
    bias.data_location = onnx.TensorProto.EXTERNAL
    location = bias.external_data.add(key="location")
    monkeypatch.chdir(tmp_path / "work")
    vectors, path = make_model(FULL).vectors.numpy(), tmp_path / "tagger/model.onnx"
    for name in ("private", "../work/private", str(tmp_path / "work/private"), "link"):
        location.value = name
        path.write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match=r"External data path validation failed"):
            OnnxScorer(path, vectors)


def test_nothing_is_sent_or_noted_about_the_user(tmp_path: Path) -> None:
    """ONNX Runtime would write the number of the device, and events to send, to ~/.cache."""
    (tmp_path / "model.onnx").write_bytes(graph_of(make_model(FULL)))
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys, numpy, pathlib; from tagger.model.onnx import OnnxScorer; "
        "OnnxScorer(pathlib.Path(sys.argv[1]), numpy.zeros((1, 6)))"
    )
    variables = {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_", "PYTHON"))}
    command = [sys.executable, "-c", code, str(tmp_path / "model.onnx")]
    subprocess.run(command, env=kept | variables, check=True)
    assert list(home.iterdir()) == []
