"""`make fingerprint` says whether a processor computes the committed bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import fingerprint
from benchmarks.process import processor, variables_of
from tests.conftest import ROOT


def run(
    *arguments: str, variables: dict[str, str], status: int | None = 0
) -> subprocess.CompletedProcess[str]:
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert status in (None, process.returncode), process.stdout
    return process


@pytest.fixture(scope="module")
def process() -> subprocess.CompletedProcess[str]:
    """The program, where PyTorch would take two threads and MKL other instructions."""
    variables = {"OMP_NUM_THREADS": "2", "MKL_CBWR": "SSE4_2"}
    return run("-m", "benchmarks.fingerprint", variables=variables, status=None)


def hashes_in(output: str) -> dict[str, tuple[str, str]]:
    """From the program's table: the hash here and the committed one, by operation."""
    table = output.split("\n\n")[1].splitlines()[1:]
    rows = [line.removesuffix("differs").rsplit(maxsplit=2) for line in table]
    return {name: (here, committed) for name, here, committed in rows}


@pytest.mark.slow
def test_a_processor_on_which_the_bits_were_seen_still_gives_them(
    process: subprocess.CompletedProcess[str],
) -> None:
    committed = json.loads(fingerprint.COMMITTED.read_text(encoding="utf-8"))
    rows = hashes_in(process.stdout)
    assert {name: row[1] for name, row in rows.items()} == committed["hashes"]
    differing = [name for name, (here, expected) in rows.items() if here != expected]
    if processor() in committed["seen_on"]:
        assert not differing
    assert process.returncode == bool(differing)
    assert process.stdout.splitlines()[-1].startswith("No: " if differing else "Yes: ")


@pytest.mark.slow
def test_a_hash_depends_neither_on_the_other_operations_nor_on_the_threads(
    process: subprocess.CompletedProcess[str],
) -> None:
    code = (
        "import json; from benchmarks.fingerprint import OPERATIONS, compute;"
        "print(json.dumps(compute(reversed(OPERATIONS))))"
    )
    variables = variables_of("train") | {"OMP_NUM_THREADS": "1"}
    found = json.loads(run("-c", code, variables=variables).stdout)
    assert found == {name: here for name, (here, _) in hashes_in(process.stdout).items()}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of hashes of three quick operations, as this processor gives them."""
    for name, value in variables_of("train").items():
        monkeypatch.setenv(name, value)
    names = ("dropout", "cross-entropy", "CRF decoding")
    operations = {name: fingerprint.OPERATIONS[name] for name in names}
    monkeypatch.setattr(fingerprint, "OPERATIONS", operations)
    monkeypatch.setattr(fingerprint, "COMMITTED", tmp_path / "fingerprint.json")
    monkeypatch.setattr(sys, "argv", ["fingerprint", "--rewrite"])
    fingerprint.main()
    monkeypatch.setattr(sys, "argv", ["fingerprint"])
    return fingerprint.COMMITTED


def edit(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | changes), encoding="utf-8")


@pytest.mark.parametrize("option", [[], ["--update"]])
def test_a_difference_is_named_with_the_remedy(
    option: list[str],
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hashes = json.loads(copy.read_text(encoding="utf-8"))["hashes"]
    edit(copy, hashes=hashes | {"cross-entropy": "0123456789ab"})
    before = copy.read_bytes()
    monkeypatch.setattr(sys, "argv", ["fingerprint", *option])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        fingerprint.main()
    assert ended.value.code == 1
    output = capsys.readouterr().out
    [marked] = [line for line in output.splitlines() if line.endswith("differs")]
    assert marked.split() == ["cross-entropy", hashes["cross-entropy"], "0123456789ab", "differs"]
    last = output.splitlines()[-1]
    assert last.startswith("No: this processor gives other bits in 1 of 3 operations")
    for words in ("(cross-entropy)", "make verify TOLERANCE=", "dvc pull"):
        assert words in last
    assert copy.read_bytes() == before


def test_an_update_adds_the_processor_and_what_the_file_lacks(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    complete = json.loads(copy.read_text(encoding="utf-8"))
    assert complete["seen_on"] == [processor()]
    name, *others = complete["hashes"]
    kept = {other: complete["hashes"][other] for other in others}
    edit(copy, seen_on=["another"], hashes=kept | {"no longer here": "0123456789ab"})
    with pytest.raises(SystemExit):  # one is not in the file
        fingerprint.main()
    monkeypatch.setattr(sys, "argv", ["fingerprint", "--update"])
    capsys.readouterr()
    fingerprint.main()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Yes: ")
    assert processor() in last
    updated = json.loads(copy.read_text(encoding="utf-8"))
    assert updated["hashes"] == complete["hashes"]
    assert list(updated["hashes"]) == [name, *others]
    assert sorted(updated["seen_on"]) == sorted(["another", processor()])


@pytest.mark.parametrize("name", fingerprint.OPERATIONS)
def test_every_operation_gives_finite_numbers_that_differ(name: str) -> None:
    torch.manual_seed(1)
    found = fingerprint.OPERATIONS[name](np.random.default_rng(0))
    assert all(bool(tensor.isfinite().all()) for tensor in found)
    assert any(len(tensor.flatten().unique()) > 2 for tensor in found)
