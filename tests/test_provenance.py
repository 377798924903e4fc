"""A stage keeps its outputs only if they are made of what stands there when it ends."""

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psutil
import pytest

import stages.runner
from tagger.files import atomic_output
from tests.conftest import Clone
from tests.fake_tagger import wait_until

PARAMETERS = "layers: 2  # of what\nhidden: 1\n"


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_as_stage: Callable[..., None]
) -> Callable[..., None]:
    """Run a stage in a tree of its own; during its work, or its imports, a function is called.

    Input is the folder `in` with the file `a`; the outputs are `out` and `more`, which depends on
    nothing. `tagger/b.py` and `tagger/c.py` are code, of which only `tagger.b` is imported.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages.runner, "ROOT", tmp_path)
    for file in ("in/a", "tagger/b.py", "tagger/c.py", "requirements.lock", "params.yaml", "out"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(PARAMETERS if file == "params.yaml" else "# one\n")
    module = type(sys)("tagger.b")
    module.__file__ = str(tmp_path / "tagger/b.py")
    monkeypatch.setitem(sys.modules, "tagger.b", module)

    def start_(change: Callable[[], None], during: str = "work") -> None:
        def copy(input_: Path, output: Path, more: Path, *, layers: int) -> None:
            text = "".join(path.read_text() for path in input_.glob("a")) * layers
            if during == "work":
                change()
            with atomic_output(output) as path, atomic_output(more) as other:
                path.write_text(text)
                other.write_text(text)

        def import_module(name: str) -> ModuleType:
            change()
            return sys.modules[name]

        with monkeypatch.context() as patch:
            if during == "imports":
                patch.setattr(importlib, "import_module", import_module)
            run_as_stage(copy, "in", "out", "more")

    return start_


def write(file: str, text: str) -> Callable[[], None]:
    return lambda: (Path(file).write_text(text), None)[1]


@pytest.mark.parametrize("during", ["imports", "work"])
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
    start: Callable[..., None], change: Callable[[], None], name: str, during: str
) -> None:
    with pytest.raises(SystemExit) as error:
        start(change, during)
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
    start: Callable[..., None], change: Callable[[], None]
) -> None:
    start(change)
    assert Path("out").read_text() == Path("more").read_text() == "# one\n# one\n"
    start(lambda: None)  # outputs of an earlier run are replaced


def test_code_that_is_imported_late_counts(
    start: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        Path("tagger/c.py").write_text("# two\n")
        module = type(sys)("tagger.c")
        module.__file__ = str(tmp_path / "tagger/c.py")
        monkeypatch.setitem(sys.modules, "tagger.c", module)

    with pytest.raises(SystemExit, match=r"changed since this stage began: tagger/c\.py;"):
        start(change)


def test_an_orphan_makes_nothing_whole(
    start: Callable[..., None], monkeypatch: pytest.MonkeyPatch
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
import os
from stages.runner import run
run("wait", ["started"], os.getppid())
"""
WAIT = "import time; from pathlib import Path; Path('started').touch(); time.sleep(600)\n"


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for a parent to take note of it."""
    try:
        return psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("during", ["imports", "work"])
def test_a_stage_ends_with_the_process_that_started_it(tmp_path: Path, during: str) -> None:
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/wait.py").write_text(
        WAIT if during == "imports" else f"def wait(output):\n    {WAIT}"
    )
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
        wait_until(lambda: has_ended(child))  # it closes its files a moment before
    finally:
        if not has_ended(child):
            os.kill(child, signal.SIGKILL)


def test_dvc_vouches_for_no_run_that_was_edited_or_lost_its_parent(
    clone_with_results: Clone,
) -> None:
    """Code is edited while `train` imports libraries, more of it and a seed while it runs.

    Then DVC alone is killed during the imports.
    """
    clone = clone_with_results
    expected = clone.read("dvc.lock")
    clone.set(epochs=12, hidden=17)
    repro = ("env", "PYTHONUNBUFFERED=1", "PYTHONPROFILEIMPORTTIME=1", "dvc", "repro")
    library = r"import time: .* torch\.\w+$"  # a module of it, long before the last

    process = clone.start(*repro)
    read_until(process, library)
    clone.edit("tagger/files.py", "return ", "return  ")
    read_until(process, "epoch 2:")
    clone.edit("tagger/model/crf.py", "return ", "return  ")
    clone.set(seed=99)
    assert process.stdout
    rest = process.stdout.read()
    assert process.wait() != 0
    changed = (
        "changed since this stage began: params.yaml: seed, tagger/files.py, tagger/model/crf.py;"
    )
    assert f"train: {changed}" in rest
    assert "Traceback" not in rest
    assert clone.read("dvc.lock") == expected
    assert not (clone.path / "data/model").exists()

    clone.run("git", "checkout", "--", "tagger")
    clone.set(epochs=1000)
    process = clone.start(*repro)
    read_until(process, library)
    process.kill()
    process.wait()
    assert process.stdout
    rest = process.stdout.read()  # ends when the stage, the last that could write to it, has ended
    assert "train: the process that started this stage is gone" in rest
    assert clone.read("dvc.lock") == expected
    assert not (clone.path / "data/model").exists()


def read_until(process: "subprocess.Popen[str]", pattern: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if re.match(pattern, line):
            return
    pytest.fail(f"no line matched {pattern!r}")
