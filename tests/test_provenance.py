"""A stage keeps its outputs only if they are made of what stands there when it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import stages.runner
from stages.runner import run
from tagger.files import atomic_output
from tests.conftest import Clone

PARAMETERS = "layers: 2  # of what\nhidden: 1\n"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Run a stage in a tree of its own; during its work it calls a function.

    Input is the folder `in` with the file `a`; the outputs are `out` and `more`, which depends on
    nothing. `tagger/b.py` and `tagger/c.py` are code, of which only `tagger.b` is imported.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages.runner, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["copy", "in", "out", "more"])
    for file in ("in/a", "tagger/b.py", "tagger/c.py", "requirements.lock", "params.yaml", "out"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(PARAMETERS if file == "params.yaml" else "# one\n")
    module = type(sys)("tagger.b")
    module.__file__ = str(tmp_path / "tagger/b.py")
    monkeypatch.setitem(sys.modules, "tagger.b", module)

    def start_(change: Callable[[], None]) -> None:
        def copy(input_: Path, output: Path, more: Path, *, layers: int) -> None:
            text = (input_ / "a").read_text() * layers
            change()
            with atomic_output(output) as path, atomic_output(more) as other:
                path.write_text(text)
                other.write_text(text)

        run(copy)

    return start_


def write(file: str, text: str) -> Callable[[], None]:
    return lambda: (Path(file).write_text(text), None)[1]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (write("in/a", "# two\n"), "in/a"),
        (write("in/new", ""), "in/new"),
        (lambda: Path("in/a").unlink(), "in/a"),
        (write("tagger/b.py", "# two\n"), "tagger/b.py"),
        (lambda: Path("tagger/b.py").unlink(), "tagger/b.py"),
        (write("params.yaml", "layers: 3\n"), "params.yaml: layers"),
        (write("requirements.lock", "# two\n"), "requirements.lock"),
    ],
)
def test_what_changed_meanwhile_is_named_and_nothing_is_kept(
    start: Callable[[Callable[[], None]], None], change: Callable[[], None], name: str
) -> None:
    with pytest.raises(SystemExit) as error:
        start(change)
    message = str(error.value)
    assert message.startswith(f"copy: changed since this stage began: {name}; so nothing was kept")
    assert "dvc exp run --temp" in message
    assert Path("out").read_text() == "# one\n", "as it was before"
    assert not Path("more").exists()
    assert list(Path().glob("partial-*")) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda: None,
        write("in/a", "# one\n"),
        write("tagger/b.py", "# one\n"),
        write("tagger/c.py", "# code that this stage does not import\n"),
        write("params.yaml", "hidden: 7\nlayers: 2\n"),
        write("notes.txt", ""),
    ],
)
def test_what_shapes_no_output_may_change(
    start: Callable[[Callable[[], None]], None], change: Callable[[], None]
) -> None:
    start(change)
    assert Path("out").read_text() == Path("more").read_text() == "# one\n# one\n"
    start(lambda: None)  # outputs of an earlier run are replaced


def test_code_that_is_imported_late_counts(
    start: Callable[[Callable[[], None]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        Path("tagger/c.py").write_text("# two\n")
        module = type(sys)("tagger.c")
        module.__file__ = str(tmp_path / "tagger/c.py")
        monkeypatch.setitem(sys.modules, "tagger.c", module)

    with pytest.raises(SystemExit, match=r"changed since this stage began: tagger/c\.py;"):
        start(change)


def test_an_orphan_makes_nothing_whole(
    start: Callable[[Callable[[], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_parent() -> None:  # the watching thread would end this process: it is to sleep on
        monkeypatch.setattr(os, "getppid", lambda: 1)
        monkeypatch.setattr(os, "_exit", lambda status: None)

    with pytest.raises(SystemExit, match=r"^copy: the process that started this stage is gone"):
        start(lose_parent)
    assert Path("out").read_text() == "# one\n"
    assert not Path("more").exists()


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
import sys, time
from pathlib import Path
sys.argv = ["wait", "started"]
from stages.runner import run
def wait(output: Path) -> None:
    output.write_text("")
    time.sleep(600)
run(wait)
"""


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for a parent to take note of it."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] in ("", "Z")


def test_a_stage_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    environment = os.environ | {"PYTHONPATH": str(stages.runner.ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout
    assert parent.stderr
    child = int(parent.stdout.readline())
    try:
        while not (tmp_path / "started").exists():
            assert parent.poll() is None
            time.sleep(0.05)
        parent.kill()
        parent.wait()
        message = parent.stderr.read()  # until the child, which has it too, has ended
        assert message == "wait: the process that started this stage is gone, so nothing was kept\n"
        assert has_ended(child)
    finally:
        if not has_ended(child):
            os.kill(child, signal.SIGKILL)


def test_dvc_vouches_for_no_run_that_was_edited_or_lost_its_parent(
    clone_with_results: Clone,
) -> None:
    """Seeds and code are edited while `train` runs, then DVC alone is killed."""
    clone = clone_with_results
    expected = clone.read("dvc.lock")
    clone.set(epochs=12, hidden=17)

    process = clone.start("env", "PYTHONUNBUFFERED=1", "dvc", "repro")
    read_until(process, "epoch 2:")
    clone.edit("tagger/model/crf.py", "return ", "return  ")
    clone.set(seed=99)
    assert process.stdout
    rest = process.stdout.read()
    assert process.wait() != 0
    changed = "changed since this stage began: params.yaml: seed, tagger/model/crf.py;"
    assert f"train: {changed}" in rest
    assert "Traceback" not in rest
    assert clone.read("dvc.lock") == expected
    assert not (clone.path / "data/model").exists()

    clone.set(epochs=1000)
    process = clone.start("env", "PYTHONUNBUFFERED=1", "dvc", "repro")
    read_until(process, "epoch 2:")
    process.kill()
    process.wait()
    assert process.stdout
    rest = process.stdout.read()  # ends when the stage, the last that could write to it, has ended
    assert "train: the process that started this stage is gone" in rest
    assert clone.read("dvc.lock") == expected
    assert not (clone.path / "data/model").exists()


def read_until(process: "subprocess.Popen[str]", start: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if line.startswith(start):
            return
    pytest.fail(f"no line began with {start!r}")
