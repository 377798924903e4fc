"""Outputs are whole or not there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagger.files import InputError, atomic_output
from tests.conftest import ROOT


def test_atomic_output_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.txt"
    for text in ("first", "second"):
        with atomic_output(target) as path:
            assert path.suffix == ".txt"
            path.write_text(text)
        assert target.read_text() == text
    with atomic_output(target) as path:  # a folder in place of a file
        path.mkdir()
    assert target.is_dir()
    assert [p.name for p in target.parent.iterdir()] == ["out.txt"]


def test_atomic_output_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/kept").touch()
    for name in ("file", "other folder"):
        target = tmp_path / name
        target.symlink_to("folder")
        with atomic_output(target) as path:
            path.mkdir() if "folder" in name else path.write_text("new")
        assert not target.is_symlink()
        assert target.is_dir() == ("folder" in name)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["kept"]


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(InputError, match="pipe is a device or a pipe, which is not replaced"),
        atomic_output(tmp_path / "pipe"),
    ):
        pass
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed between two steps would leave neither the old file nor the new."""
    target = tmp_path / "out"
    target.write_text("old")
    removed: list[Path] = []
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok: removed.append(path))
    with atomic_output(target) as path:
        path.write_text("new")
    assert target.read_text() == "new"
    assert target not in removed


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_atomic_output_leaves_nothing_when_its_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def fail() -> None:
        with atomic_output(tmp_path / "out") as path:
            path.mkdir()
            (path / "half").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tagger.files import atomic_output\n"
        "with atomic_output(Path(sys.argv[1])) as path:\n"
        "    path.mkdir(); (path / 'half').write_text('half'); time.sleep(60)\n"
    )
    target = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", code, str(target)], cwd=ROOT)
    try:
        while not list(tmp_path.glob("*/half")):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert not target.exists()
    with atomic_output(target) as path:
        assert not path.exists()
        path.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
