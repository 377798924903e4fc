"""The Makefile runs nothing that stands in its variables, and empties only its own folders."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Instead of Python: writes its arguments to a file, and sets up an environment that holds itself.
STUB = """\
#!/bin/sh
printf '%s\\0' "$@" >arguments
test "$1$2" != -mvenv || { mkdir "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/pip"; }
"""
LOCKS = [f"requirements{name}.lock" for name in ("", "-dev", "-remote", "-serve", "-mass")]
Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Runs make on a copy of the Makefile, where a stub stands for Python and pip."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for lock in LOCKS:
        (tmp_path / lock).touch()
    python = tmp_path / "a folder/python"
    python.parent.mkdir()
    python.write_text(STUB, encoding="utf-8")
    python.chmod(0o755)

    def run(*arguments: str, status: int = 0, **variables: str) -> str:
        result = subprocess.run(
            ["make", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHON": str(python)} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert result.returncode == status, result.stdout
        return result.stdout

    return run


@pytest.mark.parametrize("target", ["sample", "repro"])
def test_a_folder_without_git_is_told_before_any_work(
    make: Make, tmp_path: Path, target: str
) -> None:
    shutil.rmtree(tmp_path / ".git")
    output = make(target, status=2, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert "use `git clone` instead of an archive" in output
    assert not (tmp_path / ".venv").exists()


def arguments(folder: Path) -> list[str]:
    """What the program that ran last was called with."""
    return (folder / "arguments").read_text(encoding="utf-8").split("\0")[:-1]


HOSTILE = [
    "x;touch ran", "$(touch ran)", "$(shell touch ran)", "${shell touch ran}", "`touch ran`",
    ")$(shell touch ran)", "x\ntouch ran", "'; touch ran; '", '"; touch ran; "', "a && touch ran",
    "$$HEAD", "*", "#x", "x\\", "$(", "-x", "\N{SNOWMAN}",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("through_environment", [False, True])
def test_values_reach_the_program_as_they_were_written(
    make: Make, tmp_path: Path, value: str, through_environment: bool
) -> None:
    def give(target: str, *names: str) -> list[str]:
        if through_environment:
            make(target, **dict.fromkeys(names, value))
        else:
            make(target, *(f"{name}={value}" for name in names))
        return arguments(tmp_path)

    command = ["-m", "review.verify", f"--tolerance={value}", "--", value]
    assert give("verify", "REVISION", "TOLERANCE") == command
    assert give("check-corpus", "CORPUS") == ["-m", "stages.corpus", "--", value]
    several = value.split()
    command = ["-m", "review", "--base", *several, "--head", *several, "--check"]
    assert give("review", "BASE", "HEAD", "CHECK") == command
    assert not (tmp_path / "ran").exists()


def test_what_is_not_given_is_left_out(make: Make, tmp_path: Path) -> None:
    make("review")
    assert arguments(tmp_path) == ["-m", "review"]
    make("verify")
    assert arguments(tmp_path) == ["-m", "review.verify", "--", "HEAD"]
    make("check-corpus")
    assert arguments(tmp_path) == ["-m", "stages.corpus"]


def test_what_was_trained_is_served_that_of_the_sample_last(make: Make, tmp_path: Path) -> None:
    assert "make repro or make sample makes one" in make("serve", status=2)
    for folder in (".sample/data/tagger", "data/tagger"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").touch()
        make("serve")
        assert arguments(tmp_path) == ["-m", "tagger.serve", folder]


@pytest.mark.parametrize(
    "name", ["BASE", "HEAD", "CHECK", "CORPUS", "REVISION", "TOLERANCE", "PYTHON"]
)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_value_is_refused(make: Make, tmp_path: Path, name: str, value: str) -> None:
    message = f"{name} is empty: give it a value, or leave it out"
    assert message in make("review", f"{name}={value}", status=2)
    assert message in make("review", status=2, **{name: value})
    assert not (tmp_path / "arguments").exists()


def test_the_name_of_python_is_no_command(make: Make, tmp_path: Path) -> None:
    make("lock-check", "PYTHON=true;touch ran", status=2)
    assert not (tmp_path / "ran").exists()


def test_an_environment_is_made_once_and_again_for_other_versions(
    make: Make, tmp_path: Path
) -> None:
    make("lock-check")
    extra = tmp_path / ".venv/extra"
    extra.touch()
    make("lock-check")
    assert extra.exists()
    os.utime(tmp_path / ".venv/done", (0, 0))  # as it is until everything is installed
    make("lock-check")
    assert not extra.exists()
    assert (tmp_path / ".venv/bin/python").exists()


def test_an_interrupted_environment_is_finished(make: Make, tmp_path: Path) -> None:
    make("lock-check")
    os.utime(tmp_path / ".venv/done", (0, 0))
    pip = tmp_path / "a folder/python"
    whole = pip.read_text(encoding="utf-8")
    pip.write_text(whole + 'test "$1$2$3" != -mpipinstall\n', encoding="utf-8")
    make("lock-check", status=2)
    pip.write_text(whole, encoding="utf-8")
    make("lock-check")
    assert arguments(tmp_path) == ["-m", "review.lock"]


def test_the_sample_copies_what_it_needs_and_leaves_git_alone(tmp_path: Path) -> None:
    """Also work in hand and what is new, but no input of another corpus, however it got there."""
    clone = tmp_path / "a clone é"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    (clone / "data/inputs/vectors/sample-of-mine.txt").write_text("mine\n" * 100_000)
    (clone / "data/inputs/corpora/mine").mkdir()
    (clone / "data/inputs/corpora/mine/train.conll").write_text("x O\n")
    (clone / "tagger/new.py").write_text('"""New."""\n')
    (clone / "params.yaml").write_text("changed: 1\n")
    (clone / "stages/index.py").unlink()
    before = sorted((clone / ".git").rglob("*"))
    show = ["make", "-s", "--eval", 'show: ; @printf "%s" "$$copy"', "show"]
    script = subprocess.run(show, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    subprocess.run([sys.executable, "-c", script], cwd=clone, check=True)
    assert sorted((clone / ".git").rglob("*")) == before
    sample = clone / ".sample"
    copied = {str(path.relative_to(sample)) for path in sample.rglob("*") if path.is_file()}
    assert {"dvc.yaml", ".dvc/config", "tagger/new.py", "stages/train.py"} <= copied
    assert "data/inputs/corpora/sample/train.conll" in copied
    assert not any("mine" in name or name.startswith(("tests", "docs")) for name in copied)
    assert "stages/index.py" not in copied
    assert (sample / "params.yaml").read_text() == "changed: 1\n"


FOLDERS = {".venv": "lock-check", ".venv-peers": "bench-peers", ".sample": "sample"}


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", ["link", "link to one of make's", "folder", "dangling link"])
def test_what_make_did_not_make_is_not_emptied(
    make: Make, tmp_path: Path, folder: str, kind: str
) -> None:
    make("lock-check")
    mine = tmp_path / "mine"
    if kind != "dangling link":
        (mine / "lib").mkdir(parents=True)
        (mine / "lib/mine.py").write_text("mine\n")
    if kind == "link to one of make's":
        (mine / "done").touch()
        os.utime(mine / "done", (0, 0))
    place = tmp_path / folder
    shutil.rmtree(place, ignore_errors=True)
    if kind == "folder":
        mine.rename(place)
    else:
        place.symlink_to("mine")
    output = make(FOLDERS[folder], status=2)
    assert f"make did not make {folder}, and does not empty it: move it away." in output
    if kind == "dangling link":
        assert not mine.exists()
    else:
        names = {path.name for path in place.iterdir()}
        assert names == ({"lib", "done"} if kind == "link to one of make's" else {"lib"})
        assert (place / "lib/mine.py").read_text() == "mine\n"
