"""Parameters are coerced or refused by name, and errors end a stage with one line."""

import runpy
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from stages.download import download
from stages.embed import embed
from stages.runner import read_parameters, run
from stages.train import train
from tagger.files import InputError
from tests.conftest import ROOT

GOOD = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGE_OF: dict[str, Any] = {
    **dict.fromkeys(GOOD, train), "corpus": download, "embeddings": embed
}  # fmt: skip


def write(folder: Path, key: str, text: str) -> Path:
    """Write the repository's params.yaml into a folder, with `text` as the value of one key."""
    file = folder / "params.yaml"
    lines = [f"{k}: {v}\n" for k, v in (GOOD | {key: text}).items()]
    file.write_text("".join(lines), encoding="utf-8")
    return file


def read(tmp_path: Path, key: str, text: str) -> Any:
    """What a stage gets for a key where params.yaml has `text` as its value."""
    return read_parameters(write(tmp_path, key, text), STAGE_OF[key])[key]


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("hidden", "256", 256),
        ("learning_rate", "1e-05", 1e-05),  # what DVC writes for 0.00001: text to YAML
        ("dropout", "0", 0.0),
        ("corpus", "2024", "2024"),
        ("corpus", "no", "no"),
        ("corpus", "007", "007"),
        ("device", "cpu", "cpu"),
        ("seed", "4294967295", 2**32 - 1),
    ],
)
def test_values_come_in_the_declared_type(
    tmp_path: Path, key: str, text: str, expected: object
) -> None:
    value = read(tmp_path, key, text)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("hidden", "abc", "'abc' is refused: Input should be a valid integer"),
        ("hidden", "0", "'0' is refused: Input should be greater than or equal to 1"),
        ("hidden", "9999999999", "'9999999999' is refused: Input should be less than or equal to"),
        ("hidden", "1.5", "'1.5' is refused: Input should be a valid integer"),
        ("hidden", "true", "'true' is refused: Input should be a valid integer"),
        ("hidden", "", "'' is refused: Input should be a valid integer"),
        ("dropout", "1.5", "'1.5' is refused: Input should be less than 1"),
        ("dropout", ".nan", "'.nan' is refused"),
        ("learning_rate", "-0.1", "'-0.1' is refused: Input should be greater than 0"),
        ("learning_rate", "nan", "'nan' is refused"),
        ("clip", "inf", "'inf' is refused: Input should be a finite number"),
        ("threads", "1000000000000", "'1000000000000' is refused: Input should be less than"),
        ("seed", "-1", "'-1' is refused: Input should be greater than or equal to 0"),
        ("device", "gpu", "'gpu' is refused: Input should be 'auto', 'cpu' or 'cuda'"),
    ],
)
def test_a_refusal_names_the_file_the_key_the_value_and_what_is_allowed(
    tmp_path: Path, key: str, text: str, reason: str
) -> None:
    with pytest.raises(InputError, match=f"params.yaml: {key}: {reason}"):
        read(tmp_path, key, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hidden: 1\n", "has no key 'corpus'; add a line"),
        ("- 1\n", "must hold `key: value` lines"),
        ("", "must hold `key: value` lines"),
        ("corpus", "must hold `key: value` lines"),
        ("key: 'a\n", "is not YAML: .*line 2"),
        ("corpus: \0", "is not YAML: "),
        ("{" * 9999, "line 1: a list, a mapping, a reference or"),
        ("corpus: a\n" * 9999, "has 99,990 bytes; more than 20,000 are not read"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"params.yaml,? ?{reason}") as error:
        read_parameters(file, download)
    assert "\n" not in str(error.value)


NESTED = "a list, a mapping, a reference or a second document; write `key: value` lines alone"
BOMB = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghijklm")
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"corpus: x\nhidden: [1, 2]\n", f"line 2: {NESTED}"),
        (b"corpus: x\nother:\n  hidden: 1\n", f"line 3: {NESTED}"),
        (b"corpus: x\nother:\n- 1\n", f"line 3: {NESTED}"),
        (b"? [corpus]\n: x\n", f"line 1: {NESTED}"),
        (b"corpus: &x a\nother: *x\n", f"line 2: {NESTED}"),
        (b"corpus: x\n---\ncorpus: y\n", f"line 2: {NESTED}"),
        (BOMB.encode(), f"line 1: {NESTED}"),
        (b"corpus: x\nhidden: " + b"9" * 5000, "line 2: '9{80}'… has more than 200 characters"),
        (b"corpus: x\nz\xfcrich: 1\n", "line 2: byte 0xfc is not UTF-8; save the file as UTF-8"),
    ],
)
def test_what_is_not_flat_short_text_is_refused_by_line(
    tmp_path: Path, text: bytes, reason: str
) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(text)
    with pytest.raises(InputError, match=f"params.yaml, {reason}$"):
        read_parameters(file, download)


def test_run_ends_with_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path, *, layers: int) -> None:
        target.write_text(source.read_text() * layers)

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    monkeypatch.setattr(sys, "argv", ["copy", "a", "b"])
    with pytest.raises(SystemExit, match=r"^copy: .*No such file.*'a'$"):
        run(copy)
    Path("a").write_text("x")
    run(copy)
    assert Path("b").read_text() == "xx"
    monkeypatch.setattr(sys, "argv", ["copy", "a"])
    with pytest.raises(SystemExit, match=r"^usage: python -m stages.copy SOURCE TARGET$"):
        run(copy)


def test_a_stage_refuses_a_bad_parameter_with_one_line_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "dropout", "1.5")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train", "no-embeddings", "no-index", "model", "curve.csv"])
    message = r"^train: params.yaml: dropout: '1.5' is refused: Input should be less than 1$"
    with pytest.raises(SystemExit, match=message):  # Python prints it, and ends with status 1
        runpy.run_path(str(ROOT / "stages/train.py"), run_name="__main__")
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("make", [torch.ones, np.ones, lambda size: [0] * size])
def test_too_little_memory_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], object]
) -> None:
    def fill(output: Path) -> None:
        make(2**46)  # more than an address can count

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    monkeypatch.setattr(sys, "argv", ["fill", "out"])
    with pytest.raises(SystemExit, match=r"^fill: out of memory.* a smaller batch_size.*hidden$"):
        run(fill)


def test_an_error_of_the_code_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(output: Path) -> None:
        raise RuntimeError("a bug")

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    monkeypatch.setattr(sys, "argv", ["fail", "out"])
    with pytest.raises(RuntimeError, match="a bug"):
        run(fail)
