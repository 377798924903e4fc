"""Files that come to be whole or not at all, and the error for input that cannot be used."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """A user's input cannot be used. The message says where it stands, and what would help."""


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder to, and rename it to `path` at the end.

    If an error ends the block, nothing stands at `path` that looks whole. What a killed process
    left behind is removed by the next one. The temporary name keeps the suffix of `path`, since
    some writers choose the format by it.
    """
    partial = path.with_name(f"partial-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    try:
        yield partial
        _remove(path)
        partial.rename(path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_lines(path: Path) -> list[str]:
    """The entries of a list in a text file, one a line.

    Only a line feed ends a line: an entry may hold other characters that Python's `splitlines`
    would split at.
    """
    with path.open(encoding="utf-8", newline="\n") as file:
        return [line.removesuffix("\n") for line in file]


def write_lines(path: Path, entries: Sequence[str]) -> None:
    """Write a list to a text file, an entry a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{entry}\n" for entry in entries)
