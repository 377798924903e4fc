"""The benchmark of other processors trains and scores as the pipeline does."""

import json
import platform
from hashlib import sha256

from benchmarks.processors import SETTINGS
from tests.conftest import Clone


def test_with_the_pipelines_own_settings_it_finds_the_pipelines_own_results(
    clone_with_results: Clone,
) -> None:
    clone = clone_with_results
    code = (
        "from benchmarks import processors as p;"
        "p.SETTINGS = {'again': (2, None), 'SSE4': p.SETTINGS['SSE4']};"
        "p.main()"
    )
    *_, own, again, other = (line.split() for line in clone.run("python", "-c", code).splitlines())
    scores = json.loads(clone.read("metrics/metrics.json"))
    weights = sha256((clone.path / "data/model/weights.safetensors").read_bytes()).hexdigest()
    f1 = [f"{scores[split]['f1']:.4f}" for split in ("validation", "test")]
    assert own == ["dvc", "repro", *f1, weights[:8]]
    assert again == ["again", *own[2:]]
    assert other[0] == "SSE4"
    if platform.machine() == "x86_64":
        assert other[-1] != weights[:8], "the variables have reached the stage"


def test_one_setting_changes_only_what_mkl_computes() -> None:
    threads, variables = SETTINGS["MKL_CBWR=AVX2"]
    assert threads == 2
    assert variables == {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
