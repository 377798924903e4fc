"""Parameters are coerced or refused by name, and errors end a stage with one line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from stages.download import download
from stages.embed import embed
from stages.runner import read_parameters, read_texts, run
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
    return read_parameters(read_texts(write(tmp_path, key, text)), STAGE_OF[key])[key]


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
        read_parameters(read_texts(file), download)
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
        read_parameters(read_texts(file), download)


def test_run_ends_with_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_as_stage: Callable[..., None]
) -> None:
    def copy(source: Path, target: Path, *, layers: int) -> None:
        target.write_text(source.read_text() * layers)

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    with pytest.raises(SystemExit, match=r"^copy: .*No such file.*'a'$"):
        run_as_stage(copy, "a", "b")
    Path("a").write_text("x")
    run_as_stage(copy, "a", "b")
    assert Path("b").read_text() == "xx"
    with pytest.raises(SystemExit, match=r"^usage: python -m stages copy SOURCE TARGET$"):
        run_as_stage(copy, "a")


def test_a_stage_refuses_a_bad_parameter_with_one_line_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "dropout", "1.5")
    monkeypatch.chdir(tmp_path)
    message = r"^train: params.yaml: dropout: '1.5' is refused: Input should be less than 1$"
    with pytest.raises(SystemExit, match=message):  # Python prints it, and ends with status 1
        run("train", ["no-embeddings", "no-index", "model", "curve.csv"], os.getppid())
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("name", "missing", "maker", "out"),
    [
        ("index", "data/corpus/train.parquet", "download", "data/corpus"),
        ("train", "data/index/index.json", "index", "data/index"),
        ("evaluate", "data/model/config.json", "train", "data/model"),
    ],
)
def test_a_missing_input_is_named_with_the_stage_that_makes_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    missing: str,
    maker: str,
    out: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    command = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]["cmd"]
    paths = command.split(f"-m stages {name}")[1].split()
    told = (
        f"{name}: .*No such file or directory: '{missing}'. The stage {maker} makes {out}: "
        "`dvc repro` runs it first where needed"
    )
    with pytest.raises(SystemExit, match=f"^{told}$"):
        run(name, paths, os.getppid())


@pytest.mark.parametrize(
    ("missing", "maker"),
    [("metrics/metrics.json", "evaluate"), ("metrics/confusion.csv", "evaluate")],
)
def test_tables_and_metrics_have_a_maker_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_as_stage: Callable[..., None],
    missing: str,
    maker: str,
) -> None:
    def read(source: Path) -> None:
        source.read_text()

    monkeypatch.chdir(tmp_path)
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    with pytest.raises(SystemExit, match=f"The stage {maker} makes {missing}: "):
        run_as_stage(read, missing)


def test_a_python_without_the_packages_is_named_with_the_remedy() -> None:
    """As that of a DVC which is called from outside the environment."""
    command = [sys.executable, "-S", "-m", "stages", "embed", "a", "b"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"embed: the Python that runs this stage, {sys.executable}, has no package yaml: DVC was "
        "called from outside the environment of this project. Run `. .venv/bin/activate` first; "
        "`make sample` makes .venv\n"
    )


def test_a_python_with_other_versions_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_as_stage: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def copy(source: Path, target: Path) -> None:
        target.write_text(source.read_text())

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    run_as_stage(copy, "params.yaml", "a")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(
        "stages.runner.version", lambda name: "2.0.0+cu121" if name == "torch" else version(name)
    )
    run_as_stage(copy, "params.yaml", "b")
    assert f"copy: warning: {sys.executable} has torch 2.0.0 (requirements.lock: 2." in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("make", [torch.ones, np.ones, lambda size: [0] * size])
def test_too_little_memory_is_told_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_as_stage: Callable[..., None],
    make: Callable[[int], object],
) -> None:
    def fill(output: Path) -> None:
        make(2**46)  # more than an address can count

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    with pytest.raises(SystemExit, match=r"^fill: out of memory.* a smaller batch_size.*hidden$"):
        run_as_stage(fill, "out")


def test_an_error_of_the_code_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_as_stage: Callable[..., None]
) -> None:
    def fail(output: Path) -> None:
        raise RuntimeError("a bug")

    monkeypatch.chdir(tmp_path)
    write(tmp_path, "layers", "2")
    with pytest.raises(RuntimeError, match="a bug"):
        run_as_stage(fail, "out")


@pytest.mark.parametrize("arguments", [[], ["tarin", "a", "b"], ["runner"], ["--help"]])
def test_what_is_no_stage_gets_a_list_of_them(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "stages", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    usage = "usage: python -m stages {download,embed,index,train,evaluate,export} PATH…\n"
    assert (done.returncode, done.stderr) == (1, usage)


MAIN = """
import sys
import stages.__main__
sys.argv, stages.__main__.STAGES = ["stages", "wait", "in", "out"], ("wait",)
stages.__main__.main()
"""
WAIT = """
def wait_for_go():
    Path("started").touch()
    while not Path("go").exists():
        time.sleep(0.01)
"""
SWALLOWS = """
try:
    wait_for_go()
except BaseException as error:
    print(repr(error), file=sys.stderr)
"""
WORKS = """
def wait(source: Path, output: Path) -> None:
    with atomic_output(output) as path:
        path.touch()
        wait_for_go()
"""


def start_waiting(folder: Path, code: str, handler: signal.Handlers) -> "subprocess.Popen[str]":
    """Start a stage with this code in a folder, and return when it waits for the file `go`."""
    (folder / "params.yaml").write_text("a: 1\n")
    (folder / "stages").mkdir()
    imports = "import sys, time\nfrom pathlib import Path\nfrom tagger.files import atomic_output\n"
    (folder / "stages/wait.py").write_text(imports + WAIT + code)
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )  # fmt: skip
    while not (folder / "started").exists():
        assert process.poll() is None
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("code", [SWALLOWS, WORKS])
def test_ctrl_c_prints_nothing_and_leaves_nothing(tmp_path: Path, code: str) -> None:
    process = start_waiting(tmp_path, code, signal.SIG_DFL)
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode == 130
    assert {p.name for p in tmp_path.iterdir()} == {"params.yaml", "stages", "started"}


@pytest.mark.parametrize("code", [SWALLOWS + WORKS, WORKS])
def test_ctrl_c_does_not_end_what_runs_in_the_background(tmp_path: Path, code: str) -> None:
    process = start_waiting(tmp_path, code, signal.SIG_IGN)
    process.send_signal(signal.SIGINT)
    (tmp_path / "go").touch()
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert (tmp_path / "out").exists()


INTERRUPTED = """
import os, runpy, signal, sys
module, *sys.argv[1:] = sys.argv[1:]
def interrupt(event, arguments):
    if event == "import" and arguments[0] == module:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
runpy.run_module("stages", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("download", "yaml"),
        ("embed", "scipy"),
        ("index", "pyarrow.lib"),
        ("train", "torch._C"),
        ("evaluate", "evaluation.report"),
    ],
)
def test_ctrl_c_while_libraries_are_imported(tmp_path: Path, name: str, module: str) -> None:
    """`module` is what Python is about to import when the interruption comes."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    _, *paths = stage["cmd"].split(f"-m stages {name}")[1].split()
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, name, *paths],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), timeout=300,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
