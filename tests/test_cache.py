"""What stands in DVC's cache is what dvc.lock says, or is named."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from review.cache import check
from tagger.files import InputError
from tests.conftest import Clone


def store(objects: Path, content: bytes, suffix: str = "") -> str:
    """Put a file into a cache as DVC would, and return its name in dvc.lock."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    path = objects / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5


def lock(**outs: str) -> dict[str, Any]:
    return {"make": {"outs": [{"path": path, "md5": md5} for path, md5 in outs.items()]}}


def states(objects: Path, locked: dict[str, Any]) -> dict[str, str]:
    return {cached.path: cached.state for cached in check(objects, locked)}


def test_files_and_folders_are_right_wrong_or_missing(tmp_path: Path) -> None:
    one, two = store(tmp_path, b"one"), store(tmp_path, b"two")
    entries = [{"md5": one, "relpath": "a"}, {"md5": two, "relpath": "b/c"}]
    folder = store(tmp_path, json.dumps(entries).encode(), ".dir")
    locked = lock(file=one, folder=folder, gone="0" * 32)
    right = {"file": "right", "folder": "right", "folder/a": "right", "folder/b/c": "right"}
    assert states(tmp_path, locked) == right | {"gone": "missing"}
    (tmp_path / two[:2] / two[2:]).write_bytes(bytes(3))
    assert states(tmp_path, locked) == right | {"folder/b/c": "wrong", "gone": "missing"}
    (tmp_path / folder[:2] / folder[2:]).write_bytes(b"[]")
    assert states(tmp_path, locked) == {"file": "right", "folder": "wrong", "gone": "missing"}


@pytest.mark.parametrize(
    "md5", ["aa/etc/passwd", "../" * 9 + "etc/passwd", "", "A" * 32, "0" * 31, "0" * 32 + "\n"]
)
def test_what_is_no_md5_opens_nothing(tmp_path: Path, md5: str) -> None:
    opened: list[object] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and watching:
            opened.append(arguments[0])

    inner = store(tmp_path, json.dumps([{"md5": md5, "relpath": "a"}]).encode(), ".dir")
    watching = True
    sys.addaudithook(note)  # which cannot be taken away again
    with pytest.raises(InputError, match=r"dvc.lock: 'file': '.*' is no MD5; write it with"):
        states(tmp_path, lock(file=md5))
    assert opened == []
    with pytest.raises(InputError, match=r"dvc.lock: 'folder/a': '.*' is no MD5"):
        states(tmp_path, lock(folder=inner))
    watching = False
    assert {str(path) for path in opened} == {str(tmp_path / inner[:2] / inner[2:])}


@pytest.mark.parametrize("content", [b"\xff", b"3", b"[3]", b"[{}]"])
def test_a_strange_list_of_files_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match=r"\.dir is damaged"):
        states(tmp_path, lock(folder=store(tmp_path, content, ".dir")))


def test_without_a_lock_nothing_is_called_right(clone: Callable[..., Clone]) -> None:
    output = clone().run(sys.executable, "-m", "review.cache", status=1)
    assert output == "cache-check: there is no dvc.lock, or it has no stage: run dvc repro\n"


def test_a_damaged_file_is_named_and_got_again_as_the_message_says(
    clone_with_results: Clone,
) -> None:
    clone = clone_with_results
    python = (sys.executable, "-m", "review.cache")
    assert "files are what dvc.lock says." in clone.run(*python)
    md5 = hashlib.md5((clone.path / "data/embeddings/vectors.npy").read_bytes()).hexdigest()  # noqa: S324
    file = clone.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content[:-1] + b"?")
    output = clone.run(*python, status=1)
    assert f"wrong: 'data/embeddings/vectors.npy', which is '{file}' in the cache" in output
    assert "the outputs that were copied from them ('data/embeddings')" in output
    file.unlink()
    shutil.rmtree(clone.path / "data/embeddings")
    before = clone.read("dvc.lock")
    clone.run("dvc", "repro")
    assert file.read_bytes() == content
    assert clone.read("dvc.lock") == before
